"""A bank whose database believes what time it is told.

Replicas judge by the bank's own clock, which goes on as the database's does unless a test says
otherwise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from tests.support.bank import Bank, opened_bank
from tests.support.ops import ManualClock
from tests.support.stores import fresh_options
from tokenbooth.store import sqlite
from tokenbooth.store.once import run_once
from tokenbooth.store.options import StoreOptions

US = 1_000_000
START = "2026-11-20T12:00:00"


def moment_us(moment: str) -> int:
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * US)


@dataclass
class Timed:
    """``bank`` at the moment that ``to`` has set."""

    bank: Bank
    set_us: Callable[[int], None]
    now_us: int = moment_us(START)

    def to(self, moment: str, *, replicas_us: int | None = None) -> None:
        """Go on to that time; the clock of the replicas by ``replicas_us`` where that differs."""
        later_us = moment_us(moment)
        self.bank.clock.us += later_us - self.now_us if replicas_us is None else replicas_us
        self.now_us = later_us
        self.set_us(later_us)


@contextmanager
def timed_sqlite(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Timed]:
    clock = ManualClock(moment_us(START))
    monkeypatch.setattr(sqlite, "_now_us", clock.now_us)

    def set_us(us: int) -> None:
        clock.us = us

    with opened_bank(fresh_options(directory)) as bank:
        yield Timed(bank, set_us)


FAKE_CLOCK = """
CREATE FUNCTION fake.clock_timestamp() RETURNS timestamptz LANGUAGE sql
AS 'SELECT to_timestamp(0) + us * interval ''1 microsecond'' FROM fake.moment'
"""
FAKE_PATH = """
DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET search_path = fake, pg_catalog, public'',
current_database()); END'
"""
FAKES = (
    "CREATE SCHEMA fake",
    "CREATE TABLE fake.moment (us BIGINT NOT NULL)",
    f"INSERT INTO fake.moment VALUES ({moment_us(START)})",
    FAKE_CLOCK,
    FAKE_PATH,
)


@contextmanager
def timed_postgres(options: StoreOptions) -> Iterator[Timed]:
    """The schema before ``pg_catalog`` in the search path has a clock of its own."""

    def fake(connection: Connection) -> None:
        for statement in FAKES:
            connection.execute(text(statement))

    run_once(options, fake)
    with opened_bank(options) as bank:
        yield Timed(bank, lambda us: bank.sql(f"UPDATE fake.moment SET us = {us}"))
