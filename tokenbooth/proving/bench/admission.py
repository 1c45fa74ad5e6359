"""What a decision of the desk costs: CPU time of a call's whole way past it, step by step."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from tokenbooth.admission.entry.service import Desk, Limits, Pace, Refusal, Visit
from tokenbooth.proving.bench.books import machine_load
from tokenbooth.proving.bench.figures import NS_PER_US
from tokenbooth.proving.drills.play import Progress

GOAL_US = 50
_PACE = Pace(2_000_000, 50_000, 1, 32)
_LONG_US = 10**12
# Each case: how many tenants call, how many calls wait meanwhile.
CASES = {"nobody waits": (8, 0), "64 wait": (8, 64), "1,000 of 500 tenants wait": (500, 1000)}


@dataclass(frozen=True, slots=True)
class AdmissionReport:
    """``times_us`` holds for each case the CPU time of one call in each window: to ask, to hear of
    the first token, to leave and to let the next in."""

    calls: int
    times_us: dict[str, list[float]]
    machine_load: str

    @property
    def exact(self) -> bool:
        """There is nothing here that could be inexact."""
        return True

    def document(self) -> dict[str, object]:
        return {
            "object": "bench",
            "bench": "admission",
            "machine_load": self.machine_load,
            "calls": self.calls,
            "goals": {"decision_us": GOAL_US},
            "cases": {
                name: {"decision_us": round(median(times), 1), "worst_us": round(max(times), 1)}
                for name, times in self.times_us.items()
            },
        }

    def lines(self) -> Iterator[str]:
        yield f"CPU time of one call at the desk (goal {GOAL_US} us)"
        for name, times in self.times_us.items():
            yield f"  {name:28} {median(times):6.1f} us, worst window {max(times):6.1f}"
        yield f"load of the machine {self.machine_load}"


class _Scene:
    """A desk with 32 places, and as many calls waiting as a case has."""

    def __init__(self, tenants: int, waiting: int) -> None:
        self._now_us = 0
        self._tenants = tenants
        self._number = 0
        self._running: list[Visit] = []
        self._inside = 32 if waiting else 16
        self.desk = Desk(Limits(32, max(1, waiting * 2), _PACE), self)
        for _ in range(self._inside + waiting):
            self._come()

    def entered(self, visit: Visit) -> None:
        self._running.append(visit)

    def refused(self, visit: Visit, refusal: Refusal) -> None:
        raise AssertionError(f"a call was refused: {refusal.reason.value}")

    def call(self) -> None:
        """One leaves, another comes; who is let in hears its first token."""
        self._now_us += 100
        oldest = self._running.pop(0)
        self.desk.first(oldest, self._now_us)
        self.desk.leave(oldest, self._now_us)
        self._come()

    def _come(self) -> None:
        self._number += 1
        visit = Visit(f"org_{self._number % self._tenants}", 2, 10, 10, _LONG_US)
        if self.desk.ask(visit, self._now_us) is None and not visit.waits:
            self._running.append(visit)


def run_admission(calls: int, windows: int, progress: Progress) -> AdmissionReport:
    """Measure in this very process."""
    times: dict[str, list[float]] = {name: [] for name in CASES}
    for window in range(windows):
        progress("windows", window, windows)
        for name, (tenants, waiting) in CASES.items():
            scene = _Scene(tenants, waiting)
            begun_ns = time.thread_time_ns()
            for _ in range(calls):
                scene.call()
            times[name].append((time.thread_time_ns() - begun_ns) / calls / NS_PER_US)
    return AdmissionReport(calls, times, machine_load(os.getloadavg()))
