"""How long a connection waits for what; judged by one clock hand for all connections."""

from collections.abc import Callable
from enum import Enum

NEVER_S = float("inf")


class Wait(Enum):
    """What a connection waits for."""

    HEAD = "head"  # the first bytes, or the rest of a head
    NEXT = "next"  # another call
    ANSWER = "answer"  # its bounds are elsewhere
    UNREAD = "unread"  # the rest of a body that nobody reads
    LAST = "last"  # the peer, to take what is unsent


class Patience:
    """What is waited for, until when; and since when a peer has been taking nothing."""

    __slots__ = ("_late_s", "_now_s", "_stall_max_s", "_stall_s", "_unsent_bytes", "wait")

    def __init__(self, now_s: Callable[[], float], stall_max_s: float) -> None:
        self._now_s = now_s
        self._stall_max_s = stall_max_s
        self._late_s = self._stall_s = NEVER_S
        self._unsent_bytes = 0
        self.wait = Wait.ANSWER

    def begin(self, wait: Wait, wait_max_s: float = NEVER_S) -> None:
        self.wait = wait
        self._late_s = NEVER_S if wait_max_s == NEVER_S else self._now_s() + wait_max_s

    def over(self, now_s: float) -> bool:
        """Whether what is waited for is late; told once."""
        if now_s < self._late_s:
            return False
        self._late_s = NEVER_S
        return True

    def press(self, unsent_bytes: int) -> None:
        """The peer takes less than is sent."""
        self._unsent_bytes = unsent_bytes
        self._stall_s = self._now_s() + self._stall_max_s

    def ease(self) -> None:
        self._stall_s = NEVER_S

    @property
    def pressed(self) -> bool:
        return self._stall_s != NEVER_S

    def stalled(self, now_s: float, unsent_bytes: Callable[[], int]) -> bool:
        """Whether nothing was taken for too long; a reader that took something is only slow."""
        if now_s < self._stall_s:
            return False
        left_bytes = unsent_bytes()
        if left_bytes >= self._unsent_bytes:
            return True
        self._unsent_bytes = left_bytes
        self._stall_s = now_s + self._stall_max_s
        return False
