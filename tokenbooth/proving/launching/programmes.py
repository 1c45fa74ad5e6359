"""Simulated launch programmes: do forecasts cover the dates on which all gates come to pass?

A programme is not what the forecast takes it for: its pace changes, measurements are noisy, what
worked breaks again, and one gate may not have been begun. A lab has a habit of its own by which its
lead times stretch.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tokenbooth.core.days import US_PER_DAY
from tokenbooth.launch.readiness.service import Forecast, Point, Way, forecast

START_US = 20_000 * US_PER_DAY
DAYS_MAX = 1500
ROUNDS_MIN, ROUNDS_MAX = 6, 14


@dataclass(frozen=True, slots=True)
class Trial:
    """What was forecast at ``asked_us``, and when it came true; ``early`` and ``late`` say on which
    side the truth fell out."""

    seed: int
    asked_us: int
    true_us: int
    found: Forecast

    @property
    def covered(self) -> bool:
        return self.found.early_us <= self.true_us and not self.late

    @property
    def late(self) -> bool:
        return self.found.late_us is not None and self.true_us > self.found.late_us


class _Gate:
    """One margin over time, in thousandths; it is measured every ``beat_days``."""

    def __init__(self, dice: random.Random) -> None:
        self.points: list[Point] = []
        self.beat_days = dice.choice((3, 5, 7))
        self._dice = dice
        self._start = -dice.uniform(150, 900)
        self._margin = self._start
        days = dice.lognormvariate(4.1, 0.5)
        self._pace = -self._start / days
        self._rough = self._pace * dice.uniform(0.5, 3.0)
        self._blur = -self._start * dice.uniform(0.0, 0.02)

    def day(self, number: int) -> None:
        dice = self._dice
        if dice.random() < 1 / 60:
            self._pace *= dice.uniform(0.6, 1.5)
        if dice.random() < 1 / 90:
            self._margin += self._start * dice.uniform(0.05, 0.25)
        self._margin += self._pace + dice.gauss(0, self._rough)
        if number % self.beat_days == 0:
            seen = int(self._margin + dice.gauss(0, self._blur))
            self.points.append(Point(START_US + number * US_PER_DAY, seen))

    @property
    def passes(self) -> bool:
        return bool(self.points) and self.points[-1].margin_permille >= 0


def programme(seed: int) -> Trial | None:
    """One programme: some rounds of measurements, a forecast, and then what really happens;
    ``None`` where there was no forecast."""
    dice = random.Random(seed)  # noqa: S311 - a simulation
    gates = [_Gate(dice) for _ in range(dice.randint(1, 4))]
    habit, wide = dice.gauss(0.3, 0.2), dice.uniform(0.25, 0.5)
    ratios = [int(1000 * dice.lognormvariate(habit, wide)) for _ in range(dice.randint(6, 12))]
    asked = max(g.beat_days for g in gates) * dice.randint(ROUNDS_MIN, ROUNDS_MAX)
    lead_days = dice.randint(10, 45) if dice.random() < 0.4 else 0
    day = 0
    while day < asked or (all(g.passes for g in gates) and not lead_days):
        day += 1
        _step(gates, day)
        if day > DAYS_MAX:
            return programme(seed + 10**6)  # it never had an open gate when somebody asked
    asked_us = START_US + day * US_PER_DAY
    ways = [Way(f"gate-{n}", tuple(g.points), 0) for n, g in enumerate(gates) if not g.passes]
    begun_late = lead_days * dice.lognormvariate(habit, wide)
    if lead_days:
        ways.append(Way("not-begun", (), lead_days))
    found = forecast(ways, ratios, asked_us)
    if isinstance(found, str):
        return None
    over = day + begun_late
    while day < DAYS_MAX and not (day >= over and all(g.passes for g in gates)):
        day += 1
        _step(gates, day)
    return Trial(seed, asked_us, START_US + day * US_PER_DAY, found)


def _step(gates: Sequence[_Gate], day: int) -> None:
    for gate in gates:
        gate.day(day)


def coverage(seed: int, count: int) -> tuple[tuple[Trial, ...], int]:
    """``count`` programmes that had a forecast, from ``seed`` on, and how many beside them had
    none."""
    found: list[Trial] = []
    unknown = 0
    while len(found) < count:
        trial = programme(seed + len(found) + unknown)
        if trial is None:
            unknown += 1
        else:
            found.append(trial)
    return tuple(found), unknown
