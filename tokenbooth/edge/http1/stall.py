"""Whether a peer takes nothing of what is written to it."""

import asyncio

NEVER_S = float("inf")


class Stall:
    """``on`` while more is unsent than should be."""

    __slots__ = ("_late_s", "_transport", "_unsent_bytes", "stall_max_s")

    def __init__(self, transport: asyncio.WriteTransport, stall_max_s: int) -> None:
        self._transport = transport
        self.stall_max_s = stall_max_s
        self._unsent_bytes = 0
        self._late_s = NEVER_S

    @property
    def on(self) -> bool:
        return self._late_s != NEVER_S

    def begin(self, now_s: float) -> None:
        self._unsent_bytes = self._transport.get_write_buffer_size()
        self._late_s = now_s + self.stall_max_s

    def end(self) -> None:
        self._late_s = NEVER_S

    def late(self, now_s: float) -> bool:
        """Whether it took nothing in all its time; who took something is slow, and not yet gone."""
        if now_s < self._late_s:
            return False
        unsent_bytes = self._transport.get_write_buffer_size()
        if unsent_bytes >= self._unsent_bytes:
            return True
        self.begin(now_s)
        return False
