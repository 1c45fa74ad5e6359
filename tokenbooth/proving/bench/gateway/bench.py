"""Runs the benchmark of the gateway: mock upstream, nginx and a private booth, in turns."""

import asyncio
import contextlib
import os
import platform
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tokenbooth.proving.bench.books import Books, read_books
from tokenbooth.proving.bench.cpu import CpuMeter, check_counted, children
from tokenbooth.proving.bench.gateway import asks
from tokenbooth.proving.bench.gateway.loads import Loads, Target
from tokenbooth.proving.bench.gateway.machine import (
    cpu_name,
    load_now,
    memory_bytes,
    on_core,
    package_versions,
    streams_within,
    sync_times_us,
    two_cores,
    waited_ms,
)
from tokenbooth.proving.bench.gateway.nginx import free_port, nginx, nginx_path, nginx_version
from tokenbooth.proving.bench.gateway.peer import MODEL as PEER_MODEL
from tokenbooth.proving.bench.gateway.peer import SECRET as PEER_SECRET
from tokenbooth.proving.bench.gateway.peer import litellm, litellm_version
from tokenbooth.proving.bench.gateway.plan import (
    GATEWAY,
    KEY,
    ORG,
    OTHERS,
    GatewayOptions,
    GatewaySaw,
    Load,
    MachineSeen,
    MemorySeen,
    Side,
    WindowSeen,
)
from tokenbooth.proving.bench.gateway.programs import (
    HeldStreams,
    Programs,
    build,
    mock_upstream,
    run_load,
)
from tokenbooth.proving.bench.gateway.report import GatewayReport
from tokenbooth.proving.bench.gateway.starting import first_answer
from tokenbooth.proving.client import Address
from tokenbooth.proving.drills.play import Progress, ended_by_signal
from tokenbooth.proving.instance import PrivateInstance
from tokenbooth.proving.stage import Stage
from tokenbooth.proving.staging import set_stage

SETTLED_WAIT_S = 0.5
FILES_BESIDE = 1024


def run_gateway(options: GatewayOptions, progress: Progress) -> GatewayReport:
    """Blocks until done; every process that it starts ends with it.

    Raises Problem STATE_CONFLICT where nginx, a compiler, a second core or the count of CPU time
    is missing, and InstanceFault.
    """
    check_counted()
    gateway_core, load_core = two_cores()
    proxy = nginx_path()
    if options.peer is not None:
        litellm_version(options.peer_python)
    options = replace(options, idle_streams=streams_within(options.idle_streams))
    machine = MachineSeen(
        cpu=cpu_name(),
        cores=os.cpu_count() or 0,
        gateway_core=gateway_core,
        load_core=load_core,
        kernel=platform.release(),
        python=platform.python_version(),
        versions={**package_versions(), "nginx": nginx_version(proxy)},
        load_before=load_now(),
    )
    with (
        ended_by_signal(),
        tempfile.TemporaryDirectory(prefix="tokenbooth-bench-") as made,
        on_core(load_core),
    ):
        folder = Path(made)
        programs = build(folder)
        with mock_upstream(programs) as upstream_port:
            run = _Run(options, folder, programs, gateway_core, progress)
            saw, books = run.measured(machine, proxy, upstream_port)
    saw = replace(saw, machine=replace(machine, load_after=load_now()))
    return GatewayReport(options=options, saw=saw, books=books, calls=run.calls[Side.BOOTH])


