"""Screening of turns before they run."""

from tokenbooth.safety.screening.rules import screen
from tokenbooth.safety.screening.values import Policy, Verdict

__all__ = ["Policy", "Verdict", "screen"]
