"""Quick databases for unit tests: a SQLite file with every table, as a store or as one open Tx."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from tokenbooth.store.open import AsyncStore, open_store
from tokenbooth.store.options import StoreBounds, StoreOptions
from tokenbooth.store.sqlite import connect_file, sqlite_engine
from tokenbooth.store.tables import access, catalog, money
from tokenbooth.store.tables.metadata import METADATA

__all__ = ["access", "catalog", "fresh_options", "fresh_store", "fresh_tx", "money"]


def fresh_options(directory: Path) -> StoreOptions:
    """Options of a new SQLite database under ``directory`` that has every table."""
    options = StoreOptions(f"sqlite:///{directory / 'tokenbooth.db'}")
    connect_file(options.sqlite_path, wait_ms=1000, create=True).close()
    with sqlite_engine(options, StoreBounds()).begin() as connection:
        METADATA.create_all(connection)
    return options


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