@dataclass(slots=True)
class _Run:
    """``calls`` counts everything that the booth must have booked."""

    options: GatewayOptions
    folder: Path
    programs: Programs
    core: int
    progress: Progress
    calls: Counter[Side] = field(default_factory=Counter)
    begun_s: float = field(default_factory=time.monotonic)
    cold_start_ms: list[int] = field(default_factory=list)
    cold_waited_ms: list[int] = field(default_factory=list)
    windows: list[WindowSeen] = field(default_factory=list)
    sync_us: list[int] = field(default_factory=list)
    peer: Mapping[str, object] = field(default_factory=dict)

    @property
    def _loads(self) -> Loads:
        return Loads(self.options, self.folder)

    def measured(
        self, machine: MachineSeen, proxy: str, upstream_port: int
    ) -> tuple[GatewaySaw, Books]:
        """Everything, and what the ledger says of it afterwards."""
        files = 2 * self.options.idle_streams + FILES_BESIDE
        with contextlib.ExitStack() as stack:
            instance = stack.enter_context(_instance(self.options, self.folder))
            settings = instance.settings()
            stage = set_stage(settings, self.options.stage(upstream_port), secrets.token_hex(4))
            with on_core(self.core):
                before = stack.enter_context(
                    nginx(proxy, self.folder / "nginx", upstream_port, files)
                )
                ours = self._started(instance, stage)
                peers = self._peers(stack, upstream_port)
                crew = self._crew(stack, upstream_port)
            plain = Target(
                Side.NGINX,
                before.port,
                before.worker,
                "nobody",
                dict.fromkeys(self.options.models, "mock"),
                (before.master,),
            )
            time.sleep(SETTLED_WAIT_S)
            idle = {target.side: memory_bytes(target.pid) for target in (plain, ours)}
            self._rounds(plain, ours, (*(each.target for each in crew), *peers))
            memory = tuple(self._memory(target, idle[target.side]) for target in (plain, ours))
            for each in (instance, *(fleet.instance for fleet in crew)):
                each.stop()
            books = asyncio.run(read_books(settings, stage.orgs[ORG]))
        saw = GatewaySaw(
            machine=machine,
            windows=tuple(self.windows),
            sync_us=tuple(self.sync_us),
            memory=memory,
            cold_start_ms=tuple(self.cold_start_ms),
            cold_waited_ms=tuple(self.cold_waited_ms),
            workers_problems=self._wrong(crew),
            peer=self.peer,
            log_tail=instance.log_tail(),
        )
        return saw, books

    def _peers(self, stack: contextlib.ExitStack, upstream_port: int) -> tuple[Target, ...]:
        """The peer that was asked for, if any; it starts on the core of the gateway too."""
        if self.options.peer is None or self.options.peer_python is None:
            return ()
        self.progress("start the peer", 0, 1)
        asked_s = time.monotonic()
        ask_body = asks.body(PEER_MODEL, stream=False, translated=False)
        peer = stack.enter_context(
            litellm(self.options.peer_python, self.folder / "peer", upstream_port, ask_body)
        )
        self.peer = {"name": "litellm", "version": peer.version, "cold_start_ms": peer.start_ms}
        self.begun_s += time.monotonic() - asked_s  # its start takes nothing from the budget
        models = {"whole": PEER_MODEL}
        return (Target(Side.PEER, peer.port, peer.pid, PEER_SECRET, models),)

    def _crew(self, stack: contextlib.ExitStack, upstream_port: int) -> "tuple[_Crew, ...]":
        """A booth of its own with several workers, if they were asked for."""
        if self.options.workers < 2:
            return ()
        more = {"gateway.workers": str(self.options.workers)}
        instance = stack.enter_context(_instance(self.options, self.folder / "workers", more))
        stage = set_stage(
            instance.settings(), self.options.stage(upstream_port), secrets.token_hex(4)
        )
        port, secret = int(instance.variables["TOKENBOOTH_EDGE__PORT"]), stage.keys[KEY].secret
        instance.start()
        assert instance.pid is not None, "it was started just now"
        # The first child of the parent is the control process.
        target = Target(
            Side.WORKERS,
            port,
            instance.pid,
            secret,
            {name: model.name for name, model in stage.models.items()},
            answering=children(instance.pid)[1:],
        )
        return (_Crew(instance, stage, target),)

    def _wrong(self, crew: "tuple[_Crew, ...]") -> tuple[str, ...]:
        """What is wrong with the books of the booth with workers."""
        calls = self.calls[Side.WORKERS]
        found = [
            asyncio.run(read_books(each.instance.settings(), each.stage.orgs[ORG])) for each in crew
        ]
        return tuple(
            f"with workers {calls} calls were made, and the books say {books}"
            for books in found
            if books.calls != calls or not books.sound
        )

    def _started(self, instance: PrivateInstance, stage: Stage) -> Target:
        """The booth, started cold as often as was asked for; the last one stays."""
        port, secret = int(instance.variables["TOKENBOOTH_EDGE__PORT"]), stage.keys[KEY].secret
        models = {name: model.name for name, model in stage.models.items()}
        ask_body = asks.body(models["whole"], stream=False, translated=False)
        for number in range(self.options.starts):
            self.progress("start", number, self.options.starts)
            instance.replicas[0].launch()
            self.cold_start_ms.append(
                first_answer(instance, Address("127.0.0.1", port), ask_body, secret)
            )
            self.cold_waited_ms.append(waited_ms(instance.pid or 0))
            self.calls[Side.BOOTH] += 1
            if number + 1 < self.options.starts:
                instance.stop()
        pid = instance.pid
        assert pid is not None, "it was started just now"
        return Target(Side.BOOTH, port, pid, secret, models)

    def _rounds(self, plain: Target, ours: Target, peers: tuple[Target, ...]) -> None:
        """The same window of both, one after the other, until each row has what was asked for."""
        options = self.options
        wanted = dict.fromkeys(Load, options.stream_windows)
        wanted |= {Load.WARM: 1, Load.WHOLE: options.windows, Load.RATE: options.rate_windows}
        for number in range(max(wanted.values())):
            self.progress("rounds", number, max(wanted.values()))
            for load in (each for each in Load if number < wanted[each]):
                if number and time.monotonic() - self.begun_s > options.budget_s:
                    return
                sides = (ours,) if load.translated else (plain, ours)
                for target in (*sides, *(() if load.stream else peers)):
                    self.windows.append(self._window(target, load))
            if number < options.rate_windows:
                self.sync_us += sync_times_us(self.folder, options.syncs)
        self.progress("rounds", 1, 1)

    def _window(self, target: Target, load: Load) -> WindowSeen:
        answerers, others = target.answerers(), target.others()
        ask = replace(self._loads.ask(target, load), watch=(*answerers, *others))
        meter = CpuMeter({GATEWAY: target.answerers, OTHERS: target.others})
        meter.start()
        said = run_load(self.programs, ask)
        ours = target.side in (Side.BOOTH, Side.WORKERS)
        if load is Load.WHOLE and ours:
            time.sleep(self.options.tail_ms / 1000)
        if ours:
            self.calls[target.side] += said.answers_all
        return WindowSeen(
            side=target.side,
            load=load,
            wall_ns=said.wall_ns,
            answers=said.answers,
            answers_all=said.answers_all,
            failed=said.failed,
            failure=said.failure,
            chunks=said.chunks,
            reads=said.reads,
            ran_ns=sum(said.ran_ns[pid] for pid in answerers),
            waited_ns=sum(said.waited_ns[pid] for pid in answerers),
            others_ns=sum(said.ran_ns[pid] for pid in others),
            others_all_ns=meter.stop()[OTHERS],
            first_us=said.first_us if load is Load.RATE else (),
            whole_us=said.whole_us,
        )

    def _memory(self, target: Target, idle: Mapping[str, int]) -> MemorySeen:
        """With many streams open of which nothing comes any more."""
        self.progress("memory", 0, 1)
        before = memory_bytes(target.pid)
        with HeldStreams(self.programs, self._loads.idle(target)) as held:
            time.sleep(SETTLED_WAIT_S)
            after = memory_bytes(target.pid)
        assert held.said is not None, "it has ended"
        if target.side is Side.BOOTH:
            self.calls[Side.BOOTH] += held.count
        return MemorySeen(
            side=target.side,
            idle_rss=idle.get("Rss", 0),
            idle_pss=idle.get("Pss", 0),
            before_rss=before.get("Rss", 0),
            held=held.count,
            held_rss=after.get("Rss", 0),
            failure=held.said.failure,
        )


@dataclass(frozen=True, slots=True)
class _Crew:
    """A booth with several workers."""

    instance: PrivateInstance
    stage: Stage
    target: Target


@contextlib.contextmanager
def _instance(
    options: GatewayOptions, folder: Path, more: Mapping[str, str] | None = None
) -> Iterator[PrivateInstance]:
    """Made, and not started."""
    connections = options.idle_streams + FILES_BESIDE
    settings = {
        "log.level": "warning",
        "gateway.bookkeeper": "true",
        "edge.port": str(free_port()),
        "edge.calls_max": str(connections),
        "edge.connections_max": str(2 * connections),
        **(more or {}),
    }
    with PrivateInstance(folder / "booth", settings=settings) as instance:
        yield instance
