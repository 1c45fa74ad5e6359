"""Quick random numbers for a simulation: a seed means the same life on every machine."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Mersenne Twister, of which only raw bits are used: they are the same in every version."""

    def __init__(self, seed: int) -> None:
        self._bits = random.Random(seed).getrandbits  # noqa: S311 - a simulation, no secret

    def below(self, bound: int) -> int:
        """A whole number from 0 to ``bound - 1``."""
        return self._bits(32) % bound

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return low + self._bits(32) % (high - low + 1)

    def chance(self, percent: int) -> bool:
        return self._bits(32) % 100 < percent

    def one_of(self, options: Sequence[T]) -> T:
        return options[self._bits(32) % len(options)]

    def token_bytes(self, count: int) -> bytes:
        """Satisfies ``core.ports.Randomness``."""
        return self._bits(8 * count).to_bytes(count, "big")
