"""How every drill is played: a stage, an attack, a quiet end, the books, the laws, a report."""

import asyncio
import contextlib
import os
import secrets
import signal
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, Generic, TypeVar

from tokenbooth.proving import accounts
from tokenbooth.proving.accounts import level_of
from tokenbooth.proving.asking import ask_of
from tokenbooth.proving.caller import Moments, PlannedCall
from tokenbooth.proving.client import Address
from tokenbooth.proving.drills.laws import Law, violations
from tokenbooth.proving.drills.report import DrillFrame, DrillReport
from tokenbooth.proving.instance import InstanceFault, PrivateInstance
from tokenbooth.proving.observations import (
    AccountSeen,
    CallSeen,
    Evidence,
    LedgerSeen,
    LevelSeen,
    Saw,
)
from tokenbooth.proving.plans import CallPlan
from tokenbooth.proving.stage import Stage, StagePlan
from tokenbooth.proving.staging import clear_stage, set_stage

__all__ = ["Drill", "DrillOptions", "InstanceFault", "Progress", "Scene", "run_drill"]

REPLICAS_MAX = 16
QUIET_WAIT_S = 30
POLL_S = 0.1
SUFFIX_BYTES = 4

S = TypeVar("S", bound=Saw)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOptions:
    """``store_url`` of ``None`` is a SQLite file in the drill's own directory, gone afterwards.

    A PostgreSQL database must be reachable; the drill brings its schema up to date and leaves its
    organizations in it. ``keep`` is a new or empty directory to play in, which stays with its logs;
    ``None`` plays in one that goes. ``bookkeeper`` gives each server one. Raises ValueError for
    what cannot be played.
    """

    seed: int = 1
    replicas: int = 1
    store_url: str | None = None
    keep: Path | None = None
    bookkeeper: bool = False

    def __post_init__(self) -> None:
        if self.keep is not None and self.keep.exists() and any(self.keep.iterdir()):
            raise ValueError(f"{self.keep} is not empty")
        if not 1 <= self.replicas <= REPLICAS_MAX:
            raise ValueError(f"replicas must be from 1 to {REPLICAS_MAX}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What an attack works with. ``progress`` hears a stage, how much is done, and of how much."""

    options: DrillOptions
    stage: Stage
    instance: PrivateInstance
    progress: Progress

    def address(self, number: int) -> Address:
        """Of the replica with that number; any whole number will do."""
        replicas = self.instance.replicas
        return replicas[number % len(replicas)].address

    async def call(
        self, plan: CallPlan, moments: Moments | None = None, replica: int | None = None
    ) -> CallSeen:
        """Make one call, at that replica or at the one whose turn it is."""
        number = (plan.number if replica is None else replica) % len(self.instance.replicas)
        call = PlannedCall(plan, self.now_us, moments, replica=number)
        return await call.make(self.address(number), ask_of(plan, self.stage))

    @staticmethod
    def now_us() -> int:
        """The machine's monotonic clock, which all its processes share."""
        return time.monotonic_ns() // 1000


class Drill(ABC, Generic[S]):
    """What one drill adds to the play. ``settings`` are those of the instance, by their names."""

    name: ClassVar[str]
    settings: ClassVar[Mapping[str, str]] = {}

    @property
    @abstractmethod
    def laws(self) -> Sequence[Law[S]]:
        """What must hold afterwards."""

    @contextlib.contextmanager
    def beside(self, directory: Path, store_url: str | None) -> Iterator[str | None]:
        """What must be up before the instance is made; yields the URL of the store to give it."""
        yield store_url

    @abstractmethod
    def stage_plan(self) -> StagePlan:
        """What to play on."""

    @abstractmethod
    async def attack(self, scene: Scene) -> S:
        """Do the worst; every call that is made must have ended on return."""

    @abstractmethod
    def figures(self, seen: Evidence[S]) -> Mapping[str, object]:
        """What the report counts."""


def run_drill(drill: Drill[S], options: DrillOptions, progress: Progress) -> DrillReport:
    """Blocks until done; every process that it starts ends with it.

    Raises InstanceFault or TimeoutError when the drill itself cannot be set up.
    """
    began = time.monotonic_ns()
    with ended_by_signal(), _directory(options) as directory:
        seen = _play(drill, options, directory, progress)
    frame = DrillFrame(
        drill=drill.name,
        seed=options.seed,
        store="sqlite" if options.store_url is None else options.store_url.partition(":")[0],
        replicas=options.replicas,
        duration_ms=(time.monotonic_ns() - began) // 1_000_000,
    )
    return DrillReport(
        frame=frame, figures=drill.figures(seen), violations=violations(seen, drill.laws)
    )


@contextlib.contextmanager
def _directory(options: DrillOptions) -> Iterator[Path]:
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        yield options.keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="tokenbooth-drill-") as made:
        yield Path(made)


