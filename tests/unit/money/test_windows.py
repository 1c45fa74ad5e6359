"""Windows of renewing caps: which one it is, when it ends, and how it is named."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.receipt import LimitScope, LimitWindow, Period
from tokenbooth.money.windows import limit_id, window_left_us, window_named, window_of

US = 1_000_000
MOMENTS = st.integers(0, 4_102_444_799 * US)


def moment_us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * US)


@pytest.mark.parametrize(
    ("period", "moment", "window_id", "ends"),
    [
        (Period.DAY, "2026-11-20T00:00:00", "2026-11-20", "2026-11-21T00:00:00"),
        (Period.DAY, "2026-11-20T23:59:59", "2026-11-20", "2026-11-21T00:00:00"),
        (Period.DAY, "2028-02-28T12:00:00", "2028-02-28", "2028-02-29T00:00:00"),
        (Period.DAY, "2026-12-31T12:00:00", "2026-12-31", "2027-01-01T00:00:00"),
        (Period.MONTH, "2026-11-01T00:00:00", "2026-11", "2026-12-01T00:00:00"),
        (Period.MONTH, "2026-12-31T23:59:59", "2026-12", "2027-01-01T00:00:00"),
        (Period.MONTH, "2028-02-29T12:00:00", "2028-02", "2028-03-01T00:00:00"),
        (Period.MONTH, "2026-01-31T12:00:00", "2026-01", "2026-02-01T00:00:00"),
    ],
)
def test_days_and_months_are_those_of_utc(
    period: Period, moment: str, window_id: str, ends: str
) -> None:
    assert window_of(period, moment_us(moment)) == window_id
    assert window_named(period, window_id) == LimitWindow(period, window_id, moment_us(ends))


def test_what_never_renews_has_no_window() -> None:
    assert window_of(Period.NONE, moment_us("2026-11-20T12:00:00")) == ""
    for period in Period:
        assert window_named(period, "") is None
    assert window_left_us(None, 5) is None


@given(moment=MOMENTS, period=st.sampled_from([Period.DAY, Period.MONTH]))
def test_every_moment_lies_in_its_window_and_the_end_in_the_next(
    moment: int, period: Period
) -> None:
    window = window_named(period, window_of(period, moment))
    assert window is not None
    left_us = window_left_us(window, moment)
    assert left_us is not None
    assert 0 < left_us <= timedelta(days=31) / timedelta(microseconds=1)
    assert window_of(period, window.renews_us - 1) == window.id
    assert window_of(period, window.renews_us) > window.id


@given(moment=MOMENTS, late_us=st.integers(0, 10**12))
def test_nothing_is_left_of_a_window_that_has_ended(moment: int, late_us: int) -> None:
    window = window_named(Period.DAY, window_of(Period.DAY, moment))
    assert window is not None
    assert window_left_us(window, window.renews_us + late_us) == 0


@pytest.mark.parametrize("scope", list(LimitScope))
def test_a_window_stands_behind_the_name_of_its_limit(scope: LimitScope) -> None:
    assert limit_id(scope, "x_1") == f"{scope.value}:x_1"
    assert limit_id(scope, "x_1", "2026-11") == f"{scope.value}:x_1@2026-11"
