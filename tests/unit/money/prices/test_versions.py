"""Price versions: immutable, dated, authored, and found again by every call that used them."""

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
    Meter,
    PriceAsk,
    Step,
    Tariff,
    Uses,
    VersionAsk,
)

PLAIN = (ServiceTier.STANDARD, DataTerms.PRIVATE)
FLEX = (ServiceTier.FLEX, DataTerms.PRIVATE)


def publish(desk: Desk, *picos: int, model: str = "m") -> prices.Price:
    ask = PriceAsk(model, *picos)
    return desk.write(lambda op, tx: prices.publish(op, tx, ask, desk.ids))


def current(desk: Desk, model: str = "m") -> prices.Price:
    return desk.read(lambda op, tx: prices.current(op, tx, model))


def question(desk: Desk, **fields: Any) -> prices.Price:
    """What ``org_a`` pays for a call; of the standard tier under private terms unless told."""
    model = fields.pop("model", "m")
    terms = fields.pop("tier", PLAIN[0]), fields.pop("data_terms", PLAIN[1])
    found = desk.read(lambda op, tx: prices.offered(op, tx, "org_a", model))
    return prices.price_in(found, *terms, **fields)


def rich() -> tuple[Tariff, ...]:
    """Every tier under all terms, with every meter and two context steps."""
    made = []
    for number, tier in enumerate(ServiceTier, 1):
        for terms in DataTerms:
            first, above = (
                {meter: number * size for size, meter in enumerate(Meter, start)}
                for start in (1, 100)
            )
            made.append(Tariff(tier, terms, (Step(0, first), Step(200_000, above))))
    return tuple(made)


