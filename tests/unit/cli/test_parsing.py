"""What is typed is read exactly or refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.cli import parsing
from tokenbooth.cli.money import limit_cells
from tokenbooth.core.caller import Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.money import NANO_MAX, format_nano
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState

NOW_US = 1_700_000_000_000_000


@given(st.integers(1, NANO_MAX))
def test_an_amount_survives_being_typed(nano: int) -> None:
    assert parsing.amount_nano(format_nano(nano), "usd") == nano
    assert parsing.cap_nano(format_nano(nano)) == nano


READERS = {
    "usd": parsing.amount_nano,
    "cap": parsing.cap_nano,
    "input": parsing.price_pico,
    "overlap": parsing.span_s,
    "expires": lambda text, _param: parsing.expiry_us(text, NOW_US),
}


def read(param: str, text: str) -> object:
    try:
        return READERS[param](text, param)
    except Problem as problem:
        return problem


@given(st.sampled_from(sorted(READERS)), st.text(max_size=12))
def test_a_text_is_a_number_or_a_named_refusal(param: str, text: str) -> None:
    found = read(param, text)
    if isinstance(found, Problem):
        assert (found.code, found.param) == (Code.INVALID_VALUE, param)
    else:
        assert found is None or type(found) is int


def test_no_cap_is_said_in_two_ways() -> None:
    assert parsing.cap_nano(None) is None
    assert parsing.cap_nano("none") is None
    assert parsing.cap_nano("0") == 0


def test_zero_is_no_credit() -> None:
    with pytest.raises(Problem):
        parsing.amount_nano("0.00", "usd")


def test_a_price_per_million_is_exact_pico_per_unit() -> None:
    assert parsing.price_pico("1.25", "input") == 1_250_000
    assert parsing.price_pico("0.000001", "input") == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)],
)
def test_spans(text: str, seconds: int) -> None:
    assert parsing.span_s(text, "overlap") == seconds


@pytest.mark.parametrize("text", ["", "d", "1w", "-1s", "1.5h", "9999999999d", "1 h"])
def test_impossible_spans_are_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        parsing.span_s(text, "overlap")
    assert caught.value.param == "overlap"


@pytest.mark.parametrize(
    ("text", "expected_us"),
    [
        (None, None),
        ("1d", NOW_US + 86_400_000_000),
        ("2026-01-31", 1_769_817_600_000_000),
        ("2026-01-31T00:00:00Z", 1_769_817_600_000_000),
        ("2026-01-31T01:00:00+01:00", 1_769_817_600_000_000),
        ("2026-01-31T00:00:00", 1_769_817_600_000_000),
    ],
)
def test_expiry_is_a_span_a_day_or_a_time(text: str | None, expected_us: int | None) -> None:
    assert parsing.expiry_us(text, NOW_US) == expected_us


def test_scopes_default_to_all_and_unknown_ones_are_named() -> None:
    assert parsing.scopes_of(None) == parsing.scopes_of([]) == frozenset(Scope)
    assert parsing.scopes_of(["read"]) == frozenset({Scope.READ})
    with pytest.raises(Problem) as caught:
        parsing.scopes_of(["read", "admin"])
    assert "inference, read" in caught.value.public


def test_pairs_stand_once() -> None:
    assert parsing.pairs(None) == {}
    assert parsing.pairs(["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    for wrong in (["a"], ["=1"], ["a=1", "a=1"]):
        with pytest.raises(Problem):
            parsing.pairs(wrong)


def test_a_level_without_a_cap_has_no_numbers_for_it() -> None:
    assert limit_cells(LimitState(LimitScope.KEY, "k", None, 5, 1)) == (
        None,
        None,
        "0.000000005",
    )
    assert limit_cells(LimitState(LimitScope.KEY, "k", 10, 5, 1))[0] == "0.000000004"
