"""Books in any currency, who buys from which, and who is locked to what."""

from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from tests.support.settled import Desk
from tests.support.tariffs import lines_of
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import (
    DEFAULT,
    Book,
    PriceLock,
    PriceVersion,
    Step,
    Tariff,
)

DAY_US = 86_400_000_000


def tariff(pico: int) -> Tariff:
    lines = lines_of(input=pico, output=pico)
    return Tariff(ServiceTier.STANDARD, DataTerms.PRIVATE, (Step(0, lines),))


def book(desk: Desk, name: str = "europe", currency: str = "EUR") -> Book:
    return desk.write(lambda op, tx: prices.create_book(op, tx, name, currency, desk.ids))


def assign(desk: Desk, wanted: Book, org: str = "org_a") -> None:
    desk.write(lambda op, tx: prices.assign_book(op, tx, org, wanted))


def paid(desk: Desk, org: str = "org_a", model: str = "m") -> prices.Price:
    found = desk.read(lambda op, tx: prices.offered(op, tx, org, model))
    return prices.price_in(found, ServiceTier.STANDARD, DataTerms.PRIVATE)


def lock(desk: Desk, version: PriceVersion, **fields: Any) -> PriceLock:
    plain = {"org_id": "org_a", "model": "m", "from_us": desk.clock.us, "until_us": None}
    ask = PriceLock(**{**plain, "version_id": version.id, "sequence": 0, **fields})
    return desk.write(lambda op, tx: prices.lock(op, tx, ask))


def locks(desk: Desk, org: str | None = "org_a") -> tuple[PriceLock, ...]:
    return desk.read(lambda op, tx: prices.locks(op, tx, org))


def unlock(desk: Desk, model: str = "m") -> tuple[PriceLock, ...]:
    return desk.write(lambda op, tx: prices.unlock(op, tx, "org_a", model))


def refusal(work: Any, *asked: Any, **fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        work(*asked, **fields)
    return caught.value


def test_the_default_book_is_there_and_in_dollars(desk: Desk) -> None:
    assert desk.read(prices.books) == (DEFAULT,)
    assert Book("default", "default", "USD") == DEFAULT
    assert desk.read(lambda op, tx: prices.book_by(op, tx, "default")) == DEFAULT
    assert desk.read(lambda op, tx: prices.book_of(op, tx, "org_a")) == DEFAULT
    assert desk.read(prices.books_of) == {}


def test_a_book_is_found_by_its_name_and_by_its_id(desk: Desk) -> None:
    europe, japan = book(desk), book(desk, "japan", "JPY")
    assert desk.read(prices.books) == (DEFAULT, europe, japan)
    for text in (europe.name, europe.id):
        assert desk.read(lambda op, tx, text=text: prices.book_by(op, tx, text)) == europe


@pytest.mark.parametrize("name", ["nowhere", "", "a\0b"])
def test_an_unknown_book_is_refused(desk: Desk, name: str) -> None:
    problem = refusal(desk.read, lambda op, tx: prices.book_by(op, tx, name))
    assert problem.code is Code.NAME_NOT_FOUND


@pytest.mark.parametrize(
    ("name", "currency", "code", "param"),
    [
        ("b", "EURO", Code.INVALID_VALUE, "currency"),
        ("b", "XTS", Code.INVALID_VALUE, "currency"),
        ("b", "", Code.INVALID_VALUE, "currency"),
        ("", "EUR", Code.INVALID_VALUE, "name"),
        ("b" * 101, "EUR", Code.INVALID_VALUE, "name"),
        ("a\nb", "EUR", Code.INVALID_VALUE, "name"),
        ("default", "EUR", Code.ALREADY_EXISTS, "name"),
        ("europe", "USD", Code.ALREADY_EXISTS, "name"),
    ],
)
def test_a_book_that_cannot_be_is_refused_by_name(
    desk: Desk, name: str, currency: str, code: Code, param: str
) -> None:
    before = book(desk)
    problem = refusal(book, desk, name, currency)
    assert (problem.code, problem.param) == (code, param)
    assert desk.read(prices.books) == (DEFAULT, before)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE price_book SET currency = 'USD'",
        "UPDATE price_book SET name = 'x'",
        "DELETE FROM price_book",
        "INSERT INTO price_book VALUES ('b2', 'default', 'EUR', 1, 'me')",
        "INSERT INTO price_book VALUES ('b2', 'x', 'EURO', 1, 'me')",
        "INSERT INTO price_book VALUES ('b2', 'europe', 'USD', 1, 'me')",
        "INSERT INTO org_book VALUES ('org_a', 'nowhere', 1, 'me')",
    ],
)
def test_the_database_keeps_a_book_as_it_was_made(desk: Desk, statement: str) -> None:
    made = book(desk)
    with pytest.raises(DBAPIError):
        desk.sql(statement)
    assert desk.read(prices.books) == (DEFAULT, made)


