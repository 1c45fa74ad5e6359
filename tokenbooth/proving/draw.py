"""Random numbers that depend on a seed alone, the same on every machine and Python version."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """SHA-256 in counter mode; ``name`` separates independent streams of one seed."""

    def __init__(self, seed: int, name: str) -> None:
        self._root = f"{name} {seed} ".encode()
        self._count = 0

    def below(self, bound: int) -> int:
        """A whole number from 0 to ``bound - 1``; the bias of the modulo is under 2**-32."""
        if not 1 <= bound <= 2**32:
            raise ValueError("bound must be from 1 to 2**32")
        digest = hashlib.sha256(self._root + str(self._count).encode()).digest()
        self._count += 1
        return int.from_bytes(digest[:8]) % bound

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        return self.below(100) < percent

    def one_of(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """A new list in random order (Fisher-Yates)."""
        order = list(items)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order
