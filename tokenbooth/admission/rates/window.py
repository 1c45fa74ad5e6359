"""A count over the last 60 seconds, in constant memory, that never undercounts.

Amounts are summed in slots of one second. An amount leaves with its slot, 61 seconds after the slot
began: at least 60 and less than 61 seconds after it was counted. So no 60 seconds, wherever they
begin, hold more than the limit; up to one second of it is the price of constant memory.
"""

WINDOW_S = 60
SLOTS = WINDOW_S + 1


class SlidingWindow:
    """``newest_s`` is the second of the newest slot; time never runs backwards in it."""

    __slots__ = ("_newest_s", "_slots", "total")

    def __init__(self, now_s: int) -> None:
        self._newest_s = now_s
        self._slots = [0] * SLOTS
        self.total = 0

    def advance(self, now_s: int) -> None:
        """Forget the slots that have left the window by ``now_s``."""
        if now_s <= self._newest_s:
            return
        oldest_new_s = max(self._newest_s + 1, now_s - WINDOW_S)
        for second in range(oldest_new_s, now_s + 1):
            self.total -= self._slots[second % SLOTS]
            self._slots[second % SLOTS] = 0
        self._newest_s = now_s

    def add(self, amount: int) -> int:
        """Count into the newest slot; returns its second, for ``take_back``."""
        self._slots[self._newest_s % SLOTS] += amount
        self.total += amount
        return self._newest_s

    def take_back(self, second: int, amount: int) -> None:
        """Uncount a part of what was added in ``second``; nothing if that slot has left."""
        if second > self._newest_s - SLOTS:
            self._slots[second % SLOTS] -= amount
            self.total -= amount

    def free_at_s(self, amount: int) -> int:
        """The second at which ``amount`` of what is counted has left; ``amount`` <= ``total``."""
        second = self._newest_s - WINDOW_S
        freed = self._slots[second % SLOTS]
        while freed < amount:
            second += 1
            freed += self._slots[second % SLOTS]
        return second + SLOTS

    def empty_at_s(self) -> int:
        """The second at which nothing is counted any more; ``total`` > 0."""
        second = self._newest_s
        slots = self._slots
        while slots[second % SLOTS] == 0:
            second -= 1
        return second + SLOTS