def _play(drill: Drill[S], options: DrillOptions, directory: Path, progress: Progress) -> Any:
    progress("set up", 0, 1)
    with (
        drill.beside(directory, options.store_url) as store_url,
        PrivateInstance(
            directory / "instance",
            store_url=store_url,
            settings={**drill.settings, "gateway.bookkeeper": str(options.bookkeeper).lower()},
            replicas=options.replicas,
        ) as instance,
    ):
        settings = instance.settings()
        stage = set_stage(settings, drill.stage_plan(), secrets.token_hex(SUFFIX_BYTES))
        instance.start()
        progress("set up", 1, 1)
        scene = Scene(options=options, stage=stage, instance=instance, progress=progress)
        saw, seen_accounts, levels, quiet = asyncio.run(_perform(drill, scene))
        progress("check", 0, 1)
        exit_statuses = tuple(replica.stop() for replica in instance.replicas)
        ledger, key_levels = ledger_seen(instance), key_levels_seen(instance, stage)
        clear_stage(settings, stage)
        progress("check", 1, 1)
    return Evidence(
        saw=saw,
        accounts=seen_accounts,
        levels=(*levels, *key_levels),
        ledger=ledger,
        prices=stage.prices,
        quiet=quiet,
        exit_statuses=exit_statuses,
    )


async def _perform(
    drill: Drill[S], scene: Scene
) -> tuple[S, tuple[AccountSeen, ...], tuple[LevelSeen, ...], bool]:
    """The part of a drill that happens on an event loop."""
    readers = scene.stage.readers
    first = scene.address(0)
    before = {name: await accounts.balance_nano(first, s) for name, s in readers.items()}
    saw = await drill.attack(scene)
    addresses = tuple(replica.address for replica in scene.instance.replicas)
    quiet = await until_quiet(addresses, tuple(readers.values()))
    found = []
    for name, secret in readers.items():
        records = await accounts.records(addresses[0], secret)
        after_nano = await accounts.balance_nano(addresses[0], secret)
        found.append(AccountSeen(name, before[name], after_nano, records))
    return saw, tuple(found), await _levels(addresses[0], scene.stage), quiet


async def until_quiet(addresses: Sequence[Address], reader_secrets: Sequence[str]) -> bool:
    """Wait until no organization has money held; ``False`` when that took too long.

    Every replica is asked, because each knows its own calls best.
    """
    until = time.monotonic() + QUIET_WAIT_S
    while time.monotonic() < until:
        found = [
            level
            for address in addresses
            for secret in reader_secrets
            for level in await accounts.levels(address, secret)
        ]
        if not any(level.held_nano for level in found):
            return True
        await asyncio.sleep(POLL_S)
    return False


async def _levels(address: Address, stage: Stage) -> tuple[LevelSeen, ...]:
    """The levels above the keys; those of the keys are read elsewhere, revoked ones with them."""
    found = {
        level
        for secret in (*stage.readers.values(), *(key.secret for key in stage.keys.values()))
        for level in await accounts.levels_if_valid(address, secret)
        if level.scope != "key"
    }
    return tuple(sorted(found, key=lambda level: (level.scope, level.owner_id)))


def ledger_seen(instance: PrivateInstance) -> LedgerSeen:
    """A ledger that is not sound makes the command exit 1, and is still read."""
    _status, found, said = instance.command_status("ledger", "verify")
    if "difference" not in found:
        return LedgerSeen(0, 0, (f"ledger verify failed: {said}",))
    document: Any = found
    return LedgerSeen(
        document["difference"]["amount_nano"], document["open_holds"], tuple(document["problems"])
    )


def key_levels_seen(instance: PrivateInstance, stage: Stage) -> tuple[LevelSeen, ...]:
    """The operator's list knows revoked keys too."""
    listed: Any = instance.command("key", "list")
    own = {key.id for key in stage.keys.values()}
    return tuple(
        level_of(row) for key in listed["data"] if key["id"] in own for row in key["limits"]
    )


@contextlib.contextmanager
def ended_by_signal() -> Iterator[None]:
    """SIGTERM ends the drill as Ctrl-C does, so that its children end with it; also where a shell
    started it in the background, which has it ignore Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGTERM, stop)
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
