"""The way in: one call for both databases."""

from typing import Protocol

from tokenbooth.core.ports import Store
from tokenbooth.store.options import StoreBounds, StoreOptions
from tokenbooth.store.postgres import PostgresStore
from tokenbooth.store.sqlite import SqliteStore

BOUNDS = StoreBounds()


class AsyncStore(Store, Protocol):
    """A store that can be closed; ``close`` finishes what was queued."""

    async def close(self) -> None: ...


def open_store(options: StoreOptions, bounds: StoreBounds = BOUNDS) -> AsyncStore:
    """Open the store that the URL names; the first verb, not this call, reaches the database.

    Raises INVALID_VALUE for a URL that no store can open, and LEDGER_UNAVAILABLE when the drivers
    of PostgreSQL are not installed.
    """
    options.check()
    if options.is_sqlite:
        return SqliteStore(options, bounds)
    return PostgresStore(options, bounds)