def refused(desk: Desk, code: Code, **fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        question(desk, **fields)
    assert caught.value.code is code
    return caught.value


def test_the_newest_version_is_current(desk: Desk) -> None:
    first, second = publish(desk, 10, 20), publish(desk, 11, 21, 5)
    assert current(desk) == second
    assert second.lines == {Meter.INPUT: 11, Meter.OUTPUT: 21, Meter.CACHED_INPUT: 5}
    assert first.version_id != second.version_id


def test_an_old_version_keeps_its_lines(desk: Desk) -> None:
    first = publish(desk, 10, 20, 1)
    publish(desk, 11, 21)
    found = desk.read(lambda op, tx: prices.version(op, tx, first.version_id, "m"))
    assert prices.price_in(found, *PLAIN) == first


def test_history_lists_every_version_newest_first(desk: Desk) -> None:
    first, second = publish(desk, 10, 20), publish(desk, 0, 0)
    publish(desk, 5, 5, model="other")
    history = desk.read(lambda op, tx: prices.history(op, tx, "m"))
    assert [prices.price_in(version, *PLAIN) for version in history] == [second, first]
    assert [version.sequence for version in history] == [2, 1]
    assert {version.author for version in history} == {"tester"}
    assert history[0].effective_us > history[1].effective_us


def test_models_have_their_own_prices(desk: Desk) -> None:
    publish(desk, 10, 20)
    other = publish(desk, 1, 2, model="other")
    assert current(desk, "other") == other
    assert desk.read(lambda op, tx: prices.history(op, tx, "third")) == ()


def test_everything_that_a_version_says_is_kept(desk: Desk) -> None:
    made = desk.price("m", *reversed(rich()))
    assert made.tariffs == rich()
    assert desk.read(lambda op, tx: prices.newest(op, tx, DEFAULT, "m")) == made
    assert desk.read(lambda op, tx: prices.version(op, tx, made.id, "m")) == made
    assert desk.read(lambda op, tx: prices.history(op, tx, "m")) == (made,)
    assert desk.read(lambda op, tx: prices.listed(op, tx, DEFAULT)) == (made,)


@pytest.mark.parametrize("tier", list(ServiceTier))
@pytest.mark.parametrize("data_terms", list(DataTerms))
def test_a_call_gets_the_price_of_its_own_terms(
    desk: Desk, tier: ServiceTier, data_terms: DataTerms
) -> None:
    made = desk.price("m", *rich())
    (tariff,) = (each for each in rich() if prices.terms_of(each) == (tier, data_terms))
    found = question(desk, tier=tier, data_terms=data_terms, uses=Uses(images=2))
    assert (found.version_id, found.tier, found.data_terms) == (made.id, tier, data_terms)
    assert found.lines == tariff.steps[0].lines
    assert found.steps == tariff.steps[1:]
    assert found.uses == Uses(images=2)


def test_terms_without_a_price_are_refused_and_nothing_stands_in(desk: Desk) -> None:
    publish(desk, 10, 20)
    flex = refused(desk, Code.PRICE_NOT_OFFERED, tier=ServiceTier.FLEX)
    assert flex.param == "service_tier"
    assert "standard under private terms" in flex.public
    shared = refused(desk, Code.PRICE_NOT_OFFERED, data_terms=DataTerms.CONTRIBUTOR)
    assert shared.param is None


def test_a_model_without_price_is_refused(desk: Desk) -> None:
    """The named regression "unknown price", where it is decided."""
    assert refused(desk, Code.PRICE_UNKNOWN).param == "model"
    with pytest.raises(Problem) as caught:
        current(desk)
    assert caught.value.code is Code.PRICE_UNKNOWN


def test_a_standard_price_is_current_only_where_there_is_one(desk: Desk) -> None:
    desk.price("m", Tariff(*FLEX, (Step(0, lines_of(input=1, output=1)),)))
    with pytest.raises(Problem) as caught:
        current(desk)
    assert caught.value.code is Code.PRICE_NOT_OFFERED


def test_a_plain_price_leaves_the_other_terms_as_they_are(desk: Desk) -> None:
    desk.price("m", *rich())
    publish(desk, 7, 8)
    assert question(desk, **dict(zip(("tier", "data_terms"), PLAIN, strict=True))).lines == {
        Meter.INPUT: 7,
        Meter.OUTPUT: 8,
    }
    assert question(desk, tier=ServiceTier.FLEX).lines == rich()[4].steps[0].lines


def test_a_version_of_another_model_is_not_found(desk: Desk) -> None:
    price = publish(desk, 10, 20)
    with pytest.raises(Problem) as caught:
        desk.read(lambda op, tx: prices.version(op, tx, price.version_id, "other"))
    assert caught.value.code is Code.PRICE_UNKNOWN


@pytest.mark.parametrize(
    "lost",
    ["meter = 'output'", "meter = 'input' AND tier = 'batch'", "context_min_tokens = 0"],
)
def test_a_version_that_lost_a_line_is_no_price(desk: Desk, lost: str) -> None:
    desk.price("m", *rich())
    for trigger in ("price_line_never_deleted",):
        on = "" if desk.options.is_sqlite else " ON price_line"
        desk.sql(f"DROP TRIGGER {trigger}{on}")
    desk.sql(f"DELETE FROM price_line WHERE {lost}")
    refused(desk, Code.PRICE_UNKNOWN)
    assert desk.read(lambda op, tx: prices.listed(op, tx, DEFAULT)) == ()


def test_a_refused_price_publishes_nothing(desk: Desk) -> None:
    with pytest.raises(Problem):
        publish(desk, 10, -20)
    assert desk.rows("SELECT count(*) FROM price_version") == [(0,)]


def test_of_two_who_publish_at_once_one_is_told_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have seen the same newest version; the second finds its number taken."""
    first = publish(desk, 10, 20)
    ask = VersionAsk(DEFAULT, "m", (prices.tariff_of(PriceAsk("m", 11, 21)),))
    monkeypatch.setattr(prices.sql, "last_sequence", lambda tx, model: 0)
    with pytest.raises(Problem) as caught:
        desk.write(lambda op, tx: prices.publish_version(op, tx, ask, desk.ids))
    assert caught.value.code is Code.STATE_CONFLICT
    assert "Somebody else" in caught.value.public
    assert current(desk) == first
    assert desk.rows("SELECT count(*) FROM price_line") == [(2,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE price_line SET unit_pico = 1",
        "DELETE FROM price_line",
        "UPDATE price_version SET author = 'somebody'",
        "UPDATE price_version SET currency = 'EUR'",
        "DELETE FROM price_version",
    ],
)
def test_the_database_refuses_to_bend_a_published_price(desk: Desk, statement: str) -> None:
    before = publish(desk, 10, 20)
    with pytest.raises(DBAPIError):
        desk.sql(statement)
    assert current(desk) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"version_id": "'price_x'"},
        {"tier": "'gold'"},
        {"data_terms": "'public'"},
        {"context_min_tokens": "-1"},
        {"meter": "'storage'"},
        {"unit_pico": "-1"},
        {"meter": "'input'"},
    ],
    ids=lambda changed: "-".join(changed),
)
def test_no_line_of_a_price_is_born_wrong(desk: Desk, changed: dict[str, str]) -> None:
    before = publish(desk, 10, 20)
    good = {
        "version_id": f"'{before.version_id}'",
        "tier": "'standard'",
        "data_terms": "'private'",
        "context_min_tokens": "0",
        "meter": "'search'",
        "unit_pico": "1",
    }
    names, values = ", ".join(good), ", ".join({**good, **changed}.values())
    with pytest.raises(DBAPIError):
        desk.sql(f"INSERT INTO price_line ({names}) VALUES ({values})")
    assert current(desk) == before
    desk.sql(f"INSERT INTO price_line ({names}) VALUES ({', '.join(good.values())})")
    assert current(desk).lines[Meter.SEARCH] == 1
