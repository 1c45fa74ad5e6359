"""Outages are told from faults of a statement, by the database's own codes."""

import sqlite3

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.faults import is_outage, sqlstate, unavailable


class StateError(Exception):
    def __init__(self, state: str | None) -> None:
        super().__init__(state)
        self.sqlstate = state


def wrapped(original: BaseException, *, invalidated: bool = False) -> DBAPIError:
    return DBAPIError("SELECT 1", {}, original, connection_invalidated=invalidated)


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("from the test")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("state", ["08006", "28P01", "3D000", "40001", "40P01", "53300", "57P01"])
def test_states_of_an_absent_or_busy_server_are_outages(state: str) -> None:
    assert is_outage(wrapped(StateError(state)))


def test_a_lock_not_had_is_an_outage_but_other_object_states_are_not() -> None:
    assert is_outage(wrapped(StateError("55P03")))
    assert not is_outage(wrapped(StateError("55000")))


@pytest.mark.parametrize("state", ["23505", "42P01", "22003", "P0001", None])
def test_states_of_a_wrong_statement_are_not(state: str | None) -> None:
    assert not is_outage(wrapped(StateError(state)))
    assert sqlstate(wrapped(StateError(state))) == state


@pytest.mark.parametrize("code", [5, 6, 10, 13, 14, 26, 5 + (2 << 8), 10 + (3 << 8)])
def test_sqlite_codes_of_disk_and_lock_are_outages(code: int) -> None:
    assert is_outage(wrapped(sqlite_error(code)))


@pytest.mark.parametrize("code", [1, 19, 19 + (1 << 8), 20])
def test_sqlite_codes_of_a_wrong_statement_are_not(code: int) -> None:
    assert not is_outage(wrapped(sqlite_error(code)))


def test_a_lost_connection_is_an_outage_whatever_it_says() -> None:
    assert is_outage(wrapped(StateError(None), invalidated=True))


@pytest.mark.parametrize(
    "error", [OSError("no socket"), TimeoutError(), ConnectionRefusedError(), PoolTimeout("full")]
)
def test_no_connection_in_time_is_an_outage(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [Problem(Code.INTERNAL, "x"), ValueError("x"), IntegrityError("INSERT", {}, Exception("x"))],
)
def test_a_verbs_own_error_is_none(error: Exception) -> None:
    assert not is_outage(error)


def test_the_answer_asks_to_come_back() -> None:
    problem = unavailable("why")
    assert (problem.code, problem.detail) == (Code.LEDGER_UNAVAILABLE, "why")
    assert problem.retry_after_s == 1
    assert "why" not in problem.public
