"""What others may use of the ladder."""

from tokenbooth.verify.ladder.rules import (
    findings,
    levels,
    paired,
    probes_needed,
    safe_batch,
    safe_percent,
)
from tokenbooth.verify.ladder.values import Finding, LadderPlan, Level, Outcome, Paired

__all__ = [
    "Finding",
    "LadderPlan",
    "Level",
    "Outcome",
    "Paired",
    "findings",
    "levels",
    "paired",
    "probes_needed",
    "safe_batch",
    "safe_percent",
]
