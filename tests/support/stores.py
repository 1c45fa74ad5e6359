"""Quick databases for tests: a migrated SQLite file, as a store or as one open transaction.

The schema is made once by the real migrations and copied for each test.
"""

import contextlib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from tokenbooth.store.migrate import migrate
from tokenbooth.store.open import AsyncStore, open_store
from tokenbooth.store.options import StoreBounds, StoreOptions
from tokenbooth.store.sqlite import sqlite_engine


@functools.cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "template.db"
        migrate(StoreOptions(f"sqlite:///{path}"))
        return path.read_bytes()


def fresh_options(directory: Path) -> StoreOptions:
    """Options of a new, migrated SQLite database under ``directory``."""
    path = directory / "tokenbooth.db"
    path.write_bytes(_template())
    return StoreOptions(f"sqlite:///{path}")


def lay_out(options: StoreOptions) -> None:
    """What ``migrate`` makes of an empty SQLite database, in no time."""
    Path(options.url.removeprefix("sqlite:///")).write_bytes(_template())


def fresh_store(directory: Path) -> AsyncStore:
    """An open store; close it inside the event loop that used it."""
    return open_store(fresh_options(directory))


@contextlib.contextmanager
def fresh_tx(directory: Path) -> Iterator[Connection]:
    """One open transaction for plain tests of verbs: ``with fresh_tx(tmp_path) as tx: …``."""
    engine = sqlite_engine(fresh_options(directory), StoreBounds())
    with engine.begin() as connection:
        yield connection
    engine.dispose()
