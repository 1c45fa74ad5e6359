"""Quantiles, costs of a call and differences of neighbours, on numbers alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.proving.bench.figures import Pairs, quantile, us_per_call

VALUES = st.lists(st.integers(0, 10**9), min_size=1, max_size=60)


@given(VALUES, st.integers(1, 100))
def test_a_quantile_is_one_of_the_values_that_so_many_are_not_above(
    values: list[int], percent: int
) -> None:
    found = quantile(values, percent)
    below = sum(value <= found for value in values)
    assert found in values
    assert below * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_of_a_hundred_it_is_the_one_of_that_place(percent: int, expected: int) -> None:
    assert quantile(range(100, 0, -1), percent) == expected


def test_of_nothing_it_is_nothing() -> None:
    assert quantile([], 50) == 0


def test_the_cost_of_a_call_is_rounded_to_a_tenth() -> None:
    assert us_per_call(1_234_567, 10) == 123.5
    assert us_per_call(5, 0) == 0.0


def test_neighbours_are_compared_so_that_a_drift_cancels() -> None:
    drifting = Pairs((110.0, 210.0, 410.0), (100.0, 200.0, 400.0))
    assert drifting.difference == 10.0
    assert drifting.spread == 0.0
    assert drifting.medians == (210.0, 200.0)


def test_noise_is_told() -> None:
    assert Pairs((5.0, 9.0), (1.0, 1.0)).spread == 4.0


def test_both_sides_are_measured_as_often() -> None:
    with pytest.raises(ValueError, match="shorter"):
        _ = Pairs((1.0, 2.0), (1.0,)).difference
