"""The mixed drill: a private instance under honest, broken and hostile calls, then the books."""

import asyncio
import contextlib
import os
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from tokenbooth.proving import accounts
from tokenbooth.proving.caller import level_of
from tokenbooth.proving.child import Child, clean_environment, own_command
from tokenbooth.proving.client import Address
from tokenbooth.proving.instance import PrivateInstance
from tokenbooth.proving.load import LoadPorts, MixedLoad, last_of_outage
from tokenbooth.proving.observations import (
    AccountSeen,
    CallSeen,
    Evidence,
    LedgerSeen,
    LevelSeen,
    OutageSeen,
)
from tokenbooth.proving.outage import Outage, engine_up, free_port
from tokenbooth.proving.report import DrillFrame, DrillReport, report_of
from tokenbooth.proving.schedule import REVOKED, SCRIPT_CHUNKS, Schedule, check_calls, schedule_of
from tokenbooth.proving.stage import Stage
from tokenbooth.proving.staging import clear_stage, set_stage

PARALLEL_MAX = 256
CHUNK_DELAY_MS = 10
QUIET_WAIT_S = 60
POLL_S = 0.1
SUFFIX_BYTES = 4

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOptions:
    """``store_url`` of ``None`` is a SQLite file in the drill's own directory, gone afterwards.

    A PostgreSQL database must be reachable; the drill brings its schema up to date and leaves its
    organizations in it. Raises ValueError for numbers out of range.
    """

    calls: int = 500
    seed: int = 1
    parallel: int = 16
    store_url: str | None = None

    def __post_init__(self) -> None:
        check_calls(self.calls)
        if not 2 <= self.parallel <= PARALLEL_MAX:
            raise ValueError(f"parallel must be from 2 to {PARALLEL_MAX}")


def run_drill(options: DrillOptions, progress: Progress) -> DrillReport:
    """Blocks until done; ``progress`` hears a stage, how much of it is done, and of how much.

    Every process that it starts ends with it. Raises InstanceFault or TimeoutError when the drill
    itself cannot be set up.
    """
    began = time.monotonic_ns()
    with (
        _ended_by_signal(),
        tempfile.TemporaryDirectory(prefix="tokenbooth-drill-") as made,
    ):
        seen = _play(options, Path(made), progress)
    frame = DrillFrame(
        seed=options.seed,
        store="sqlite" if options.store_url is None else options.store_url.partition(":")[0],
        parallel=options.parallel,
        duration_ms=(time.monotonic_ns() - began) // 1_000_000,
    )
    return report_of(seen, frame)


