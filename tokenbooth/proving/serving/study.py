"""Policies side by side before simulated servers, and which goals the product's desk reaches."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from tokenbooth.core.terms import ServiceTier
from tokenbooth.proving.bench.chart import Bar, Chart
from tokenbooth.proving.serving.carried import Carried, carried
from tokenbooth.proving.serving.crowds import Crowd, arrivals
from tokenbooth.proving.serving.offered import Figures, Offered, Seen, figures
from tokenbooth.proving.serving.policies import (
    AimdOnMisses,
    AtTheDesk,
    EngineDefault,
    Fifo,
    MakePolicy,
)
from tokenbooth.proving.serving.shape import SimulatedServing, drawn_serving

LOADS_MILLI = (700, 800, 900, 1000, 1100, 1200, 1500, 2000, 3000)
OVERLOADS_MILLI = (1500, 2000, 3000)
DESK, DESK_ALONE = "desk with a certificate", "desk without one"
_CALLS = 1_500
_REST_US = 60_000_000
_MILLI = 1_000
_US_PER_KS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure of each server in thousandths, which shall be at least, or at most, ``bound``."""

    name: str
    bound_milli: int
    at_most: bool = False

    def reached(self, milli: int) -> bool:
        return milli <= self.bound_milli if self.at_most else milli >= self.bound_milli


