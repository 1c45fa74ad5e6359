"""Frozen nouns of the quality ladder."""

from dataclasses import dataclass
from enum import StrEnum

FRACTIONS_PERCENT = (25, 50, 75, 100)


class Outcome(StrEnum):
    """PASSED: no worse than the margin. FAILED: worse. UNPROVEN: too few answers to tell."""

    PASSED = "passed"
    FAILED = "failed"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class LadderPlan:
    """``margin_ppm`` is the loss that is not accepted, ``alpha_ppm`` the chance of accepting it at
    any level. A level is asked ``probes_min`` to ``probes_max`` probes, and where that cannot tell
    once more as many."""

    margin_ppm: int = 20_000
    alpha_ppm: int = 50_000
    probes_min: int = 200
    probes_max: int = 1_000


@dataclass(frozen=True, slots=True, order=True)
class Level:
    """Either ``batch`` calls at once all the time, or ``percent`` of the certified rate; the other
    is 0."""

    batch: int
    percent: int

    @property
    def name(self) -> str:
        return f"batch {self.batch}" if self.batch else f"{self.percent} % of the rate"


@dataclass(frozen=True, slots=True)
class Paired:
    """The same probes alone and at a level: of ``count``, ``lost`` were right alone only, ``won``
    at the level only."""

    count: int
    lost: int
    won: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Of one level; ``loss_ppm`` may be negative, ``high_ppm`` is its upper bound."""

    level: Level
    paired: Paired
    loss_ppm: int
    high_ppm: int
    p_ppm: int
    outcome: Outcome
