"""What an operator may set about spend alerts."""

from dataclasses import dataclass

from tokenbooth.money.alerts.rules import checked_percents
from tokenbooth.money.alerts.values import DEFAULT_PERCENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOptions:
    """Percentages of a limit, for every limit without its own; none switches the alerts off.

    Raises Problem INVALID_VALUE for what is no percentage.
    """

    percents: tuple[int, ...] = DEFAULT_PERCENTS

    def __post_init__(self) -> None:
        checked_percents(self.percents, param="alerts.percents")
