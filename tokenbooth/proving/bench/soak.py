"""A long run at a steady load: does memory stay, does every call end well, are the books exact?"""

import asyncio
import contextlib
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tokenbooth.proving.bench.books import Books, read_books
from tokenbooth.proving.bench.cpu import check_counted, children, run_ns
from tokenbooth.proving.bench.gateway import asks
from tokenbooth.proving.bench.gateway.loads import Loads, Target
from tokenbooth.proving.bench.gateway.machine import load_now, memory_bytes, on_core, two_cores
from tokenbooth.proving.bench.gateway.nginx import free_port
from tokenbooth.proving.bench.gateway.plan import KEY, ORG, GatewayOptions, Load, Side
from tokenbooth.proving.bench.gateway.programs import (
    LoadSaid,
    Programs,
    build,
    mock_upstream,
    run_load,
)
from tokenbooth.proving.bench.gateway.starting import first_answer
from tokenbooth.proving.client import Address
from tokenbooth.proving.drills.play import Progress, ended_by_signal
from tokenbooth.proving.instance import InstanceFault, PrivateInstance
from tokenbooth.proving.staging import set_stage

MB = 1_000_000
NS_PER_S = 1_000_000_000
DRIFT_PERCENT_MAX = 2.0
SETTLED_AFTER_MINUTES = 5
PROBE_MS = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakOptions:
    """``load_percent`` of what the core of the gateway takes, half of it streams. A minute has
    ``minute_s`` seconds, fewer in tests alone."""

    minutes: int = 30
    load_percent: int = 70
    workers: int = 1
    minute_s: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """``rss`` and ``pss`` of every process of the booth together, in bytes, at its end."""

    calls: int
    streams: int
    failed: int
    failure: str
    busy_percent: int
    rss: int
    pss: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakReport:
    """``calls`` is what the books must know, no more and no less."""

    options: SoakOptions
    rates: Mapping[str, int]
    minutes: tuple[Minute, ...]
    books: Books
    calls: int
    load_before: str
    load_after: str

    @property
    def drift_percent(self) -> float | None:
        """Of memory, from the end of minute 5 to its highest after that; none in a shorter run."""
        settled = self.minutes[SETTLED_AFTER_MINUTES - 1 :]
        if len(settled) < 2 or not settled[0].pss:
            return None
        most = max(minute.pss for minute in settled)
        return round((most - settled[0].pss) * 100 / settled[0].pss, 2)

    @property
    def failed(self) -> int:
        return sum(minute.failed for minute in self.minutes)

    @property
    def exact(self) -> bool:
        return self.books.sound and self.books.calls == self.calls

    @property
    def passed(self) -> bool:
        drift = self.drift_percent
        if drift is None:
            steady = len(self.minutes) <= SETTLED_AFTER_MINUTES
        else:
            steady = drift <= DRIFT_PERCENT_MAX
        return self.exact and not self.failed and steady

    def document(self) -> dict[str, object]:
        """JSON-ready."""
        return {
            "object": "bench",
            "bench": "soak",
            "passed": self.passed,
            "exact": self.exact,
            "calls": self.calls,
            "failed": self.failed,
            "memory_drift_percent": self.drift_percent,
            "rates_per_s": dict(self.rates),
            "minutes": [asdict(minute) for minute in self.minutes],
            "books": asdict(self.books),
            "options": asdict(self.options),
            "load_before": self.load_before,
            "load_after": self.load_after,
        }

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        rates = ", ".join(f"{rate} {name} a second" for name, rate in self.rates.items())
        yield f"{len(self.minutes)} minutes with {rates}"
        for number, minute in enumerate(self.minutes, start=1):
            yield (
                f"  minute {number:3}: {minute.calls} calls, {minute.streams} streams,"
                f" {minute.failed} failed, core {minute.busy_percent} % busy,"
                f" {minute.pss / MB:.1f} MB"
            )
        yield f"memory after minute {SETTLED_AFTER_MINUTES}: {self.drift_percent} % more at most"
        yield (
            f"books: {self.books.calls} of {self.calls} calls, "
            + ("exact" if self.exact else f"NOT exact: {self.books}")
        )


def run_soak(options: SoakOptions, progress: Progress) -> SoakReport:
    """Blocks until done; every process that it starts ends with it.

    Raises Problem STATE_CONFLICT where a compiler, a second core or the count of CPU time is
    missing, and InstanceFault.
    """
    check_counted()
    gateway_core, load_core = two_cores()
    before = load_now()
    with (
        ended_by_signal(),
        tempfile.TemporaryDirectory(prefix="tokenbooth-bench-") as made,
        on_core(load_core),
    ):
        folder = Path(made)
        programs = build(folder)
        with mock_upstream(programs) as upstream_port:
            run = _Run(options, folder, programs, gateway_core, progress)
            rates, minutes, books = run.measured(upstream_port)
    return SoakReport(
        options=options,
        rates=rates,
        minutes=minutes,
        books=books,
        calls=run.calls,
        load_before=before,
        load_after=load_now(),
    )


