"""How long a broken child is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.engines.child.rules import ChildPolicy, backoff_s, retry_after_s

POLICY = ChildPolicy(backoff_first_s=0.5, backoff_max_s=30.0, load_s=4.0)


@pytest.mark.parametrize(
    ("failures", "wait_s"), [(0, 0.0), (1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (10_000, 30.0)]
)
def test_the_wait_doubles_up_to_its_limit(failures: int, wait_s: float) -> None:
    assert backoff_s(failures, POLICY) == wait_s


@given(st.integers(0, 2000))
def test_the_wait_never_falls_and_never_passes_the_limit(failures: int) -> None:
    assert backoff_s(failures, POLICY) <= backoff_s(failures + 1, POLICY) <= POLICY.backoff_max_s


@pytest.mark.parametrize(("wait_s", "told_s"), [(-5.0, 4), (0.0, 4), (0.1, 5), (30.0, 34)])
def test_callers_are_told_whole_seconds_loading_included(wait_s: float, told_s: int) -> None:
    assert retry_after_s(wait_s, POLICY) == told_s


def test_callers_are_told_at_least_one_second() -> None:
    assert retry_after_s(0.0, ChildPolicy(load_s=0.0)) == 1
