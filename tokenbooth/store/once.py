"""One piece of work in one transaction, outside a store: for commands, not for serving."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from tokenbooth.store.faults import FAILURES, is_outage, unavailable
from tokenbooth.store.options import StoreBounds, StoreOptions
from tokenbooth.store.postgres import run_once_postgres
from tokenbooth.store.sqlite import sqlite_engine

T = TypeVar("T")


def run_once(options: StoreOptions, work: Callable[[Connection], T], *, reading: bool = False) -> T:
    """Commit what ``work`` did when it returns, roll it back when it raises.

    ``reading`` waits for no writer. Call it outside an event loop. Raises LEDGER_UNAVAILABLE when
    the database cannot be reached.
    """
    if not options.is_sqlite:
        return run_once_postgres(options, work)
    try:
        begin = "BEGIN" if reading else "BEGIN IMMEDIATE"
        with sqlite_engine(options, StoreBounds(), begin=begin).begin() as connection:
            return work(connection)
    except FAILURES as error:
        if is_outage(error):
            raise unavailable(repr(error)) from error
        raise