@dataclass(slots=True)
class _Run:
    options: SoakOptions
    folder: Path
    programs: Programs
    core: int
    progress: Progress
    calls: int = 0

    def measured(self, upstream_port: int) -> tuple[Mapping[str, int], tuple[Minute, ...], Books]:
        plan = GatewayOptions(idle_streams=1, window_ms=PROBE_MS, rate_window_ms=PROBE_MS)
        with self._instance() as instance:
            settings = instance.settings()
            stage = set_stage(settings, plan.stage(upstream_port), secrets.token_hex(4))
            port = int(instance.variables["TOKENBOOTH_EDGE__PORT"])
            target = Target(
                Side.BOOTH,
                port,
                0,
                stage.keys[KEY].secret,
                {name: model.name for name, model in stage.models.items()},
            )
            with on_core(self.core):
                instance.replicas[0].launch()
            ask_body = asks.body(target.models["whole"], stream=False, translated=False)
            first_answer(instance, Address("127.0.0.1", port), ask_body, target.secret)
            self.calls += 1
            assert instance.pid is not None, "it was started just now"
            target = replace(target, pid=instance.pid)
            rates = self._rates(plan, target)
            try:
                minutes = tuple(self._minutes(plan, target, rates))
            except subprocess.TimeoutExpired as error:
                tail = instance.log_tail()
                raise InstanceFault(f"A minute did not end.\n{tail}") from error
            instance.stop()
            return rates, minutes, asyncio.run(read_books(settings, stage.orgs[ORG]))

    def _rates(self, plan: GatewayOptions, target: Target) -> dict[str, int]:
        """Each kind gets half of the load, by what it costs of the core at that load."""
        loads = Loads(plan, self.folder)
        costs_ns = {}
        for load in (Load.WHOLE, Load.RATE):
            ask = loads.ask(target, load)
            if load is Load.RATE:
                ask = replace(ask, mode="closed", connections=plan.streams_at_once)
            ran_ns = self._ran_ns(target)
            said = run_load(self.programs, ask)
            self.calls += said.answers_all
            time.sleep(1)  # the rounds that follow are part of the cost
            costs_ns[load] = max(1, (self._ran_ns(target) - ran_ns) // max(1, said.answers_all))
        half_ns = NS_PER_S * self.options.load_percent // 200
        return {
            "calls": max(1, half_ns // costs_ns[Load.WHOLE]),
            "streams": max(1, half_ns // costs_ns[Load.RATE]),
        }

    def _minutes(
        self, plan: GatewayOptions, target: Target, rates: Mapping[str, int]
    ) -> Iterator[Minute]:
        window_ms = self.options.minute_s * 1000
        loads = Loads(replace(plan, rate_window_ms=window_ms), self.folder)
        streams = replace(loads.ask(target, Load.RATE), rate=rates["streams"], warm_ms=0)
        whole = loads.ask(target, Load.WHOLE)
        calls = replace(
            streams,
            rate=rates["calls"],
            requests=whole.requests,
            end=whole.end,
            steps=whole.steps,
        )
        for number in range(self.options.minutes):
            self.progress("minutes", number, self.options.minutes)
            begun_ns, ran_ns = time.monotonic_ns(), self._ran_ns(target)
            with ThreadPoolExecutor(2) as both:
                said: list[LoadSaid] = list(
                    both.map(lambda ask: run_load(self.programs, ask), (calls, streams))
                )
            ran_ns, wall_ns = self._ran_ns(target) - ran_ns, time.monotonic_ns() - begun_ns
            self.calls += sum(each.answers_all for each in said)
            memory = [memory_bytes(pid) for pid in self._pids(target)]
            yield Minute(
                calls=said[0].answers_all,
                streams=said[1].answers_all,
                failed=sum(each.failed for each in said),
                failure=" ".join(each.failure for each in said).strip(),
                busy_percent=ran_ns * 100 // wall_ns,
                rss=sum(each.get("Rss", 0) for each in memory),
                pss=sum(each.get("Pss", 0) for each in memory),
            )

    def _pids(self, target: Target) -> tuple[int, ...]:
        nearest = children(target.pid)
        return (target.pid, *nearest, *(pid for each in nearest for pid in children(each)))

    def _ran_ns(self, target: Target) -> int:
        return sum(run_ns(pid) for pid in self._pids(target))

    @contextlib.contextmanager
    def _instance(self) -> Iterator[PrivateInstance]:
        settings = {
            "log.level": "warning",
            "gateway.bookkeeper": "true",
            "gateway.workers": str(self.options.workers),
            "edge.port": str(free_port()),
        }
        with PrivateInstance(self.folder / "booth", settings=settings) as instance:
            yield instance
