import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.admission.queue.rules import FIRST_SERVICE_US, retry_after_s, smoothed_us

MICROS = st.integers(0, 10**10)


@pytest.mark.parametrize(
    ("mean_us", "waiting", "places", "seconds"),
    [
        (0, 0, 1, 1),
        (1_000_000, 0, 1, 1),
        (1_000_001, 0, 1, 2),
        (1_000_000, 3, 1, 4),
        (1_000_000, 3, 4, 1),
        (2_000_000, 7, 4, 4),
        (10**9, 10, 1, 60),
    ],
)
def test_the_wait_grows_with_the_queue_and_shrinks_with_places(
    mean_us: int, waiting: int, places: int, seconds: int
) -> None:
    assert retry_after_s(mean_us, waiting, places) == seconds


@given(MICROS, st.integers(0, 10**6), st.integers(1, 4096))
def test_the_wait_is_always_from_one_second_to_a_minute(mean: int, waiting: int, n: int) -> None:
    assert 1 <= retry_after_s(mean, waiting, n) <= 60


@given(MICROS, MICROS)
def test_the_mean_moves_towards_the_observation(mean_us: int, observed_us: int) -> None:
    moved = smoothed_us(mean_us, observed_us)
    assert min(mean_us, observed_us) <= moved <= max(mean_us, observed_us)


def test_the_mean_follows_a_lasting_change() -> None:
    mean_us = FIRST_SERVICE_US
    for _ in range(100):
        mean_us = smoothed_us(mean_us, 8_000_000)
    assert 7_900_000 <= mean_us <= 8_000_000


def test_a_clock_that_runs_back_counts_as_no_time() -> None:
    assert smoothed_us(8_000, -5) == 7_000
