"""Price versions: immutable, dated, authored, and found again by every call that used them."""

import pytest
from sqlalchemy.exc import DBAPIError

from tests.support.bank import Bank
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import Meter, price_in

PLAIN = (ServiceTier.STANDARD, DataTerms.PRIVATE)


def test_the_newest_version_is_current(bank: Bank) -> None:
    first = bank.price(10, 20)
    second = bank.price(11, 21, 5)
    current = bank.read(lambda op, tx: prices.current(op, tx, "m"))
    assert current == second
    assert current.lines == {Meter.INPUT: 11, Meter.OUTPUT: 21, Meter.CACHED_INPUT: 5}
    assert first.version_id != second.version_id


def test_an_old_version_keeps_its_lines(bank: Bank) -> None:
    first = bank.price(10, 20, 1)
    bank.price(11, 21)
    found = bank.read(lambda op, tx: prices.by_version(op, tx, first.version_id, "m"))
    assert found == first


def test_history_lists_every_version_newest_first(bank: Bank) -> None:
    first, second = bank.price(10, 20), bank.price(0, 0)
    bank.price(5, 5, model="other")
    history = bank.read(lambda op, tx: prices.history(op, tx, "m"))
    assert [price_in(version, *PLAIN) for version in history] == [second, first]
    assert [version.sequence for version in history] == [2, 1]
    assert {version.author for version in history} == {"tester"}
    assert history[0].effective_us > history[1].effective_us


def test_models_have_their_own_prices(bank: Bank) -> None:
    bank.price(10, 20)
    other = bank.price(1, 2, model="other")
    assert bank.read(lambda op, tx: prices.current(op, tx, "other")) == other
    assert bank.read(lambda op, tx: prices.history(op, tx, "third")) == ()


def test_a_model_without_price_is_refused(bank: Bank) -> None:
    with pytest.raises(Problem) as refused:
        bank.read(lambda op, tx: prices.current(op, tx, "m"))
    assert refused.value.code is Code.PRICE_UNKNOWN
    assert refused.value.param == "model"


def test_a_version_of_another_model_is_not_found(bank: Bank) -> None:
    price = bank.price(10, 20)
    with pytest.raises(Problem) as refused:
        bank.read(lambda op, tx: prices.by_version(op, tx, price.version_id, "other"))
    assert refused.value.code is Code.PRICE_UNKNOWN


def test_a_version_that_lost_a_line_is_no_price(bank: Bank) -> None:
    bank.price(10, 20)
    bank.unguarded("price_line", "DELETE FROM price_line WHERE meter = 'output'")
    with pytest.raises(Problem) as refused:
        bank.read(lambda op, tx: prices.current(op, tx, "m"))
    assert refused.value.code is Code.PRICE_UNKNOWN


def test_a_refused_price_publishes_nothing(bank: Bank) -> None:
    with pytest.raises(Problem):
        bank.price(10, -20)
    assert bank.rows("SELECT count(*) FROM price_version") == [(0,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE price_line SET unit_pico = 1",
        "DELETE FROM price_line",
        "UPDATE price_version SET author = 'somebody'",
        "DELETE FROM price_version",
    ],
)
def test_the_database_refuses_to_change_a_published_price(bank: Bank, statement: str) -> None:
    bank.price(10, 20)
    with pytest.raises(DBAPIError):
        bank.sql(statement)
    assert bank.read(lambda op, tx: prices.current(op, tx, "m")).lines[Meter.INPUT] == 10
