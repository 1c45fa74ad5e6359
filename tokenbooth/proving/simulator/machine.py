"""A machine with its disk, and the gateway process that runs on it: the real till over a loop,
a store and a disk that the simulation holds in its hands."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Randomness, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.books import StoreBooks
from tokenbooth.gateway.options import TillOptions
from tokenbooth.gateway.recovery import recovered
from tokenbooth.gateway.till import Till
from tokenbooth.money.journal.service import Journal, JournalDriver, identity
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import Pool
from tokenbooth.proving.simulated_disk import SimulatedDisk
from tokenbooth.proving.simulator.coverage import Cut
from tokenbooth.proving.simulator.database import Database
from tokenbooth.proving.simulator.loop import Died, DiskJobs, SimulatedLoop

T = TypeVar("T")

BEAT_S = 2


class Fate(Enum):
    """What becomes of one transaction."""

    KEPT = "kept"
    REFUSED = "refused"
    ROLLED_BACK = "rolled back"
    LOST = "kept, its answer lost"


class State(Enum):
    STARTING = "starting"
    SERVING = "serving"
    CLOSING = "closing"
    OVER = "over"


_CUTS = {
    ("append", "before"): Cut.APPEND_BEFORE,
    ("append", "half"): Cut.APPEND_HALF,
    ("append", "after"): Cut.APPEND_AFTER,
    ("sync", "before"): Cut.SYNC_BEFORE,
    ("sync", "after"): Cut.SYNC_AFTER,
    ("open", "after"): Cut.OPEN_AFTER,
    ("remove", "before"): Cut.REMOVE_BEFORE,
    ("remove", "after"): Cut.REMOVE_AFTER,
    ("sync_directory", "after"): Cut.DIRECTORY_AFTER,
}
TRAPS = tuple(_CUTS)


class GatewayDisk:
    """The machine's disk as one process has it: it can end at a ``trap`` inside any step."""

    def __init__(self, disk: SimulatedDisk, dies: Callable[[Cut], None]) -> None:
        self._disk = disk
        self._dies = dies
        self.trap: tuple[str, str] | None = None
        self.dead = False
        self.removed = 0

    def is_of(self, disk: SimulatedDisk) -> bool:
        """Whether that is still the disk of this process, not one that replaced it."""
        return self._disk is disk

    def list(self) -> tuple[str, ...]:
        self._check()
        return self._disk.list()

    def read(self, name: str) -> bytes:
        self._check()
        return self._disk.read(name)

    def open(self, name: str) -> int:
        file = self._do("open", lambda: self._disk.open(name))
        self._after("open")
        return file

    def append(self, file: int, chunk: bytes | bytearray) -> None:
        if self.trap == ("append", "half"):
            self._do("append", lambda: self._disk.append(file, chunk[: len(chunk) // 2]))
            self._die()
        self._do("append", lambda: self._disk.append(file, chunk))
        self._after("append")

    def sync(self, file: int) -> None:
        self._do("sync", lambda: self._disk.sync(file))
        self._after("sync")

    def sync_named(self, name: str) -> None:
        self._do("sync_named", lambda: self._disk.sync_named(name))

    def close(self, file: int) -> None:
        self._do("close", lambda: self._disk.close(file))

    def remove(self, name: str) -> None:
        self._do("remove", lambda: self._disk.remove(name))
        self.removed += 1
        self._after("remove")

    def sync_directory(self) -> None:
        self._do("sync_directory", self._disk.sync_directory)
        self._after("sync_directory")

    def release(self) -> None:
        self._check()
        self._disk.release()

    def _do(self, verb: str, step: Callable[[], T]) -> T:
        self._check()
        if self.trap == (verb, "before"):
            self._die()
        return step()

    def _after(self, verb: str) -> None:
        if self.trap == (verb, "after"):
            self._die()

    def _die(self) -> None:
        assert self.trap is not None, "only a trap lets a process die here"
        self.dead = True
        self._dies(_CUTS[self.trap])
        raise Died

    def _check(self) -> None:
        if self.dead:
            raise Died


class GatewayStore:
    """Satisfies ``core.ports.Store``: each transaction is a job with a ``fate``."""

    def __init__(self, database: Database, loop: SimulatedLoop) -> None:
        self._database = database
        self._loop = loop
        self.fate = Fate.KEPT
        self.writes = 0

    async def read(self, verb: Callable[[Tx], T]) -> T:
        answer: T = await self._loop.submit("read", lambda: self._transact(verb, reads=True))
        return answer

    async def write(self, verb: Callable[[Tx], T]) -> T:
        answer: T = await self._loop.submit("write", lambda: self._transact(verb, reads=False))
        return answer

    def _transact(self, verb: Callable[[Tx], T], *, reads: bool) -> T:
        fate, self.fate = self.fate, Fate.KEPT
        if self._database.away or fate is Fate.REFUSED:
            raise _away()
        keep = not reads and fate is not Fate.ROLLED_BACK
        result = self._database.transact(verb, keep=keep)
        self.writes += keep
        if fate in (Fate.LOST, Fate.ROLLED_BACK):
            raise _away()
        return result


def _away() -> Problem:
    return Problem(Code.LEDGER_UNAVAILABLE, "The simulated database does not answer.")


@dataclass(slots=True)
class GatewayClock:
    """Satisfies ``core.ports.Clock``: wall clocks are wrong by ``skew_us``, the other is not."""

    true_us: Callable[[], int]
    skew_us: int
    begun_us: int

    def now_us(self) -> int:
        return self.true_us() + self.skew_us

    def monotonic_us(self) -> int:
        return self.true_us() - self.begun_us


class NotedLog:
    """Satisfies ``Log``: remembers the names of what happened."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def event(self, name: str, **fields: str | int | bool | None) -> None:
        self.names.append(name)

    def fault(
        self, name: str, error: BaseException | None = None, **fields: str | int | bool | None
    ) -> None:
        self.names.append(name)


@dataclass(slots=True)
class Machine:
    """``replica`` is the name that its process enrolls with."""

    replica: str
    disk: SimulatedDisk
    skew_us: int
    gateway: "Gateway | None" = None

    @property
    def up(self) -> bool:
        return self.gateway is not None and self.gateway.state is not State.OVER

    def mend(self) -> None:
        """Its disk works again, and nobody has it."""
        self.disk.mend()
        self.disk.kill()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all processes share."""

    database: Database
    true_us: Callable[[], int]
    randomness: Randomness
    options: TillOptions


class Gateway:
    """One process from its start until it is stopped, killed, or gives up starting."""

    def __init__(self, machine: Machine, around: Surroundings, dies: Callable[[Cut], None]) -> None:
        self.machine = machine
        self.state = State.STARTING
        self.problem: Problem | None = None
        self.forfeited = False
        self.disk = GatewayDisk(machine.disk, self._die)
        self.clock = GatewayClock(around.true_us, machine.skew_us, around.true_us())
        # What it leaves out of a loop's surface, nothing of the product uses.
        self.loop = SimulatedLoop(self.clock.monotonic_us)  # type: ignore[abstract]
        self.store = GatewayStore(around.database, self.loop)
        self.log = NotedLog()
        self.till: Till
        self.pool: Pool
        self.journal: Journal
        self.journal_id = b""
        self._around = around
        self._told = dies
        self._beating: asyncio.Task[Any] | None = None
        self.loop.spawn(self._start())

    def op(self, request_id: str = "op") -> Op:
        return Op(request_id, self.clock.now_us, self.log)

    @property
    def serving(self) -> bool:
        return self.state is State.SERVING

    @property
    def runnable(self) -> bool:
        return self.state is not State.OVER and bool(self.loop.ready or self.loop.jobs)

    def stop(self) -> None:
        """Begin to stop in good order."""
        self.state = State.CLOSING
        if self._beating:
            self._beating.cancel()
        self.loop.spawn(self._stop())

    def end(self) -> None:
        """The process is no more; nothing of it moves again."""
        self.state = State.OVER
        self.disk.dead = self.loop.dead = True

    def _die(self, cut: Cut) -> None:
        """In the middle of a step of the disk; the scheduler clears away what is left."""
        self._told(cut)
        self.loop.dead = True

    async def _start(self) -> None:
        around = self._around
        try:
            self.journal_id = identity(self.disk, around.randomness)
            self.pool, self.journal = await recovered(
                self.store,
                self.op(),
                self.disk,
                self.journal_id,
                self.machine.replica,
                around.options,
            )
        except Problem as problem:
            self.problem = problem
            self.state = State.OVER
            return
        driver = JournalDriver(self.journal, DiskJobs(self.loop))
        books = StoreBooks(self.store, around.options.alert_percents)
        self.till = Till(books, self.pool, driver, self.clock, around.options)
        self.till.start(self.op)
        self._beating = asyncio.create_task(self._beat())
        self.state = State.SERVING

    async def _beat(self) -> None:
        replica, epoch = self.pool.replica_id, self.pool.epoch
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await self.store.write(lambda tx: leases.beat(self.op(), tx, replica, epoch))
            except Problem as problem:
                if problem.code is Code.REPLICA_FENCED:
                    return

    async def _stop(self) -> None:
        try:
            await self.till.close()
        except Problem as problem:
            self.problem = problem
        self.state = State.OVER
