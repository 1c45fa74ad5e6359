"""Statements at the price of the driver do what the same statements do through SQLAlchemy."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from tests.support.stores import fresh_tx
from tokenbooth.store.faults import is_outage
from tokenbooth.store.listing import listed, listing
from tokenbooth.store.prepared import Prepared
from tokenbooth.store.tables.money import LEDGER_ACCOUNT, SPEND_LIMIT

ADD = Prepared(
    insert(SPEND_LIMIT).values(
        {name: bindparam(name) for name in ("id", "scope", "owner_id", "limit_nano", "spent_nano")}
        | {"held_nano": 0}
    )
)
SPENT = Prepared(
    select(SPEND_LIMIT.c.id, SPEND_LIMIT.c.spent_nano)
    .where(SPEND_LIMIT.c.id.in_(select(listing("ids").c.value)))
    .order_by(SPEND_LIMIT.c.id)
)
EVERYTHING = Prepared(select(SPEND_LIMIT.c.id).order_by(SPEND_LIMIT.c.id))
SPEND = Prepared(
    update(SPEND_LIMIT)
    .where(SPEND_LIMIT.c.id == bindparam("limit"), SPEND_LIMIT.c.spent_nano == bindparam("n") - 1)
    .values(spent_nano=bindparam("n"))
    .returning(SPEND_LIMIT.c.limit_nano)
)


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Connection]:
    with fresh_tx(tmp_path) as opened:
        yield opened


def limit(owner: str, spent_nano: object = 0, limit_nano: object = 100) -> dict:
    return {
        "id": f"key:{owner}",
        "scope": "key",
        "owner_id": owner,
        "limit_nano": limit_nano,
        "spent_nano": spent_nano,
    }


def spent(tx: Connection, *names: str) -> dict[str, int]:
    return dict(map(tuple, SPENT.rows(tx, {"ids": listed(names)})))


def test_rows_are_written_and_found(tx: Connection) -> None:
    ADD.many(tx, [limit("a", 1), limit("b", 2), limit("c", 3)])
    assert spent(tx, "key:c", "key:a", "key:nobody") == {"key:a": 1, "key:c": 3}


def test_what_the_statement_fixes_needs_no_value(tx: Connection) -> None:
    ADD.many(tx, [limit("a")])
    assert tx.execute(select(SPEND_LIMIT.c.held_nano)).scalars().all() == [0]


def test_a_query_without_values_needs_none(tx: Connection) -> None:
    ADD.many(tx, [limit("b"), limit("a")])
    assert [tuple(row) for row in EVERYTHING.rows(tx)] == [("key:a",), ("key:b",)]


def test_no_rows_is_no_statement(tx: Connection) -> None:
    ADD.many(tx, [])
    assert EVERYTHING.rows(tx) == []


def test_a_name_may_stand_twice_and_a_change_returns_what_it_hit(tx: Connection) -> None:
    ADD.many(tx, [limit("a", 4)])
    assert [tuple(row) for row in SPEND.rows(tx, {"limit": "key:a", "n": 5})] == [(100,)]
    assert SPEND.rows(tx, {"limit": "key:a", "n": 5}) == []
    assert spent(tx, "key:a") == {"key:a": 5}


@pytest.mark.parametrize("amount", [1.0, True, "1", b"1"])
def test_a_whole_number_is_an_int_and_nothing_else(tx: Connection, amount: object) -> None:
    with pytest.raises(TypeError, match="takes int alone"):
        ADD.many(tx, [limit("a"), limit("b", amount)])
    assert EVERYTHING.rows(tx) == []


def test_a_missing_value_is_no_null(tx: Connection) -> None:
    row = limit("a")
    del row["limit_nano"]
    with pytest.raises(KeyError, match="limit_nano"):
        ADD.many(tx, [row])


def test_null_is_null(tx: Connection) -> None:
    ADD.many(tx, [limit("a", limit_nano=None)])
    assert tx.execute(select(SPEND_LIMIT.c.limit_nano)).scalars().all() == [None]


def test_a_broken_rule_is_told_as_ever_and_is_no_outage(tx: Connection) -> None:
    with pytest.raises(IntegrityError, match="never_over") as caught:
        ADD.many(tx, [limit("a", 101)])
    assert not is_outage(caught.value)
    assert isinstance(caught.value.orig, sqlite3.IntegrityError)


def test_a_change_that_breaks_a_rule_is_told_alike(tx: Connection) -> None:
    ADD.many(tx, [limit("a", 100)])
    with pytest.raises(IntegrityError, match="never_over"):
        SPEND.rows(tx, {"limit": "key:a", "n": 101})


def test_an_outage_is_an_outage(tx: Connection) -> None:
    tx.execute(text("DROP TABLE ledger_posting"))
    tx.execute(text("DROP TABLE ledger_account"))
    with pytest.raises(OperationalError, match="no such table") as caught:
        Prepared(select(LEDGER_ACCOUNT.c.id)).rows(tx)
    assert not is_outage(caught.value)
    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
    caught.value.orig = locked
    assert is_outage(caught.value)


def test_values_are_not_told_in_the_error(tx: Connection) -> None:
    with pytest.raises(IntegrityError) as caught:
        ADD.many(tx, [limit("secret-owner", 101)])
    assert "secret-owner" not in str(caught.value)


def test_what_is_written_is_of_the_same_transaction(tx: Connection) -> None:
    step = tx.begin_nested()
    ADD.many(tx, [limit("a")])
    step.rollback()
    assert EVERYTHING.rows(tx) == []


def test_a_list_of_parameters_is_refused(tx: Connection) -> None:
    expanding = Prepared(
        select(SPEND_LIMIT.c.id).where(SPEND_LIMIT.c.id.in_(bindparam("ids", expanding=True)))
    )
    with pytest.raises(AssertionError, match="bound as one text"):
        expanding.rows(tx, {"ids": "key:a"})
