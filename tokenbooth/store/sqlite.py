"""The embedded store: one writer thread with group commit, and reader threads on snapshots.

The event loop never waits on the disk. Verbs that queue while a commit runs share the next commit:
each stands under its own savepoint, so one that fails takes nothing else with it. Another process
may write to the same file; writers take turns by ``BEGIN IMMEDIATE`` and a bounded wait.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, create_engine, event

from tokenbooth.core.ports import Tx
from tokenbooth.store.faults import is_outage, unavailable
from tokenbooth.store.moment import SQLITE_FUNCTION
from tokenbooth.store.options import StoreBounds, StoreOptions

T = TypeVar("T")

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")


@dataclass(slots=True)
class _Job:
    verb: Callable[[Tx], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None


_Jobs = queue.Queue[_Job | None]


def connect_file(path: Path, *, wait_ms: int, create: bool = False) -> sqlite3.Connection:
    """Open the file with durable settings; without ``create`` a missing file is an error."""
    mode = "rwc" if create else "rw"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=wait_ms / 1000,
    )
    try:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        connection.create_function(SQLITE_FUNCTION, 0, _now_us)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _now_us() -> int:
    return time.time_ns() // 1000


def sqlite_engine(
    options: StoreOptions, bounds: StoreBounds, *, begin: str = "BEGIN IMMEDIATE"
) -> Engine:
    """An engine without pool; every transaction starts with ``begin``, so DDL rolls back too."""
    path = options.sqlite_path
    engine = create_engine(
        "sqlite://",
        poolclass=NullPool,
        creator=lambda: connect_file(path, wait_ms=bounds.wait_ms),
    )

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


class SqliteStore:
    """Satisfies ``core.ports.Store``.

    A write that has been taken from the queue runs to its end even when its waiter is cancelled;
    one still in the queue is dropped then. ``close`` finishes everything queued.
    """

    def __init__(self, options: StoreOptions, bounds: StoreBounds) -> None:
        self._writes: _Jobs = queue.Queue(bounds.queue_max)
        self._reads: _Jobs = queue.Queue(bounds.queue_max)
        self._closed = False
        writer = _Lane(sqlite_engine(options, bounds), self._writes, bounds.group_max, keeps=True)
        reader = sqlite_engine(options, bounds, begin="BEGIN")
        lanes = [writer]
        lanes += (_Lane(reader, self._reads, 1, keeps=False) for _ in range(bounds.readers))
        self._threads = [
            threading.Thread(target=lane.run, name=f"store-{number}", daemon=True)
            for number, lane in enumerate(lanes)
        ]
        for thread in self._threads:
            thread.start()

    async def read(self, verb: Callable[[Tx], T]) -> T:
        """Run ``verb`` on a snapshot; what it writes is rolled back."""
        return await self._submit(self._reads, verb)

    async def write(self, verb: Callable[[Tx], T]) -> T:
        """Run ``verb``; when this returns, its effects survive a power cut."""
        return await self._submit(self._writes, verb)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        """The writer goes last and alone: only then does SQLite fold its log into the file."""
        writer, *readers = self._threads
        for _ in readers:
            self._reads.put(None)
        for thread in readers:
            thread.join()
        self._writes.put(None)
        writer.join()

    async def _submit(self, jobs: _Jobs, verb: Callable[[Tx], T]) -> T:
        if self._closed:
            raise unavailable("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        try:
            jobs.put_nowait(_Job(verb, future, loop))
        except queue.Full:
            raise unavailable("the store's queue is full") from None
        return await future


class _Lane:
    """One thread with one connection."""

    def __init__(self, engine: Engine, jobs: _Jobs, group_max: int, *, keeps: bool) -> None:
        self._engine = engine
        self._jobs = jobs
        self._group_max = group_max
        self._keeps = keeps
        self._connection: Connection | None = None

    def run(self) -> None:
        last = False
        while not last:
            group, last = self._take()
            live = [job for job in group if not job.future.cancelled()]
            if live:
                self._serve(live)
                _deliver(live)
        self._drop()

    def _take(self) -> tuple[list[_Job], bool]:
        """Wait for one job, then take all that queued meanwhile; True with the stop mark."""
        group: list[_Job] = []
        found = self._jobs.get()
        while found is not None:
            group.append(found)
            if len(group) == self._group_max:
                return group, False
            try:
                found = self._jobs.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _serve(self, group: Sequence[_Job]) -> None:
        """Run the group in one transaction; either all of its commit is durable, or none."""
        try:
            connection = self._connection = self._connection or self._engine.connect()
            with connection.begin() as transaction:
                for job in group:
                    self._attempt(connection, job)
                if self._keeps:
                    transaction.commit()
                else:
                    transaction.rollback()
        except Exception as error:  # noqa: BLE001 - a worker loop: every waiter is told, the lane lives on
            self._drop()
            for job in group:
                job.result = None
                job.error = unavailable(repr(error)) if is_outage(error) else error

    def _attempt(self, connection: Connection, job: _Job) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.execute("SAVEPOINT verb")
        try:
            job.result = job.verb(connection)
        except Exception as error:  # relayed to the waiter of this verb
            if not driver.in_transaction:
                raise  # SQLite gave the whole transaction up: nothing of this group is kept
            job.error = unavailable(repr(error)) if is_outage(error) else error
            driver.execute("ROLLBACK TO verb")
        driver.execute("RELEASE verb")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _deliver(group: Sequence[_Job]) -> None:
    loops = {job.loop for job in group}
    for loop in loops:
        mine = [job for job in group if job.loop is loop]
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits there any more
            loop.call_soon_threadsafe(_resolve, mine)


def _resolve(group: Sequence[_Job]) -> None:
    for job in group:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
