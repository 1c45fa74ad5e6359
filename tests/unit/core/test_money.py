from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.money import (
    MICRO_PER_UNIT,
    NANO_MAX,
    NANO_PER_UNIT,
    PICO_PER_NANO,
    format_nano,
    parse_decimal,
    pico_to_nano_half_even,
)
from tokenbooth.core.problem import Problem

AMOUNTS = st.integers(0, NANO_MAX)


def refusal(text: str, decimals: int = 9) -> Problem:
    with pytest.raises(Problem) as caught:
        parse_decimal(text, decimals=decimals, param="amount")
    return caught.value


@given(AMOUNTS)
@example(0)
@example(1)
@example(NANO_MAX)
def test_what_is_formatted_is_read_back_to_the_nano(amount_nano: int) -> None:
    assert parse_decimal(format_nano(amount_nano), decimals=9, param="amount") == amount_nano


@given(st.integers(-NANO_MAX, NANO_MAX))
def test_a_formatted_amount_is_the_exact_decimal(amount_nano: int) -> None:
    text = format_nano(amount_nano)
    assert Decimal(text) == Decimal(amount_nano).scaleb(-9)
    assert len(text.partition(".")[2]) == 9


def test_signs_stand_before_the_whole_amount() -> None:
    assert format_nano(-1) == "-0.000000001"
    assert format_nano(-NANO_PER_UNIT) == "-1.000000000"
    assert format_nano(0) == "0.000000000"


@given(st.integers(0, 10**9), st.integers(0, 6), st.text("0123456789", max_size=6))
def test_a_plain_decimal_is_read_exactly(whole: int, decimals: int, fraction: str) -> None:
    assume(len(fraction) <= decimals)
    text = f"{whole}.{fraction}" if fraction else str(whole)
    read = parse_decimal(text, decimals=decimals, param="amount")
    assert Decimal(read).scaleb(-decimals) == Decimal(text)


@given(AMOUNTS, AMOUNTS)
def test_amounts_keep_their_order_when_read(one: int, two: int) -> None:
    first = parse_decimal(format_nano(one), decimals=9, param="amount")
    second = parse_decimal(format_nano(two), decimals=9, param="amount")
    assert (first < second) == (one < two)


MISSPELLED = "|.|.5|5.|-1|+1|1e3|1E3| 1|1 |1,5|1.2.3|0x1|1_000|NaN|inf|--1|1.-5|1\n|1\x00"
FOREIGN_DIGITS = "١|１|²|1.٥|½|Ⅳ"


@pytest.mark.parametrize("text", f"{MISSPELLED}|{FOREIGN_DIGITS}".split("|"))
def test_anything_but_a_plain_decimal_is_refused_by_name(text: str) -> None:
    problem = refusal(text)
    assert problem.code is Code.INVALID_VALUE
    assert problem.param == "amount"
    assert "plain decimal" in problem.public


@given(st.text())
def test_no_text_is_read_as_another_number(text: str) -> None:
    try:
        read: int | None = parse_decimal(text, decimals=9, param="amount")
    except Problem:
        read = None
    assert read is None or Decimal(read).scaleb(-9) == Decimal(text)


@given(st.integers(0, 8), st.text("0123456789", min_size=9, max_size=20))
def test_nothing_is_rounded_on_the_way_in(decimals: int, fraction: str) -> None:
    problem = refusal(f"1.{fraction}", decimals)
    assert f"more than {decimals} decimals" in problem.public


def test_zeros_behind_the_last_decimal_are_too_many_decimals() -> None:
    assert "more than 2 decimals" in refusal("1.500", 2).public
    assert parse_decimal("1.50", decimals=2, param="amount") == 150


def test_an_amount_beyond_the_books_is_refused() -> None:
    assert parse_decimal(format_nano(NANO_MAX), decimals=9, param="amount") == NANO_MAX
    assert "larger than can be booked" in refusal("9223372036.854775808").public
    assert "larger than can be booked" in refusal("9" * 41).public
    assert "larger than can be booked" in refusal("9" * 100_000).public


def test_leading_zeros_change_nothing() -> None:
    assert parse_decimal("007.5", decimals=1, param="amount") == 75


def test_a_price_of_six_decimals_for_a_million_is_whole_in_pico() -> None:
    pico = parse_decimal("0.000001", decimals=6, param="price") * (
        10**12 // MICRO_PER_UNIT // MICRO_PER_UNIT
    )
    assert pico == 1


@given(st.integers(-(10**30), 10**30))
@example(500)
@example(1500)
@example(2500)
@example(-500)
@example(-1500)
def test_rounding_is_half_to_even(amount_pico: int) -> None:
    exact = Decimal(amount_pico).scaleb(-3)
    nearest = exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    assert pico_to_nano_half_even(amount_pico) == int(nearest)


@given(st.integers(-(10**18), 10**18))
def test_rounding_moves_an_amount_by_half_a_nano_at_most(amount_pico: int) -> None:
    moved = pico_to_nano_half_even(amount_pico) * PICO_PER_NANO - amount_pico
    assert abs(moved) <= PICO_PER_NANO // 2


@given(st.integers(-(10**18), 10**18), st.integers(0, 10**9))
def test_rounding_keeps_the_order(amount_pico: int, more: int) -> None:
    assert pico_to_nano_half_even(amount_pico) <= pico_to_nano_half_even(amount_pico + more)


@given(st.integers(-(10**18), 10**18))
def test_whole_nanos_are_never_moved(amount_nano: int) -> None:
    assert pico_to_nano_half_even(amount_nano * PICO_PER_NANO) == amount_nano


@given(st.integers(-(10**18), 10**18))
def test_rounding_is_the_same_for_both_signs(amount_pico: int) -> None:
    assert pico_to_nano_half_even(-amount_pico) == -pico_to_nano_half_even(amount_pico)
