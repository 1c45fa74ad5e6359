"""What readiness reports are made of; the only import surface of this noun."""

from tokenbooth.launch.readiness.forecast import RATIOS_MIN, Way, forecast
from tokenbooth.launch.readiness.rules import (
    demand_milli,
    history_of,
    line_of,
    room_of,
    trend_of,
    verdict_of,
)
from tokenbooth.launch.readiness.values import (
    Forecast,
    Line,
    Point,
    Report,
    Room,
    Trend,
    Verdict,
)

__all__ = [
    "RATIOS_MIN",
    "Forecast",
    "Line",
    "Point",
    "Report",
    "Room",
    "Trend",
    "Verdict",
    "Way",
    "demand_milli",
    "forecast",
    "history_of",
    "line_of",
    "room_of",
    "trend_of",
    "verdict_of",
]
