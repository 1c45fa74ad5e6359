"""A misplaced decimal point in a price is caught before it is published."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ops import CountingIds
from tests.support.tariffs import lines_of
from tokenbooth.catalog.models.service import ModelAsk
from tokenbooth.control import documents, models, prices
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices import service as book
from tokenbooth.money.prices.service import (
    DEFAULT,
    Meter,
    Price,
    PriceAsk,
    PriceVersion,
    Step,
    Tariff,
    VersionAsk,
)

PICO = st.integers(0, 10**9)
PLAIN = (ServiceTier.STANDARD, DataTerms.PRIVATE)
FLEX = (ServiceTier.FLEX, DataTerms.PRIVATE)
SHARED = (ServiceTier.STANDARD, DataTerms.CONTRIBUTOR)


def tariff(terms: tuple[ServiceTier, DataTerms] = PLAIN, *above: Step, **picos: int) -> Tariff:
    return Tariff(*terms, (Step(0, lines_of(**picos)), *above))


def steps(had: list[Tariff], *asked: Tariff) -> list[str]:
    """What is suspicious, as ``meter tier/terms@context``."""
    found = prices.price_steps(had, VersionAsk(DEFAULT, "m", asked))
    return [
        f"{s.meter.value} {s.tariff.tier.value}/{s.tariff.data_terms.value}@{s.context_min_tokens}"
        for s in found
    ]


@pytest.fixture
def offered(op: Op, tx: Tx, ids: CountingIds) -> str:
    models.add_model(op, tx, ModelAsk(name="m", deployments=(models.scripted_deployment(),)), ids)
    return "m"


def publish(op: Op, tx: Tx, ids: Any, *picos: int | None, confirmed: bool = False) -> Price:
    return prices.price_model(op, tx, PriceAsk("m", *picos), ids, confirmed=confirmed)  # type: ignore[arg-type]


def set_tariff(op: Op, tx: Tx, ids: Any, wanted: Tariff, **fields: Any) -> PriceVersion:
    ask = prices.TariffAsk("m", wanted, fields.pop("book", "default"))
    return prices.set_tariff(op, tx, ask, ids, **{"confirmed": False, **fields})


def test_a_first_price_needs_no_confirmation(
    op: Op, tx: Tx, ids: CountingIds, offered: str
) -> None:
    assert prices.current_price(op, tx, "m") is None
    published = publish(op, tx, ids, 1_000_000, 2_000_000)
    assert prices.current_price(op, tx, "m") == published


def test_a_model_that_is_not_offered_has_no_price(op: Op, tx: Tx, ids: CountingIds) -> None:
    with pytest.raises(Problem) as caught:
        publish(op, tx, ids, 1, 1)
    assert caught.value.code is Code.MODEL_NOT_FOUND
    assert "'m'" in caught.value.public


@pytest.mark.usefixtures("offered")
def test_a_catalog_that_is_away_is_not_taken_for_a_missing_model(
    op: Op, tx: Tx, ids: CountingIds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*asked: object) -> None:
        raise Problem(Code.LEDGER_UNAVAILABLE, "away")

    monkeypatch.setattr(prices.catalog, "model_by", away)
    with pytest.raises(Problem) as caught:
        publish(op, tx, ids, 1, 1)
    assert caught.value.code is Code.LEDGER_UNAVAILABLE


def test_a_tenfold_step_is_refused_by_name_until_it_is_confirmed(
    op: Op, tx: Tx, ids: CountingIds, offered: str
) -> None:
    first = publish(op, tx, ids, 150_000, 600_000)
    with pytest.raises(Problem) as caught:
        publish(op, tx, ids, 1_500_000, 600_000)
    assert caught.value.code is Code.STATE_CONFLICT
    told = "m: input (standard under private terms) from 0.150000 to 1.500000 USD per million"
    assert told in caught.value.public
    assert prices.current_price(op, tx, "m") == first
    confirmed = publish(op, tx, ids, 1_500_000, 600_000, confirmed=True)
    assert prices.current_price(op, tx, "m") == confirmed


def test_the_same_price_again_publishes_nothing(
    op: Op, tx: Tx, ids: CountingIds, offered: str
) -> None:
    first = publish(op, tx, ids, 1, 2)
    assert publish(op, tx, ids, 1, 2) == first
    assert len(book.history(op, tx, "m")) == 1


def test_setting_one_tier_leaves_the_others_as_they_are(
    op: Op, tx: Tx, ids: CountingIds, offered: str
) -> None:
    publish(op, tx, ids, 1000, 4000)
    flex = tariff(FLEX, input=500, output=2000)
    set_tariff(op, tx, ids, flex)
    publish(op, tx, ids, 1100, 4100)
    made = book.newest(op, tx, DEFAULT, "m")
    assert made is not None
    assert made.tariffs == (tariff(input=1100, output=4100), flex)
    assert len(book.history(op, tx, "m")) == 3


def test_one_tier_is_set_in_the_book_that_is_named(
    op: Op, tx: Tx, ids: CountingIds, offered: str
) -> None:
    europe = book.create_book(op, tx, "europe", "EUR", ids)
    made = set_tariff(op, tx, ids, tariff(input=1, output=2), book="europe")
    assert (made.book_id, made.currency) == (europe.id, "EUR")
    assert prices.current_price(op, tx, "m") is None
    with pytest.raises(Problem) as caught:
        set_tariff(op, tx, ids, tariff(input=1, output=2), book="asia")
    assert caught.value.code is Code.NAME_NOT_FOUND


def test_context_steps_are_not_lost_by_setting_a_plain_price(
    op: Op, tx: Tx, ids: CountingIds, offered: str
) -> None:
    stepped = tariff(PLAIN, Step(100, lines_of(input=2, output=2)), input=1, output=1)
    set_tariff(op, tx, ids, stepped)
    with pytest.raises(Problem) as caught:
        publish(op, tx, ids, 1, 1)
    assert caught.value.code is Code.STATE_CONFLICT
    assert "context steps" in caught.value.public
    again = tariff(PLAIN, Step(100, lines_of(input=2, output=3)), input=1, output=1)
    assert set_tariff(op, tx, ids, again).tariffs == (again,)


def test_all_changes_are_published_or_none(op: Op, tx: Tx, ids: CountingIds, offered: str) -> None:
    other = ModelAsk(name="n", deployments=(models.scripted_deployment(),))
    models.add_model(op, tx, other, ids)
    publish(op, tx, ids, 1000, 1000)
    asks = [
        VersionAsk(DEFAULT, "n", (tariff(input=1, output=1),)),
        VersionAsk(DEFAULT, "m", (tariff(input=1, output=1000),)),
    ]
    changes = [prices.change_of(op, tx, ask) for ask in asks]
    with pytest.raises(Problem, match="m: input"):
        prices.publish_all(op, tx, changes, ids, confirmed=False)
    assert prices.current_price(op, tx, "n") is None
    made = prices.publish_all(op, tx, changes, ids, confirmed=True)
    assert [version.model for version in made] == ["n", "m"]


def test_a_change_tells_what_would_have_no_price_any_more(
    op: Op, tx: Tx, ids: CountingIds, offered: str
) -> None:
    flex, shared = tariff(FLEX, input=1, output=1), tariff(SHARED, input=1, output=1)
    set_tariff(op, tx, ids, flex)
    set_tariff(op, tx, ids, shared)
    change = prices.change_of(op, tx, VersionAsk(DEFAULT, "m", (shared,)))
    assert change.removed == (flex,)
    assert change.is_one
    assert change.before is not None
    same = prices.change_of(op, tx, VersionAsk(DEFAULT, "m", (flex, shared)))
    assert not same.is_one
    assert prices.publish_all(op, tx, [same], ids, confirmed=False) == ()


def test_a_database_that_is_away_is_not_taken_for_a_missing_price(
    op: Op, tx: Tx, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*asked: object) -> Price:
        raise Problem(Code.LEDGER_UNAVAILABLE, "away")

    monkeypatch.setattr(prices.prices, "current", away)
    monkeypatch.setattr(prices.prices, "offered", away)
    with pytest.raises(Problem) as caught:
        prices.current_price(op, tx, "m")
    assert caught.value.code is Code.LEDGER_UNAVAILABLE
    with pytest.raises(Problem) as caught:
        prices.offered_version(op, tx, "org_1", "m")
    assert caught.value.code is Code.LEDGER_UNAVAILABLE


def test_a_price_on_other_terms_alone_is_no_standard_price(
    op: Op, tx: Tx, ids: CountingIds, offered: str
) -> None:
    made = set_tariff(op, tx, ids, tariff(FLEX, input=1, output=1))
    assert prices.current_price(op, tx, "m") is None
    assert prices.offered_version(op, tx, "org_1", "m") == made
    assert prices.offered_version(op, tx, "org_1", "other") is None


def test_a_smaller_step_passes(op: Op, tx: Tx, ids: CountingIds, offered: str) -> None:
    publish(op, tx, ids, 150_000, 600_000)
    assert publish(op, tx, ids, 1_499_999, 60_001).lines[Meter.INPUT] == 1_499_999


@pytest.mark.parametrize(
    ("before", "after", "meters"),
    [
        ("input=10 output=10", "input=10 output=10", ""),
        ("input=10 output=10", "input=100 output=10", "input"),
        ("input=10 output=10", "input=10 output=1", "output"),
        ("input=10 output=10", "input=10 output=10 cached_input=1", "cached_input"),
        ("input=10 output=10", "input=10 output=10 cached_input=2", ""),
        ("input=10 output=10", "input=10 output=0", "output"),
        ("input=0 output=0", "input=0 output=0", ""),
        ("input=0 output=1", "input=1 output=1", "input"),
        ("input=100 cached_input=10 output=9", "input=100 output=9", "cached_input"),
        ("input=100 cached_input=10 output=9", "input=100 output=9 cached_input=11", ""),
        ("input=1 output=9", "input=1 output=9 search=1", "search"),
        ("input=1 output=90", "input=1 output=90 reasoning=900", "reasoning"),
        ("input=1 output=1", "input=10 output=10", "input output"),
    ],
)
def test_each_suspicious_line_is_named(before: str, after: str, meters: str) -> None:
    old, new = (
        {name: int(pico) for name, pico in (pair.split("=") for pair in text.split())}
        for text in (before, after)
    )
    found = steps([tariff(**old)], tariff(**new))
    assert found == [f"{meter} standard/private@0" for meter in meters.split()]


def test_a_first_price_on_new_terms_is_measured_by_the_standard_one() -> None:
    had = [tariff(input=1000, output=4000)]
    assert steps(had, *had, tariff(FLEX, input=500, output=2000)) == []
    assert steps(had, *had, tariff(FLEX, input=50, output=2000)) == ["input flex/private@0"]
    assert steps(had, *had, tariff(SHARED, input=100, output=4000)) == [
        "input standard/contributor@0"
    ]
    shared_flex = (ServiceTier.FLEX, DataTerms.CONTRIBUTOR)
    both = [*had, tariff(SHARED, input=101, output=4000)]
    assert steps(both, *both, tariff(shared_flex, input=50, output=2000)) == []
    assert steps([], tariff(FLEX, input=1, output=1)) == []


def test_steps_are_compared_at_every_length_of_context() -> None:
    had = [tariff(PLAIN, Step(100, lines_of(input=20, output=20)), input=10, output=10)]
    much = Step(100, lines_of(input=200, output=20))
    assert steps(had, tariff(PLAIN, much, input=10, output=10)) == ["input standard/private@100"]
    later = Step(50, lines_of(input=100, output=10))
    assert steps(had, tariff(PLAIN, later, input=10, output=10)) == ["input standard/private@50"]
    assert steps(had, tariff(input=10, output=2)) == ["output standard/private@100"]


@given(PICO, PICO)
def test_a_step_is_suspicious_in_both_directions_alike(before: int, after: int) -> None:
    up = steps([tariff(input=before, output=1)], tariff(input=after, output=1))
    down = steps([tariff(input=after, output=1)], tariff(input=before, output=1))
    assert up == down
    assert bool(up) == (max(before, after) > 0 and max(before, after) >= 10 * min(before, after))


@given(PICO)
def test_a_printed_price_is_exact(pico: int) -> None:
    whole, fraction = prices.format_price(pico).split(".")
    assert len(fraction) == 6
    assert int(whole + fraction) == pico


def test_a_price_document_has_decimal_strings_and_no_floats() -> None:
    found = documents.price_json(Price("price_1", "m", lines_of(input=150_000, output=600_000)))
    assert found is not None
    assert found["input"] == found["cached_input"] == "0.150000"
    assert found["output"] == "0.600000"
    assert found["currency"] == "USD"
    assert "context_steps" not in found
    assert not any(isinstance(value, float) for value in found.values())
    assert documents.price_json(None) is None
    assert documents.price_cells(None) == (None, None, None)


def test_a_price_document_shows_steps_and_every_meter_with_a_line() -> None:
    above = Step(200_000, lines_of(input=2, output=4, search=5))
    found = documents.price_json(
        Price("price_1", "m", lines_of(input=1, output=2, search=3), (above,), "JPY")
    )
    assert found == {
        "currency": "JPY",
        "per": 1_000_000,
        "input": "0.000001",
        "cached_input": "0.000001",
        "output": "0.000002",
        "search": "0.000003",
        "context_steps": [
            {
                "context_min_tokens": 200_000,
                "input": "0.000002",
                "cached_input": "0.000002",
                "output": "0.000004",
                "search": "0.000005",
            }
        ],
        "version": "price_1",
    }


def test_an_offer_shows_the_tiers_of_the_projects_own_terms_alone(
    op: Op, tx: Tx, ids: CountingIds, offered: str
) -> None:
    publish(op, tx, ids, 10, 20)
    set_tariff(op, tx, ids, tariff(FLEX, input=5, output=10))
    made = set_tariff(op, tx, ids, tariff(SHARED, input=2, output=3))
    private: Any = documents.offer_json(made, DataTerms.PRIVATE)
    assert private["input"] == private["tiers"]["standard"]["input"] == "0.000010"
    assert list(private["tiers"]) == ["standard", "flex"]
    assert private["data_terms"] == "private"
    shared: Any = documents.offer_json(made, DataTerms.CONTRIBUTOR)
    assert shared["output"] == "0.000003"
    assert list(shared["tiers"]) == ["standard"]


def test_an_offer_without_a_standard_tier_names_its_tiers_alone(
    op: Op, tx: Tx, ids: CountingIds, offered: str
) -> None:
    made = set_tariff(op, tx, ids, tariff(FLEX, input=5, output=10))
    found: Any = documents.offer_json(made, DataTerms.PRIVATE)
    assert "input" not in found
    assert found["currency"] == "USD"
    assert found["tiers"]["flex"]["input"] == "0.000005"
    assert documents.offer_json(made, DataTerms.CONTRIBUTOR) is None
