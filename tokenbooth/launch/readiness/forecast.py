"""When will all gates pass: an interval from what was measured, or no word at all.

A gate whose margin was measured often enough is a walk with a drift towards its bound; the time of
its first passage has a closed form. How sure drift and spread are follows from how many steps there
were, so both are averaged over. A gate that was measured too seldom takes its lead time, stretched
as promises here were stretched before. All gates must pass, so their chances multiply.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import NormalDist, fmean, stdev

from tokenbooth.core.days import US_PER_DAY
from tokenbooth.launch.readiness.values import Forecast, Point

POINTS_MIN = 5
RATIOS_MIN = 5
HORIZON_DAYS = 730
EARLY, LIKELY, LATE = 0.10, 0.50, 0.90
# Steps look rougher than the way is, because each carries the noise of two measurements. Found on
# simulated programmes with seeds below 1000; what is reported has others.
SPREAD = 0.95
# No walk is taken to be smoother than this, in steps of a day.
STEADY = 0.2
_NORMAL = NormalDist()
_RANKS = tuple((i + 0.5) / 9 for i in range(9))
_Z = tuple(_NORMAL.inv_cdf(rank) for rank in _RANKS)

Chance = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Way:
    """What is known of one gate that does not pass: its margins so far, and its lead time."""

    name: str
    points: Sequence[Point]
    lead_days: int


def forecast(ways: Sequence[Way], ratios_permille: Sequence[int], now_us: int) -> Forecast | str:
    """The 80 % interval in which the last of these gates passes, or why nobody can tell."""
    chances: list[Chance] = []
    for way in ways:
        chance = passage(way.points, now_us)
        if chance is None and len(way.points) >= POINTS_MIN:
            return f"{way.name} does not move towards its bound"
        if chance is None and len(ratios_permille) >= RATIOS_MIN and way.lead_days > 0:
            chance = stretched(way.lead_days, ratios_permille)
        if chance is None:
            return (
                f"{way.name}: fewer than {POINTS_MIN} measurements, and fewer than {RATIOS_MIN}"
                " promises that came true"
            )
        chances.append(chance)
    if not chances:
        return Forecast(now_us, now_us, now_us)

    def all_pass(days: float) -> float:
        product = 1.0
        for each in chances:
            product *= each(days)
        return product

    early, likely, late = (_quantile(all_pass, share) for share in (EARLY, LIKELY, LATE))
    if early is None or likely is None:
        return "the measurements hardly move towards their bounds"
    return Forecast(
        now_us + int(early * US_PER_DAY),
        now_us + int(likely * US_PER_DAY),
        None if late is None else now_us + int(late * US_PER_DAY),
    )


def passage(points: Sequence[Point], now_us: int) -> Chance | None:
    """The chance that a walk like this has reached its bound after some days from now; ``None``
    with too few points, without a move towards the bound, or with a last one beyond it already."""
    if len(points) < POINTS_MIN or points[-1].margin_permille >= 0:
        return None
    days = [(p.time_us - points[0].time_us) / US_PER_DAY for p in points]
    span = days[-1]
    steps = [
        (b.margin_permille - a.margin_permille, d - c)
        for a, b, c, d in zip(points, points[1:], days, days[1:], strict=False)
        if d > c
    ]
    if len(steps) < POINTS_MIN - 1:
        return None
    drift = sum(moved for moved, _ in steps) / span
    if drift <= 0:
        return None
    spread = sqrt(sum((m - drift * t) ** 2 / t for m, t in steps) / (len(steps) - 1)) * SPREAD
    gap, since = float(-points[-1].margin_permille), (now_us - points[-1].time_us) / US_PER_DAY
    spread = max(spread, STEADY * drift)
    free = len(steps) - 1
    mixed = []
    for low in _Z:
        # Wilson and Hilferty's root of chi-square: how much less the spread may be than it looks.
        shrink = max(0.05, 1 - 2 / (9 * free) + low * sqrt(2 / (9 * free))) ** 3
        wide = spread / sqrt(shrink)
        mixed += [(drift + z * wide / sqrt(span), wide) for z in _Z]
    # It moved towards its bound, so of what the measurements allow only that is believed.
    mixed = [each for each in mixed if each[0] > 0]
    beat = span / len(steps)
    already = fmean(_reached(gap, d, w, max(since, 1e-6)) for d, w in mixed)

    def chance(ahead: float) -> float:
        # A gate is only seen to pass when it is measured: half a beat later on average.
        time = max(ahead + since - beat / 2, 1e-6)
        by_then = fmean(_reached(gap, d, w, time) for d, w in mixed)
        return max(0.0, (by_then - already) / (1 - already)) if already < 1 else 1.0

    return chance


def stretched(lead_days: int, ratios_permille: Sequence[int]) -> Chance:
    """The chance that a lead time is over after some days, if it stretches as others did."""
    logs = [log(ratio / 1000) for ratio in ratios_permille]
    middle, free = fmean(logs), len(logs) - 1
    wide = max(stdev(logs), 0.05) * sqrt(1 + 1 / len(logs)) * sqrt(1 + 2 / free)

    def chance(ahead: float) -> float:
        return _NORMAL.cdf((log(max(ahead, 1e-6) / lead_days) - middle) / wide)

    return chance


def _reached(gap: float, drift: float, wide: float, days: float) -> float:
    """First passage of a walk with drift: the inverse Gaussian distribution, also without drift."""
    root = wide * sqrt(days)
    beyond = min(2 * drift * gap / wide**2, 700.0)
    return min(
        1.0,
        _NORMAL.cdf((drift * days - gap) / root)
        + exp(beyond) * _NORMAL.cdf((-gap - drift * days) / root),
    )


def _quantile(chance: Chance, share: float) -> float | None:
    """The day by which the chance is ``share``; ``None`` beyond the horizon."""
    if chance(HORIZON_DAYS) < share:
        return None
    low, high = 0.0, float(HORIZON_DAYS)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if chance(middle) >= share else (middle, high)
    return high
