"""Takes the database away and gives it back: a cut wire, or a lock that nobody else gets by."""

import contextlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from tokenbooth.proving.drills.dbdown.wire import Wire, target_of, url_through

LOCK_WAIT_S = 30


class Outage(ABC):
    """``begin`` and ``end`` block; they may run in a thread of their own."""

    @abstractmethod
    def begin(self) -> None:
        """From now on the servers cannot write to their database."""

    @abstractmethod
    def end(self) -> None:
        """They can again."""


class CutWire(Outage):
    """PostgreSQL behind a wire: while it is cut, nothing gets through at all."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def begin(self) -> None:
        self._wire.cut()

    def end(self) -> None:
        self._wire.mend()


class HeldLock(Outage):
    """A SQLite file whose exclusive lock this process holds: others can read and not write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def begin(self) -> None:
        """Raises sqlite3.OperationalError when the lock is not free in time."""
        self._connection = sqlite3.connect(
            self._path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("BEGIN EXCLUSIVE")

    def end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.execute("ROLLBACK")
            connection.close()


@contextlib.contextmanager
def outage_of(store_url: str | None, sqlite_path: Path) -> Iterator[tuple[Outage, str | None]]:
    """The outage of a store, and the URL by which the servers must reach it.

    Raises ValueError for a URL that is no PostgreSQL one.
    """
    if store_url is None:
        lock = HeldLock(sqlite_path)
        try:
            yield lock, None
        finally:
            lock.end()
        return
    with Wire(target_of(store_url)) as wire:
        yield CutWire(wire), url_through(store_url, wire.port)
