"""Windows of caps that begin anew each day or month, and the ids of limits that carry them.

Only the database's clock says which window it is.
"""

from tokenbooth.core.days import US_PER_DAY, day_at, day_of, iso_day
from tokenbooth.core.receipt import LimitScope, LimitWindow, Period

__all__ = ["Period", "limit_id", "window_left_us", "window_named", "window_of"]

MONTH_CHARS = len("2026-11")


def limit_id(scope: LimitScope, owner_id: str, window_id: str = "") -> str:
    """``key:key_1``, or ``key:key_1@2026-11`` for one window."""
    base = f"{scope.value}:{owner_id}"
    return f"{base}@{window_id}" if window_id else base


def window_of(period: Period, now_us: int) -> str:
    """The name of the window that ``now_us`` falls into; empty where windows do not exist."""
    if period is Period.NONE:
        return ""
    day = iso_day(day_of(now_us))
    return day if period is Period.DAY else day[:MONTH_CHARS]


def window_named(period: Period, window_id: str) -> LimitWindow | None:
    """The window of that name, with its end; ``None`` for what never ends."""
    if not window_id:
        return None
    year, month, *day = map(int, window_id.split("-"))
    end = day_at(year, month, day[0]) + 1 if day else day_at(year, month + 1)
    return LimitWindow(period, window_id, end * US_PER_DAY)


def window_left_us(window: LimitWindow | None, now_us: int) -> int | None:
    """Time until the window ends, 0 when it has ended; ``None`` for what never does."""
    return None if window is None else max(0, window.renews_us - now_us)
