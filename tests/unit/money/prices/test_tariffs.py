"""What a version may say, and which of its prices a call gets."""

from typing import Any

import pytest

from tests.support.tariffs import lines_of
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices.rules import (
    checked_tariffs,
    named,
    ordered,
    price_in,
    tariff_of,
    terms_of,
    with_tariff,
)
from tokenbooth.money.prices.values import (
    Meter,
    PriceAsk,
    PriceVersion,
    Step,
    Tariff,
    Uses,
)

PLAIN = (ServiceTier.STANDARD, DataTerms.PRIVATE)
FLEX = (ServiceTier.FLEX, DataTerms.PRIVATE)
SHARED = (ServiceTier.STANDARD, DataTerms.CONTRIBUTOR)


def tariff(terms: tuple[ServiceTier, DataTerms] = PLAIN, *above: Step, **picos: int) -> Tariff:
    return Tariff(*terms, (Step(0, lines_of(**(picos or {"input": 1, "output": 2}))), *above))


def version(*tariffs: Tariff) -> PriceVersion:
    return PriceVersion(
        id="price_1",
        model="m",
        book_id="default",
        currency="EUR",
        sequence=1,
        author="me",
        effective_us=1,
        tariffs=tariffs,
    )


def refused(*tariffs: Tariff, model: str = "m") -> Problem:
    with pytest.raises(Problem) as caught:
        checked_tariffs(model, tariffs)
    assert caught.value.code is Code.INVALID_VALUE
    return caught.value


def test_a_plain_price_without_a_cached_one_leaves_the_line_out() -> None:
    assert tariff_of(PriceAsk("m", 1, 2)) == tariff(input=1, output=2)
    assert tariff_of(PriceAsk("m", 1, 2, 0)) == tariff(input=1, output=2, cached_input=0)


@pytest.mark.parametrize(
    ("ask", "param"),
    [
        (PriceAsk("m", -1, 2), "input"),
        (PriceAsk("m", 1, 2**63), "output"),
        (PriceAsk("m", 1, 2, -5), "cached_input"),
        (PriceAsk("m", True, 2), "input"),
        (PriceAsk("m", 1, 2.5), "output"),  # type: ignore[arg-type]
        (PriceAsk("", 1, 2), "model"),
        (PriceAsk("a\0b", 1, 2), "model"),
    ],
)
def test_a_price_that_cannot_be_booked_is_refused_by_name(ask: PriceAsk, param: str) -> None:
    assert refused(tariff_of(ask), model=ask.model).param == param


def test_the_largest_price_that_can_be_booked_is_one() -> None:
    made = tariff(input=2**63 - 1, output=0)
    assert checked_tariffs("m", [made]) == (made,)


def test_a_version_says_something_and_each_thing_once() -> None:
    assert refused().param == "model"
    twice = refused(tariff(FLEX), tariff(FLEX, input=5, output=5))
    assert twice.param == "tier"
    assert "flex under private terms" in twice.public


def test_input_and_output_must_be_priced_in_every_step() -> None:
    assert refused(tariff(input=1)).param == "output"
    assert refused(tariff(output=1)).param == "input"
    above = Step(10, lines_of(input=1))
    assert refused(tariff(PLAIN, above, input=1, output=1)).param == "output"


def test_every_step_names_the_same_meters() -> None:
    more = Step(10, lines_of(input=1, output=1, search=1))
    assert refused(tariff(PLAIN, more, input=1, output=1)).param == "search"
    less = Step(10, lines_of(input=1, output=1))
    assert refused(tariff(PLAIN, less, input=1, output=1, reasoning=1)).param == "reasoning"


@pytest.mark.parametrize(
    "leasts",
    [(), (1,), (0, 0), (0, 5, 5), (0, 5, 4), (0, -1), (0, True), (0, 2.5), (0, 2**63)],
)
def test_context_steps_begin_at_nothing_and_rise(leasts: tuple[Any, ...]) -> None:
    lines = lines_of(input=1, output=1)
    made = Tariff(*PLAIN, tuple(Step(least, lines) for least in leasts))
    assert refused(made).param == "context_min_tokens"


def test_a_version_lists_standard_first_and_private_before_contributor() -> None:
    made = [
        tariff((tier, terms)) for terms in reversed(DataTerms) for tier in reversed(ServiceTier)
    ]
    assert [terms_of(each) for each in checked_tariffs("m", made)] == [
        (tier, terms) for tier in ServiceTier for terms in DataTerms
    ]
    assert ordered(made) == checked_tariffs("m", made)


def test_a_tariff_takes_the_place_of_the_one_for_the_same_terms() -> None:
    old, other, new = tariff(), tariff(FLEX), tariff(input=7, output=7)
    assert with_tariff((other, old), new) == (new, other)
    assert with_tariff((), new) == (new,)
    assert with_tariff((new,), other) == (new, other)


def test_a_call_gets_the_price_of_its_terms_with_all_that_it_needs() -> None:
    above = Step(10, lines_of(input=5, output=5))
    found = price_in(version(tariff(), tariff(FLEX, above)), *FLEX, Uses(images=3))
    assert (found.version_id, found.model, found.currency) == ("price_1", "m", "EUR")
    assert (found.tier, found.data_terms) == FLEX
    assert found.lines == {Meter.INPUT: 1, Meter.OUTPUT: 2}
    assert found.steps == (above,)
    assert found.uses == Uses(images=3)


@pytest.mark.parametrize(
    ("has", "asked", "param"),
    [
        ((PLAIN, SHARED), FLEX, "service_tier"),
        ((PLAIN, FLEX), SHARED, None),
        ((SHARED,), PLAIN, None),
        ((PLAIN, FLEX), (ServiceTier.FLEX, DataTerms.CONTRIBUTOR), None),
    ],
)
def test_nothing_stands_in_for_terms_without_a_price(
    has: tuple[Any, ...], asked: tuple[ServiceTier, DataTerms], param: str | None
) -> None:
    offered = version(*map(tariff, has))
    with pytest.raises(Problem) as caught:
        price_in(offered, *asked)
    problem = caught.value
    assert problem.code is Code.PRICE_NOT_OFFERED
    assert problem.param == param
    for each in offered.tariffs:
        assert named(each) in problem.public
    assert problem.facts["tier"] == asked[0].value
    assert problem.facts["data_terms"] == asked[1].value
