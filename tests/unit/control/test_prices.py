"""A misplaced decimal point in a price is caught before it is published."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ops import CountingIds
from tokenbooth.catalog.models.service import ModelAsk
from tokenbooth.control import documents, models, prices
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.prices.service import Meter, Price, PriceAsk

PICO = st.integers(0, 10**9)


def price(**lines: int) -> Price:
    return Price("price_1", "m", {Meter(name): pico for name, pico in lines.items()})


@pytest.fixture
def offered(op: Op, tx: Tx, ids: CountingIds) -> str:
    models.add_model(op, tx, ModelAsk(name="m", deployments=(models.scripted_deployment(),)), ids)
    return "m"


def publish(op: Op, tx: Tx, ids: Any, *picos: int | None, confirmed: bool = False) -> Price:
    return prices.price_model(op, tx, PriceAsk("m", *picos), ids, confirmed=confirmed)  # type: ignore[arg-type]


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


def test_a_tenfold_step_is_refused_by_name_until_it_is_confirmed(
    op: Op, tx: Tx, ids: CountingIds, offered: str
) -> None:
    first = publish(op, tx, ids, 150_000, 600_000)
    with pytest.raises(Problem) as caught:
        publish(op, tx, ids, 1_500_000, 600_000)
    assert caught.value.code is Code.STATE_CONFLICT
    assert "input from 0.150000 to 1.500000" in caught.value.public
    assert prices.current_price(op, tx, "m") == first
    confirmed = publish(op, tx, ids, 1_500_000, 600_000, confirmed=True)
    assert prices.current_price(op, tx, "m") == confirmed


def test_a_database_that_is_away_is_not_taken_for_a_missing_price(
    op: Op, tx: Tx, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*asked: object) -> Price:
        raise Problem(Code.LEDGER_UNAVAILABLE, "away")

    monkeypatch.setattr(prices.prices, "current", away)
    with pytest.raises(Problem) as caught:
        prices.current_price(op, tx, "m")
    assert caught.value.code is Code.LEDGER_UNAVAILABLE


def test_a_smaller_step_passes(op: Op, tx: Tx, ids: CountingIds, offered: str) -> None:
    publish(op, tx, ids, 150_000, 600_000)
    assert publish(op, tx, ids, 1_499_999, 60_001).lines[Meter.INPUT] == 1_499_999


@pytest.mark.parametrize(
    ("before", "ask", "meters"),
    [
        ({"input": 10, "output": 10}, (10, 10), ()),
        ({"input": 10, "output": 10}, (100, 10), ("input",)),
        ({"input": 10, "output": 10}, (10, 1), ("output",)),
        ({"input": 10, "output": 10}, (10, 10, 1), ("cached_input",)),
        ({"input": 10, "output": 10}, (10, 0), ("output",)),
        ({"input": 0, "output": 0}, (0, 0), ()),
        ({"input": 0, "output": 1}, (1, 1), ("input",)),
        ({"input": 100, "cached_input": 10, "output": 9}, (100, 9), ("cached_input",)),
        ({"input": 100, "cached_input": 10, "output": 9}, (100, 9, 11), ()),
    ],
)
def test_each_suspicious_line_is_named(
    before: Mapping[str, int], ask: tuple[int, ...], meters: tuple[str, ...]
) -> None:
    steps = prices.price_steps(price(**before), PriceAsk("m", *ask))
    assert tuple(step.meter.value for step in steps) == meters


@given(PICO, PICO)
def test_a_step_is_suspicious_in_both_directions_alike(before: int, after: int) -> None:
    up = prices.price_steps(price(input=before, output=1), PriceAsk("m", after, 1))
    down = prices.price_steps(price(input=after, output=1), PriceAsk("m", before, 1))
    assert len(up) == len(down)
    assert bool(up) == (max(before, after) > 0 and max(before, after) >= 10 * min(before, after))


@given(PICO)
def test_a_printed_price_is_exact(pico: int) -> None:
    whole, fraction = prices.format_price(pico).split(".")
    assert len(fraction) == 6
    assert int(whole + fraction) == pico


def test_a_price_document_has_decimal_strings_and_no_floats() -> None:
    found = documents.price_json(price(input=150_000, output=600_000))
    assert found is not None
    assert found["input"] == found["cached_input"] == "0.150000"
    assert found["output"] == "0.600000"
    assert not any(isinstance(value, float) for value in found.values())
    assert documents.price_json(None) is None
    assert documents.price_cells(None) == (None, None, None)