def test_an_organization_pays_the_prices_of_its_own_book(desk: Desk) -> None:
    europe = book(desk)
    dollars = desk.price("m", tariff(1000))
    euros = desk.price("m", tariff(900), book=europe)
    assign(desk, europe)
    assert (paid(desk).version_id, paid(desk).currency) == (euros.id, "EUR")
    assert (paid(desk, "org_b").version_id, paid(desk, "org_b").currency) == (dollars.id, "USD")
    assert desk.read(prices.books_of) == {"org_a": europe}
    assert desk.read(lambda op, tx: prices.listed(op, tx, europe)) == (euros,)
    assert desk.read(lambda op, tx: prices.listed(op, tx, DEFAULT)) == (dollars,)
    assert [v.sequence for v in (dollars, euros)] == [1, 2]


def test_a_price_of_another_book_never_stands_in(desk: Desk) -> None:
    desk.price("m", tariff(1000))
    assign(desk, book(desk))
    assert refusal(paid, desk).code is Code.PRICE_UNKNOWN


def test_an_organization_changes_its_book_and_goes_back(desk: Desk) -> None:
    desk.price("m", tariff(1000))
    europe, japan = book(desk), book(desk, "japan", "JPY")
    for wanted in (europe, europe, japan, DEFAULT, DEFAULT):
        assign(desk, wanted)
        assert desk.read(lambda op, tx: prices.book_of(op, tx, "org_a")) == wanted
    assert paid(desk).currency == "USD"
    assert desk.rows("SELECT count(*) FROM org_book") == [(0,)]


def test_a_locked_price_is_paid_whatever_is_published(desk: Desk) -> None:
    first = desk.price("m", tariff(1000))
    made = lock(desk, first)
    second = desk.price("m", tariff(2000))
    assert paid(desk).version_id == first.id
    assert paid(desk, "org_b").version_id == second.id
    assert locks(desk) == locks(desk, None) == (made,)
    assert locks(desk, "org_b") == ()
    assert made.sequence == 1


def test_a_lock_holds_for_its_span_alone(desk: Desk) -> None:
    first = desk.price("m", tariff(1000))
    start_us = desk.clock.us + DAY_US
    lock(desk, first, from_us=start_us, until_us=start_us + DAY_US)
    second = desk.price("m", tariff(2000))
    for offset_us, version in ((-1, second), (0, first), (DAY_US - 1, first), (DAY_US, second)):
        desk.clock.us = start_us + offset_us
        assert paid(desk).version_id == version.id


def test_one_lock_follows_another_and_none_overlaps(desk: Desk) -> None:
    first, second = desk.price("m", tariff(1000)), desk.price("m", tariff(2000))
    now_us = desk.clock.us
    lock(desk, first, until_us=now_us + DAY_US)
    assert lock(desk, second, from_us=now_us + DAY_US).sequence == 2
    for from_us, until_us in ((now_us, None), (now_us + DAY_US - 1, now_us + DAY_US)):
        problem = refusal(lock, desk, second, from_us=from_us, until_us=until_us)
        assert problem.code is Code.STATE_CONFLICT
    assert len(locks(desk)) == 2
    desk.clock.us = now_us + DAY_US
    assert paid(desk).version_id == second.id


