"""One piece of work in one transaction, outside a store: for commands, not for serving."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from tokenbooth.store.faults import is_outage, unavailable
from tokenbooth.store.options import StoreBounds, StoreOptions
from tokenbooth.store.postgres import run_once_postgres
from tokenbooth.store.sqlite import sqlite_engine

T = TypeVar("T")


def run_once(options: StoreOptions, work: Callable[[Connection], T]) -> T:
    """Commit what ``work`` did when it returns, roll it back when it raises.

    Call it outside an event loop. Raises LEDGER_UNAVAILABLE when the database cannot be reached.
    """
    if not options.is_sqlite:
        return run_once_postgres(options, work)
    try:
        with sqlite_engine(options, StoreBounds()).begin() as connection:
            return work(connection)
    except DatabaseError as error:
        if is_outage(error):
            raise unavailable(repr(error)) from error
        raise
