"""Sums of what a measurement saw. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

NS_PER_US = 1000
US_PER_MS = 1000


def quantile(values: Sequence[int], percent: int) -> int:
    """The smallest value that ``percent`` of all are not above; 0 of none."""
    if not values:
        return 0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100) - 1))]


def us_per_call(time_ns: int, calls: int) -> float:
    """To a tenth of a microsecond; 0 of no calls."""
    return round(time_ns / NS_PER_US / calls, 1) if calls else 0.0


@dataclass(frozen=True, slots=True)
class Pairs:
    """One figure of two sides, measured in turn: ``first`` and ``second`` as often."""

    first: tuple[float, ...]
    second: tuple[float, ...]

    @property
    def medians(self) -> tuple[float, float]:
        return round(median(self.first), 1), round(median(self.second), 1)

    @property
    def difference(self) -> float:
        """The median of the differences of neighbours, which a drift of the machine spares."""
        pairs = zip(self.first, self.second, strict=True)
        return round(median(a - b for a, b in pairs), 1)

    @property
    def spread(self) -> float:
        """How far the differences of neighbours lie apart: the noise of this run."""
        differences = [a - b for a, b in zip(self.first, self.second, strict=True)]
        return round(max(differences) - min(differences), 1)
