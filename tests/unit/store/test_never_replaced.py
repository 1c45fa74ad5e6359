"""SQLite's INSERT OR REPLACE deletes without a word to triggers on DELETE; the books know of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from tests.support.bank import Bank, opened_bank
from tests.support.stores import fresh_options

BOOKED = ("price_version", "price_line", "ledger_txn", "ledger_posting")
KEPT = {
    "spend_limit": ("held_nano", "0"),
    "ledger_account": ("kind", "'revenue'"),
    "call_record": ("end_customer", "'somebody else'"),
}


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    """One settled call and one that runs."""
    with opened_bank(fresh_options(tmp_path)) as opened:
        opened.price(1000, 2000)
        opened.fund(1000)
        opened.hold("req_1")
        opened.settle("req_1")
        opened.hold("req_2")
        yield opened


def everything(bank: Bank, table: str) -> list[tuple[object, ...]]:
    return bank.rows(f"SELECT * FROM {table} ORDER BY 1, 2")


@pytest.mark.parametrize("table", BOOKED)
def test_a_booked_row_is_not_replaced(bank: Bank, table: str) -> None:
    before = everything(bank, table)
    with pytest.raises(DBAPIError, match=f"{table}_never_replaced"):
        bank.sql(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
    assert everything(bank, table) == before


def test_a_price_version_pushes_out_no_other_of_the_same_place(bank: Bank) -> None:
    columns = "'new', model, sequence, author, effective_us, book_id, currency"
    with pytest.raises(DBAPIError, match="price_version_never_replaced"):
        bank.sql(f"INSERT OR REPLACE INTO price_version SELECT {columns} FROM price_version")


@pytest.mark.parametrize("table", KEPT)
def test_a_row_of_money_stays_as_it_was(bank: Bank, table: str) -> None:
    before = everything(bank, table)
    changed, to = KEPT[table]
    names = [str(row[1]) for row in bank.rows(f"PRAGMA table_info({table})")]
    columns = ", ".join(to if name == changed else name for name in names)
    bank.sql(f"INSERT OR REPLACE INTO {table} SELECT {columns} FROM {table}")
    assert everything(bank, table) == before