GOALS = (
    *(
        Goal(f"goodput at {load // 1000}.{load // 100 % 10}x beside the best below 1.2x", 950)
        for load in OVERLOADS_MILLI
    ),
    Goal(
        "p99 of the time to the first token of who was let in, beside its promise",
        1000,
        at_most=True,
    ),
    Goal("polite tenant beside a flooder with 10 times its load", 970),
    Goal("outsiders beside 3 times as much as the server carries of the operator's apps", 950),
    Goal("what flex and batch cost the standard band", 20, at_most=True),
    Goal("first retries served after a burst, when Retry-After is obeyed", 800),
)


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One server: goodput in thousandths of what it carries by policy and load, and the goals."""

    seed: int
    carried: Carried
    goodput_milli: Mapping[str, tuple[int, ...]]
    goals_milli: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Study:
    rows: tuple[ServerRow, ...]

    def goodput_milli(self, policy: str) -> list[int]:
        """The median over the servers at each load."""
        columns = zip(*(row.goodput_milli[policy] for row in self.rows), strict=True)
        return [_median(column) for column in columns]

    def document(self) -> dict[str, object]:
        return {
            "object": "simulation",
            "simulation": "serving",
            "servers": len(self.rows),
            "loads_milli": LOADS_MILLI,
            "goodput_milli": {name: self.goodput_milli(name) for name in POLICIES},
            "goals": {goal.name: self._goal(goal) for goal in GOALS},
            "rows": [
                {
                    "seed": row.seed,
                    "carried_per_ks": row.carried.calls_per_ks,
                    "concurrency": row.carried.concurrency,
                    "goodput_milli": dict(row.goodput_milli),
                    "goals_milli": dict(row.goals_milli),
                }
                for row in self.rows
            ],
        }

    def lines(self) -> Iterator[str]:
        yield f"{len(self.rows)} servers; median goodput in percent of what each carries"
        yield f"{'':26}" + "".join(f"{load / 1000:>7.1f}x" for load in LOADS_MILLI)
        for name in POLICIES:
            cells = "".join(f"{milli / 10:>8.0f}" for milli in self.goodput_milli(name))
            yield f"  {name:24}{cells}"
        yield "goals in percent: median, worst, servers that reach it"
        for goal in GOALS:
            found = self._goal(goal)
            median, worst = (found[name] for name in ("median_milli", "worst_milli"))
            bound = f"{'<=' if goal.at_most else '>='} {goal.bound_milli / 10:g}"
            yield (
                f"  {median / 10:6.1f} {worst / 10:6.1f}  {found['reached']:3} of"
                f" {len(self.rows)}  {bound:8} {goal.name}"
            )

    def chart(self) -> Chart:
        at = LOADS_MILLI.index(2000)
        return Chart(
            title="Goodput at twice the load that a server carries",
            unit="%",
            bars=[
                Bar(name, self.goodput_milli(name)[at] // 10, plain=not name.startswith("desk"))
                for name in POLICIES
            ],
            goal=95,
            note=f"Median of {len(self.rows)} simulated servers; 100 % is what each carries.",
        )

    def _goal(self, goal: Goal) -> dict[str, int]:
        values = [row.goals_milli[goal.name] for row in self.rows]
        return {
            "bound_milli": goal.bound_milli,
            "median_milli": _median(values),
            "worst_milli": max(values) if goal.at_most else min(values),
            "reached": sum(goal.reached(value) for value in values),
        }


def _certified(ceiling: int) -> MakePolicy:
    return partial(AtTheDesk, ceiling=ceiling)


POLICIES: Mapping[str, Callable[[int], MakePolicy]] = MappingProxyType(
    {
        "engine default": lambda _: EngineDefault,
        "queue of 64, then 503": lambda _: Fifo,
        "AIMD on missed promises": lambda _: AimdOnMisses,
        DESK_ALONE: lambda _: AtTheDesk,
        DESK: _certified,
    }
)


class Trial:
    """One server, what it carries, and runs against it."""

    def __init__(self, serving: SimulatedServing, seed: int, calls: int = _CALLS) -> None:
        self.serving = serving
        self.seed = seed
        self.carried = carried(serving, seed, calls * 4 // 3)
        self._run_us = calls * _US_PER_KS // self.carried.calls_per_ks

    def play(self, make: MakePolicy, *crowds: Crowd, returns: int = 0) -> tuple[Figures, Seen]:
        """Figures of all but the first tenth, in which queues fill."""
        offered = Offered(self.serving, make, returns=returns)
        rate = self.carried.calls_per_ks
        calls = arrivals(crowds, self.serving.workload, rate, self.seed, self._run_us)
        seen = offered.run(calls, self._run_us + _REST_US)
        found = figures(self.serving, seen.calls, self._run_us // 10, self._run_us)
        return found, seen

    def row(self) -> ServerRow:
        by_policy: dict[str, tuple[int, ...]] = {}
        found: list[Figures] = []
        for name, policy in POLICIES.items():
            make = policy(self.carried.concurrency)
            found = [self.play(make, Crowd("all", load))[0] for load in LOADS_MILLI]
            rate = self.carried.calls_per_ks
            by_policy[name] = tuple(each.goodput_per_ks * _MILLI // rate for each in found)
        desk = by_policy[DESK]
        best = max(desk[: LOADS_MILLI.index(1500)])
        over = [desk[LOADS_MILLI.index(load)] * _MILLI // best for load in OVERLOADS_MILLI]
        ttft = max(each.ttft_p99_us for each in found[-len(over) :])
        goals = (*over, ttft * _MILLI // self.serving.slo.ttft_us, *self._neighbours())
        named = {goal.name: milli for goal, milli in zip(GOALS, goals, strict=True)}
        return ServerRow(self.seed, self.carried, by_policy, named)

    def _neighbours(self) -> tuple[int, int, int, int]:
        make = _certified(self.carried.concurrency)
        flooded, _ = self.play(make, Crowd("polite", 300), Crowd("flooder", 3000))
        outside = tuple(Crowd(f"outsider {number}", 140) for number in range(5))
        apps = tuple(Crowd(f"app {number}", 1500, first_party=True) for number in range(2))
        beside, _ = self.play(make, *outside, *apps)
        standard = tuple(Crowd(f"standard {number}", 180) for number in range(5))
        low = Crowd("flex", 1000, ServiceTier.FLEX), Crowd("batch", 1000, ServiceTier.BATCH)
        alone, _ = self.play(make, *standard)
        shared, _ = self.play(make, *standard, *low)
        steady = Crowd("steady 0", 350), Crowd("steady 1", 350)
        bursts = tuple(Crowd(f"burst {n}", 400, from_milli=300, to_milli=350) for n in range(6))
        _, seen = self.play(make, *steady, *bursts, returns=1)
        return (
            flooded.good_milli["polite"],
            _mean(beside, outside),
            _mean(alone, standard) - _mean(shared, standard),
            seen.served_at_first_retry * _MILLI // max(1, seen.retried),
        )


def run_study(seed: int, servers: int, told: Callable[[int], None]) -> Study:
    """``told`` hears how many servers are done."""
    rows: list[ServerRow] = []
    for number in range(seed, seed + servers):
        rows.append(Trial(drawn_serving(number), number).row())
        told(len(rows))
    return Study(tuple(rows))


def _mean(found: Figures, crowds: tuple[Crowd, ...]) -> int:
    return sum(found.good_milli[crowd.tenant] for crowd in crowds) // len(crowds)


def _median(values: "tuple[int, ...] | list[int]") -> int:
    return sorted(values)[len(values) // 2]