def _play(options: DrillOptions, directory: Path, progress: Progress) -> Evidence:
    schedule = schedule_of(options.seed, options.calls)
    engine_at = Address("127.0.0.1", free_port())
    progress("set up", 0, 1)
    with (
        _engine(engine_at, directory / "engine.log") as engine,
        PrivateInstance(directory / "instance", store_url=options.store_url) as instance,
    ):
        settings = instance.settings()
        stage = set_stage(
            settings, secrets.token_hex(SUFFIX_BYTES), f"{engine_at.base_url}/v1", options.parallel
        )
        address = instance.start()
        progress("set up", 1, 1)
        scene = _Scene(schedule, stage, instance, engine, engine_at)
        seen = asyncio.run(scene.play(address, options.parallel, progress))
        progress("check", 0, 1)
        exit_status = instance.stop()
        ledger, key_levels = _ledger(instance), _key_levels(instance, stage)
        clear_stage(settings, stage)
        progress("check", 1, 1)
    return Evidence(
        calls=seen.calls,
        accounts=seen.accounts,
        levels=(*seen.levels, *key_levels),
        outages=seen.outages,
        kills_planned=len(schedule.kills),
        ledger=ledger,
        prices=stage.prices,
        quiet=seen.quiet,
        exit_status=exit_status,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What was seen while the instance served."""

    calls: tuple[CallSeen, ...]
    accounts: tuple[AccountSeen, ...]
    levels: tuple[LevelSeen, ...]
    outages: tuple[OutageSeen, ...]
    quiet: bool


@dataclass(frozen=True, slots=True)
class _Scene:
    """The part of the drill that happens on an event loop."""

    schedule: Schedule
    stage: Stage
    instance: PrivateInstance
    engine: Child
    engine_at: Address

    async def play(self, address: Address, parallel: int, progress: Progress) -> _Seen:
        await engine_up(self.engine_at)
        readers = {name: self.stage.keys[f"reader-{name}"].secret for name in self.stage.orgs}
        before = {n: await accounts.balance_nano(address, s) for n, s in readers.items()}
        outages = [self._outage(kill) for kill in self.schedule.kills]
        total = len(self.schedule.calls)
        ports = LoadPorts(
            now_us=_now_us, revoke=self._revoke, progress=lambda done: progress("load", done, total)
        )
        load = MixedLoad(self.schedule, self.stage, address, outages, ports)
        calls = await load.run(parallel)
        quiet = await _until_quiet(address, tuple(readers.values()))
        found = []
        for name, secret in readers.items():
            records = await accounts.records(address, secret)
            after_nano = await accounts.balance_nano(address, secret)
            found.append(AccountSeen(name, before[name], after_nano, records))
        return _Seen(
            calls=calls,
            accounts=tuple(found),
            levels=await self._levels(address),
            outages=tuple(each.seen for each in outages if each.seen is not None),
            quiet=quiet,
        )

    def _outage(self, kill: int) -> Outage:
        last = min(last_of_outage(kill), len(self.schedule.calls) - 1)
        return Outage(self.engine, self.engine_at, range(kill + 1, last + 1), _now_us)

    async def _revoke(self) -> None:
        key_id = self.stage.keys[REVOKED.name].id
        await asyncio.to_thread(self.instance.command, "key", "revoke", key_id)

    async def _levels(self, address: Address) -> tuple[LevelSeen, ...]:
        """The chain above every key that still works; the keys themselves are read elsewhere."""
        found = {
            level
            for name, key in self.stage.keys.items()
            if name != REVOKED.name
            for level in await accounts.levels(address, key.secret)
            if level.scope != "key"
        }
        return tuple(sorted(found, key=lambda level: (level.scope, level.owner_id)))


async def _until_quiet(address: Address, reader_secrets: tuple[str, ...]) -> bool:
    """Wait until no organization has money held; ``False`` when that took too long."""
    until = time.monotonic() + QUIET_WAIT_S
    while time.monotonic() < until:
        found = [level for s in reader_secrets for level in await accounts.levels(address, s)]
        if not any(level.held_nano for level in found):
            return True
        await asyncio.sleep(POLL_S)
    return False


def _engine(address: Address, log_path: Path) -> Child:
    script = ("--chunks", str(SCRIPT_CHUNKS), "--chunk-delay-ms", str(CHUNK_DELAY_MS))
    command = own_command("mock-upstream", "--port", str(address.port), *script)
    return Child(command, log_path, clean_environment({}))


def _ledger(instance: PrivateInstance) -> LedgerSeen:
    """A ledger that is not sound makes the command exit 1, and is still read."""
    _status, found, said = instance.command_status("ledger", "verify")
    if "difference" not in found:
        return LedgerSeen(0, 0, (f"ledger verify failed: {said}",))
    document: Any = found
    return LedgerSeen(
        document["difference"]["amount_nano"], document["open_holds"], tuple(document["problems"])
    )


def _key_levels(instance: PrivateInstance, stage: Stage) -> tuple[LevelSeen, ...]:
    """The operator's list knows revoked keys too."""
    levels: list[LevelSeen] = []
    for name in stage.orgs.values():
        listed: Any = instance.command("key", "list", "--org", name)
        levels += (level_of(row) for key in listed["data"] for row in key["limits"])
    return tuple(levels)


def _now_us() -> int:
    return time.monotonic_ns() // 1000


@contextlib.contextmanager
def _ended_by_signal() -> Iterator[None]:
    """SIGTERM ends the drill as Ctrl-C does, so that its children end with it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
