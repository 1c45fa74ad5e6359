"""Windows of caps that begin anew each day or month, and the ids of limits that carry them.

Only the database's clock says which window it is.
"""

from datetime import UTC, datetime, timedelta

from tokenbooth.core.receipt import LimitScope, LimitWindow, Period

__all__ = ["Period", "limit_id", "window_left_us", "window_named", "window_of"]

US_PER_S = 1_000_000
_FORMATS = {Period.DAY: "%Y-%m-%d", Period.MONTH: "%Y-%m"}


def limit_id(scope: LimitScope, owner_id: str, window_id: str = "") -> str:
    """``key:key_1``, or ``key:key_1@2026-11`` for one window."""
    base = f"{scope.value}:{owner_id}"
    return f"{base}@{window_id}" if window_id else base


def window_of(period: Period, now_us: int) -> str:
    """The name of the window that ``now_us`` falls into; empty where windows do not exist."""
    if period is Period.NONE:
        return ""
    return datetime.fromtimestamp(now_us // US_PER_S, UTC).strftime(_FORMATS[period])


def window_named(period: Period, window_id: str) -> LimitWindow | None:
    """The window of that name, with its end; ``None`` for what never ends."""
    if not window_id:
        return None
    first = datetime.strptime(window_id, _FORMATS[period]).replace(tzinfo=UTC)
    if period is Period.DAY:
        end = first + timedelta(days=1)
    else:
        end = (first + timedelta(days=32)).replace(day=1)
    return LimitWindow(period, window_id, int(end.timestamp()) * US_PER_S)


def window_left_us(window: LimitWindow | None, now_us: int) -> int | None:
    """Time until the window ends, 0 when it has ended; ``None`` for what never does."""
    return None if window is None else max(0, window.renews_us - now_us)