def test_models_are_locked_one_by_one(desk: Desk) -> None:
    first, other = desk.price("m", tariff(1000)), desk.price("n", tariff(1000))
    lock(desk, first)
    lock(desk, other, model="n")
    desk.price("n", tariff(5))
    unlock(desk)
    assert paid(desk, model="n").version_id == other.id


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"version_id": "price_x"}, Code.PRICE_UNKNOWN),
        ({"model": "n"}, Code.PRICE_UNKNOWN),
        ({"until_us": 0}, Code.INVALID_VALUE),
    ],
)
def test_a_lock_that_cannot_be_is_refused(desk: Desk, fields: dict[str, Any], code: Code) -> None:
    assert refusal(lock, desk, desk.price("m", tariff(1000)), **fields).code is code
    assert locks(desk) == ()


def test_a_version_of_another_book_is_no_lock(desk: Desk) -> None:
    euros = desk.price("m", tariff(900), book=book(desk))
    assert refusal(lock, desk, euros).code is Code.STATE_CONFLICT


def test_of_two_who_lock_at_once_one_is_told_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = desk.price("m", tariff(1000))
    made = lock(desk, version)
    monkeypatch.setattr(prices.sql, "locks", lambda tx, org_id: ())
    problem = refusal(lock, desk, version)
    monkeypatch.undo()
    assert problem.code is Code.STATE_CONFLICT
    assert "Somebody else" in problem.public
    assert locks(desk) == (made,)


def test_unlocking_ends_what_holds_now_or_later_and_leaves_a_trace(desk: Desk) -> None:
    first = desk.price("m", tariff(1000))
    second = desk.price("m", tariff(2000))
    now_us = desk.clock.us
    lock(desk, first, until_us=now_us + DAY_US)
    lock(desk, first, from_us=now_us + 2 * DAY_US)
    desk.clock.us += 1000
    assert len(unlock(desk)) == 2
    assert paid(desk).version_id == second.id
    ended, never = locks(desk)
    assert ended.until_us == desk.clock.us
    assert never.from_us == never.until_us == now_us + 2 * DAY_US
    assert desk.rows("SELECT ended_by FROM price_lock") == [("tester",), ("tester",)]
    desk.clock.us = now_us + 3 * DAY_US
    assert paid(desk).version_id == second.id
    assert refusal(unlock, desk).code is Code.NAME_NOT_FOUND
    assert lock(desk, first).sequence == 3


def test_a_lock_that_is_over_is_not_ended_again(desk: Desk) -> None:
    version = desk.price("m", tariff(1000))
    made = lock(desk, version, until_us=desk.clock.us + 10)
    desk.clock.us += 10
    assert refusal(unlock, desk).code is Code.NAME_NOT_FOUND
    assert locks(desk) == (made,)


def test_a_locked_organization_stays_in_its_book(desk: Desk) -> None:
    version, europe = desk.price("m", tariff(1000)), book(desk)
    lock(desk, version)
    problem = refusal(assign, desk, europe)
    assert problem.code is Code.STATE_CONFLICT
    assign(desk, DEFAULT)
    unlock(desk)
    assign(desk, europe)
    assert desk.read(lambda op, tx: prices.book_of(op, tx, "org_a")) == europe


def test_the_database_refuses_a_lock_that_ends_before_it_begins(desk: Desk) -> None:
    version = desk.price("m", tariff(1000))
    with pytest.raises(DBAPIError):
        desk.sql(
            f"INSERT INTO price_lock VALUES ('org_a', 'm', 1, '{version.id}', 5, 4, 1, 'me', NULL)"
        )
