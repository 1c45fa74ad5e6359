"""Windows of caps that begin anew each day or month, and the ids of limits that carry them.

Only the database's clock says which window it is.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from tokenbooth.core.receipt import LimitScope

US_PER_S = 1_000_000


class Period(StrEnum):
    """How often a cap begins anew; days and months are those of UTC."""

    NONE = "none"
    DAY = "day"
    MONTH = "month"


def limit_id(scope: LimitScope, owner_id: str, window_id: str = "") -> str:
    """``key:key_1``, or ``key:key_1@2026-11`` for one window."""
    base = f"{scope.value}:{owner_id}"
    return f"{base}@{window_id}" if window_id else base


def window_of(period: Period, now_us: int) -> str:
    """The name of the window that ``now_us`` falls into; empty where windows do not exist."""
    moment = datetime.fromtimestamp(now_us // US_PER_S, UTC)
    match period:
        case Period.NONE:
            return ""
        case Period.DAY:
            return moment.strftime("%Y-%m-%d")
        case Period.MONTH:
            return moment.strftime("%Y-%m")


def window_left_us(period: Period, window_id: str, now_us: int) -> int | None:
    """Time until the window ends, 0 when it has ended; ``None`` for what never does."""
    if not window_id:
        return None
    if period is Period.DAY:
        end = datetime.strptime(window_id, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
    else:
        first = datetime.strptime(window_id, "%Y-%m").replace(tzinfo=UTC)
        end = (first + timedelta(days=32)).replace(day=1)
    return max(0, int(end.timestamp()) * US_PER_S - now_us)
