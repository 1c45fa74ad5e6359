"""A first-come-first-served gate on the event loop."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from tokenbooth.admission.queue.rules import FIRST_SERVICE_US, retry_after_s, smoothed_us
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

# Takes the call that gives up waiting; calling it later, or twice, does nothing.
Waits = Callable[[Callable[[], None]], None]


class Place:
    """Permission to run; ``leave`` gives it back, once however often it is called."""

    __slots__ = ("_entered_us", "_gate")

    def __init__(self, gate: "Gate", entered_us: int) -> None:
        self._gate: Gate | None = gate
        self._entered_us = entered_us

    def leave(self) -> None:
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.left(self._entered_us)


class Gate:
    """At most ``concurrency_max`` places and ``queue_max`` waiting callers.

    A waiter is a future: True hands it a place, False says that its time is over. While anyone
    waits, every place is taken; a place that comes free goes to the longest waiting.
    """

    def __init__(
        self, concurrency_max: int, queue_max: int, monotonic_us: Callable[[], int] | None = None
    ) -> None:
        self._concurrency_max = concurrency_max
        self._queue_max = queue_max
        self._monotonic_us = monotonic_us or _loop_us
        self._active = 0
        self._waiting: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        self._mean_us = FIRST_SERVICE_US

    @property
    def active(self) -> int:
        """Places taken now."""
        return self._active

    @property
    def waiting(self) -> int:
        """Callers in the queue now."""
        return len(self._waiting)

    async def enter(self, wait_max_s: float, waits: Waits | None = None) -> Place:
        """A place, at once or within ``wait_max_s``; 0 never waits.

        A call that has to wait tells ``waits`` how to give the waiting up. Raises Problem
        ENGINE_BUSY with ``retry_after_s`` when the queue is full or the time over.
        """
        if self._active < self._concurrency_max:
            self._active += 1
            return self._place()
        if wait_max_s <= 0:
            raise self._busy("The model is busy.")
        if len(self._waiting) >= self._queue_max:
            raise self._busy("The model's queue is full.")
        if not await self._turn(wait_max_s, waits):
            raise self._busy("The model stayed busy for as long as a call may wait.")
        return self._place()

    def resize(self, concurrency_max: int, queue_max: int) -> None:
        """New limits for those who come; nobody inside or waiting is sent away."""
        self._concurrency_max = concurrency_max
        self._queue_max = queue_max
        while self._active < concurrency_max and self._hand_over():
            self._active += 1

    def left(self, entered_us: int) -> None:
        """Called by a place, once."""
        self._mean_us = smoothed_us(self._mean_us, self._monotonic_us() - entered_us)
        self._pass_on()

    async def _turn(self, wait_max_s: float, waits: Waits | None) -> bool:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiting[waiter] = None
        timer = loop.call_later(wait_max_s, self._expire, waiter)
        if waits is not None:
            waits(partial(self._expire, waiter))
        try:
            return await waiter
        except asyncio.CancelledError:
            # The place may have been handed over just before the cancellation arrived.
            self._waiting.pop(waiter, None)
            if _granted(waiter):
                self._pass_on()
            raise
        finally:
            timer.cancel()

    def _expire(self, waiter: asyncio.Future[bool]) -> None:
        if not waiter.done():
            del self._waiting[waiter]
            waiter.set_result(False)

    def _pass_on(self) -> None:
        """One place came free: it goes to the longest waiting, or to nobody."""
        if self._active > self._concurrency_max or not self._hand_over():
            self._active -= 1

    def _hand_over(self) -> bool:
        while self._waiting:
            waiter, _ = self._waiting.popitem(last=False)
            if not waiter.done():
                waiter.set_result(True)
                return True
        return False

    def _place(self) -> Place:
        return Place(self, self._monotonic_us())

    def _busy(self, public: str) -> Problem:
        wait_s = retry_after_s(self._mean_us, len(self._waiting), self._concurrency_max)
        return Problem(Code.ENGINE_BUSY, public, retry_after_s=wait_s)


def _granted(waiter: asyncio.Future[bool]) -> bool:
    return waiter.done() and not waiter.cancelled() and waiter.result()


def _loop_us() -> int:
    return int(asyncio.get_running_loop().time() * 1_000_000)
