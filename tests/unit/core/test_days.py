"""Our calendar is the calendar."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.days import US_PER_DAY, date_of, day_at, day_of, iso_day

EPOCH = date(1970, 1, 1).toordinal()


@given(st.dates())
def test_every_day_is_named_and_numbered_as_everywhere(day: date) -> None:
    number = day.toordinal() - EPOCH
    assert date_of(number) == (day.year, day.month, day.day)
    assert day_at(day.year, day.month, day.day) == number
    assert iso_day(number) == day.isoformat()


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2999, 1, 1)))  # noqa: DTZ001
def test_a_moment_falls_into_its_day(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    now_us = (aware - datetime(1970, 1, 1, tzinfo=UTC)).days * US_PER_DAY
    now_us += ((aware.hour * 60 + aware.minute) * 60 + aware.second) * 1_000_000
    assert iso_day(day_of(now_us)) == aware.date().isoformat()


@pytest.mark.parametrize("year", [1969, 1999, 2000, 2024, 2026, 2100])
def test_the_thirteenth_month_is_the_next_january(year: int) -> None:
    assert day_at(year, 13) == day_at(year + 1, 1)
    assert day_at(year, 13) - day_at(year, 12) == 31
