"""Days of UTC on integers: the Gregorian calendar counted from 1970-01-01, before and after it.

A year is taken to begin in March, so that the odd day comes last; 400 years have 146,097 days.
"""

US_PER_DAY = 86_400_000_000
_DAYS_PER_ERA = 146_097
_MARCH_0000 = -719_468


def day_of(now_us: int) -> int:
    """The number of the day that a moment falls into; 0 is 1970-01-01."""
    return now_us // US_PER_DAY


def date_of(day: int) -> tuple[int, int, int]:
    """Year, month and day of the month."""
    era, left = divmod(day - _MARCH_0000, _DAYS_PER_ERA)
    year = (left - left // 1460 + left // 36_524 - left // 146_096) // 365
    left -= 365 * year + year // 4 - year // 100
    month = (5 * left + 2) // 153
    in_month = left - (153 * month + 2) // 5 + 1
    if month < 10:
        return 400 * era + year, month + 3, in_month
    return 400 * era + year + 1, month - 9, in_month


def day_at(year: int, month: int, in_month: int = 1) -> int:
    """The number of that day; months from 1 to 13, where 13 is the next year's first."""
    year, month = (year + 1, month - 12) if month > 12 else (year, month)
    from_march, year = (month - 3, year) if month > 2 else (month + 9, year - 1)
    era, left = divmod(year, 400)
    days = 365 * left + left // 4 - left // 100 + (153 * from_march + 2) // 5 + in_month - 1
    return era * _DAYS_PER_ERA + days + _MARCH_0000


def iso_day(day: int) -> str:
    """``2026-11-20``."""
    year, month, in_month = date_of(day)
    return f"{year:04d}-{month:02d}-{in_month:02d}"
