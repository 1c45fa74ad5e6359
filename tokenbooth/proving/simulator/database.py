"""The real schema and the real statements on SQLite in memory, with the clock of the simulation."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, NullPool, create_engine, event

from tokenbooth.core.ports import Tx
from tokenbooth.store.migrate import migrate
from tokenbooth.store.moment import SQLITE_FUNCTION
from tokenbooth.store.once import run_once
from tokenbooth.store.options import StoreOptions

T = TypeVar("T")


class Template:
    """A migrated, empty database that is copied for each life; made once for each process."""

    def __init__(self, prepare: Callable[[Tx], None]) -> None:
        """``prepare`` fills in what all lives begin with."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "template.db"
            options = StoreOptions(f"sqlite:///{path}")
            migrate(options)
            run_once(options, prepare)
            with closing(sqlite3.connect(path)) as connection:
                # A database in memory has no write-ahead log.
                connection.execute("PRAGMA journal_mode=DELETE")
            self._content = path.read_bytes()
        self._raw: sqlite3.Connection | None = None
        # One engine for all lives: it remembers how each statement is compiled.
        self._engine = create_engine("sqlite://", poolclass=NullPool, creator=self._present)
        event.listen(self._engine, "begin", _begin)

    @contextmanager
    def opened(self, now_us: Callable[[], int]) -> "Iterator[Database]":
        """A fresh copy; only one at a time."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
            raw.deserialize(self._content)
            raw.execute("PRAGMA foreign_keys=ON")
            raw.create_function(SQLITE_FUNCTION, 0, now_us)
            self._raw = raw
            with self._engine.connect() as connection:
                yield Database(raw, connection)

    def _present(self) -> sqlite3.Connection:
        assert self._raw is not None, "a life is open"
        return self._raw


def _begin(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute("BEGIN")


class Database:
    """One life's database; ``away`` refuses what the scheduler lets through otherwise."""

    def __init__(self, raw: sqlite3.Connection, connection: Connection) -> None:
        self._raw = raw
        self._connection = connection
        self.away = False

    @property
    def changes(self) -> int:
        """Rows that were ever changed: the same number means that nothing was."""
        return self._raw.total_changes

    def transact(self, verb: Callable[[Tx], T], *, keep: bool) -> T:
        """Run the verb as one transaction, which is rolled back unless ``keep``."""
        with self._connection.begin() as transaction:
            result = verb(self._connection)
            if not keep:
                transaction.rollback()
            return result

    def change(self, statement: str, *values: str) -> None:
        """What no verb does yet; ``statement`` is a constant."""
        self._raw.execute(statement, values)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What an auditor sees; ``statement`` is a constant."""
        return self._raw.execute(statement).fetchall()
