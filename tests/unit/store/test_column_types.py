"""Columns refuse what drivers would bend without a word."""

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, Text, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, StatementError

from tests.support.stores import fresh_tx
from tokenbooth.store.tables.metadata import (
    INT64_MAX,
    INT64_MIN,
    Flag,
    MicroTime,
    NanoAmount,
    PicoPrice,
    WholeNumber,
)

SCRATCH = Table(
    "scratch",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("amount", NanoAmount),
    Column("flag", Flag),
    sqlite_strict=True,
)
NUMBERS = (WholeNumber, NanoAmount, PicoPrice, MicroTime)
POSTGRES = postgresql.dialect()
SQLITE = sqlite.dialect()


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize(
    "value", [True, False, 1.0, 1.9, Decimal(2), Decimal("2.7"), "3", b"3", float("nan")]
)
@pytest.mark.parametrize("dialect", [POSTGRES, SQLITE], ids=["postgresql", "sqlite"])
def test_a_number_column_takes_int_alone(kind, value, dialect) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        kind().process_bind_param(value, dialect)


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("value", [INT64_MAX + 1, INT64_MIN - 1, 10**30])
def test_a_number_column_is_64_bits_wide(kind, value) -> None:
    with pytest.raises(OverflowError, match="64 bits"):
        kind().process_bind_param(value, SQLITE)


@pytest.mark.parametrize("value", [None, 0, 1, -1, INT64_MAX, INT64_MIN])
def test_whole_numbers_pass_both_ways(value) -> None:
    kind = NanoAmount()
    assert kind.process_bind_param(value, POSTGRES) == value
    assert kind.process_result_value(value, POSTGRES) == value


def test_a_sum_of_postgresql_comes_back_as_int() -> None:
    found = WholeNumber().process_result_value(Decimal(2**70), POSTGRES)
    assert found == 2**70
    assert type(found) is int


@pytest.mark.parametrize("value", [0, 1, "true", 1.0])
def test_a_flag_takes_bool_alone(value) -> None:
    with pytest.raises(TypeError):
        Flag().process_bind_param(value, SQLITE)


@pytest.mark.parametrize(("value", "stored"), [(True, 1), (False, 0), (None, None)])
def test_a_flag_is_stored_as_a_number(value, stored) -> None:
    assert Flag().process_bind_param(value, SQLITE) is stored or stored in (0, 1)
    assert Flag().process_bind_param(value, SQLITE) == stored
    assert Flag().process_result_value(stored, SQLITE) is value


@pytest.mark.parametrize("kind", [*NUMBERS, Flag])
def test_each_database_gets_its_64_bit_type(kind) -> None:
    assert kind().dialect_impl(POSTGRES).compile(POSTGRES) == "BIGINT"
    assert kind().dialect_impl(SQLITE).compile(SQLITE) == "INTEGER"


@pytest.mark.parametrize("value", [True, 1.9, Decimal(3), 2**63])
def test_a_bent_value_never_reaches_the_driver(tmp_path: Path, value) -> None:
    with fresh_tx(tmp_path) as tx:
        SCRATCH.create(tx)
        with pytest.raises(StatementError):
            tx.execute(insert(SCRATCH), {"name": "a", "amount": value})
        with pytest.raises(StatementError):
            tx.execute(select(SCRATCH).where(SCRATCH.c.amount + value > 1))
        assert tx.execute(select(func.count()).select_from(SCRATCH)).scalar_one() == 0


def test_a_strict_table_refuses_what_comes_around_the_types(tmp_path: Path) -> None:
    with fresh_tx(tmp_path) as tx:
        SCRATCH.create(tx)
        with pytest.raises(IntegrityError) as refused:
            tx.exec_driver_sql("INSERT INTO scratch (name, amount) VALUES ('a', 1.5)")
        assert isinstance(refused.value.orig, sqlite3.IntegrityError)


def test_rows_come_back_as_they_went(tmp_path: Path) -> None:
    with fresh_tx(tmp_path) as tx:
        SCRATCH.create(tx)
        rows = [
            {"name": "a", "amount": INT64_MAX, "flag": True},
            {"name": "b", "amount": INT64_MIN, "flag": False},
            {"name": "c", "amount": None, "flag": None},
        ]
        tx.execute(insert(SCRATCH), rows)
        found = tx.execute(select(SCRATCH).order_by(SCRATCH.c.name)).mappings().all()
        assert [dict(row) for row in found] == rows
        assert found[0]["flag"] is True
