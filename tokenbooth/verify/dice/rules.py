"""Numbers that follow from a seed alone, the same on every machine: SplitMix64."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MASK = 2**64 - 1


class Dice:
    """One stream; ``name`` separates independent streams of one seed."""

    def __init__(self, seed: int, name: str) -> None:
        state = seed & _MASK
        for byte in name.encode():
            state = ((state ^ byte) * 0x100000001B3) & _MASK
        self._state = state

    def below(self, bound: int) -> int:
        """A whole number from 0 to ``bound - 1``; the bias is under ``bound / 2**64``."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((mixed ^ (mixed >> 31)) * bound) >> 64

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return low + self.below(high - low + 1)

    def one_of(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def fraction(self) -> float:
        """From 0 to just below 1."""
        return self.below(2**53) / 2**53
