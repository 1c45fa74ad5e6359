"""A timer that goes off after a silence, and costs no timer call per byte or per limit."""

import asyncio
from collections.abc import Callable

LOOK_EVERY_S = 1.0


class Silence:
    """``heard`` and ``limit`` only note the time; the timer looks once a second, and when a shorter
    limit would have passed."""

    def __init__(self, on_silence: Callable[[], None]) -> None:
        self._on_silence = on_silence
        self._loop = asyncio.get_running_loop()
        self._heard_s = 0.0
        self._limit_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0

    def limit(self, limit_ms: int) -> None:
        """Begin to listen, with this limit from now on."""
        self._limit_s = limit_ms / 1000
        self.heard()
        if self._timer is None or self._due_s > self._heard_s + self._limit_s:
            self._arm()

    def heard(self) -> None:
        self._heard_s = self._loop.time()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def leave(self, *, for_good: bool) -> None:
        """Stop; for good it also lets go of who would have heard, because the two hold each
        other."""
        self.stop()
        if for_good:
            self._on_silence = _nobody

    def _arm(self) -> None:
        self.stop()
        passed_s = self._heard_s + self._limit_s
        self._due_s = min(passed_s, self._loop.time() + LOOK_EVERY_S)
        self._timer = self._loop.call_at(self._due_s, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._loop.time() < self._heard_s + self._limit_s:
            self._arm()
        else:
            self._on_silence()


def _nobody() -> None:
    """Hears nothing."""
