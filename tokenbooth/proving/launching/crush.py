"""The stampede after an invitation: three times the certified load at the product's own desk."""

from dataclasses import dataclass

from tokenbooth.proving.launching.servers import SERVING, capacity
from tokenbooth.proving.serving.crowds import Crowd, arrivals
from tokenbooth.proving.serving.offered import Figures, Offered, figures
from tokenbooth.proving.serving.policies import AtTheDesk

RUN_US = 900_000_000
WARM_US = 40_000_000
POLITE, CROWD = "polite", "crowd"
POLITE_LOAD, CROWD_LOAD = 100, 2900
POLITE_GOOD_MIN, GOODPUT_MIN = 970, 950


@dataclass(frozen=True, slots=True)
class Crush:
    """Thousandths: of the polite tenant's calls that were good, of the crowd's, and of the goodput
    at the certified load that is left at three times of it."""

    polite: int
    crowd: int
    goodput: int
    ttft_p99_ms: int

    @property
    def passed(self) -> bool:
        in_time = self.ttft_p99_ms * 1000 <= SERVING.slo.ttft_us
        return self.polite >= POLITE_GOOD_MIN and self.goodput >= GOODPUT_MIN and in_time

    def said(self) -> tuple[str, ...]:
        return (
            (
                f"All who were invited come at once: three times the load. Goodput stays at"
                f" {self.goodput / 10:.1f} % of that without the crowd."
            ),
            (
                f"A polite tenant is served in {self.polite / 10:.1f} % of its calls, the crowd in"
                f" {self.crowd / 10:.1f} %; the first token comes within {self.ttft_p99_ms} ms"
                " for 99 of 100 that are let in."
            ),
        )

    def facts(self) -> dict[str, object]:
        return {
            "polite_permille": self.polite,
            "crowd_permille": self.crowd,
            "goodput_permille": self.goodput,
            "ttft_p99_ms": self.ttft_p99_ms,
        }

    def body(self) -> dict[str, object]:
        """As evidence says it."""
        return {
            "load_milli": POLITE_LOAD + CROWD_LOAD,
            "kept_milli": self.goodput,
            "polite_permille": self.polite,
        }


def crush(seed: int) -> Crush:
    """One simulated server, with and without the crowd."""
    carried = capacity(seed).calls_per_ks
    calm = _played((Crowd(POLITE, POLITE_LOAD), Crowd(CROWD, 900)), carried, seed)
    found = _played((Crowd(POLITE, POLITE_LOAD), Crowd(CROWD, CROWD_LOAD)), carried, seed)
    return Crush(
        polite=found.good_milli[POLITE],
        crowd=found.good_milli[CROWD],
        goodput=found.goodput_per_ks * 1000 // max(1, calm.goodput_per_ks),
        ttft_p99_ms=found.ttft_p99_us // 1000,
    )


def _played(crowds: tuple[Crowd, ...], carried: int, seed: int) -> Figures:
    offered = Offered(SERVING, AtTheDesk)
    seen = offered.run(arrivals(crowds, SERVING.workload, carried, seed, RUN_US), RUN_US)
    return figures(SERVING, seen.calls, WARM_US, RUN_US - WARM_US)
