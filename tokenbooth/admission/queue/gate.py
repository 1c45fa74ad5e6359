"""A first-come-first-served gate on the event loop."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Protocol

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
        # Asked of a place that comes free, and told whether anybody waits here.
        self.leaves: Callable[[bool], bool] | None = None
        # Told when a caller begins to wait.
        self.hungry: Callable[[], None] | None = None

    @property
    def active(self) -> int:
        """Places taken now."""
        return self._active

    @property
    def queue_max(self) -> int:
        """Callers that may wait."""
        return self._queue_max

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
        if self.hungry is not None:
            self.hungry()
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
        """One place came free: it goes to the longest waiting, to nobody, or to another process."""
        if self.leaves is not None and self.leaves(bool(self._waiting)):
            self._concurrency_max -= 1
            self._active -= 1
            return
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


class Gated(Protocol):
    """What a deployment says about its queue."""

    @property
    def id(self) -> str: ...

    @property
    def concurrency_max(self) -> int: ...

    @property
    def queue_max(self) -> int: ...

    @property
    def queue_wait_max_s(self) -> int: ...


class GateBook:
    """The gates of this process, one for each deployment that was called."""

    def __init__(self, monotonic_us: Callable[[], int] | None = None) -> None:
        self._monotonic_us = monotonic_us
        self._gates: dict[str, Gate] = {}
        # Several processes: which places this one has, how many may wait in it, and what leaves it.
        self.bounds: Callable[[Gated], tuple[int, int]] = _own_bounds
        self.leaves: Callable[[str, bool], bool] | None = None
        self.hungry: Callable[[str], None] | None = None

    async def enter(
        self, deployment: Gated, wait_max_s: float | None = None, waits: Waits | None = None
    ) -> Place:
        """A place in front of the deployment; ``None`` waits as long as the deployment allows.

        Raises Problem ENGINE_BUSY. Changed limits of the deployment act from this call on.
        """
        gate = self._gates.get(deployment.id)
        if gate is None:
            gate = self._gates[deployment.id] = Gate(0, 0, self._monotonic_us)
            if self.leaves is not None:
                gate.leaves = partial(self.leaves, deployment.id)
            if self.hungry is not None:
                gate.hungry = partial(self.hungry, deployment.id)
        gate.resize(*self.bounds(deployment))
        wait_s = deployment.queue_wait_max_s if wait_max_s is None else wait_max_s
        return await gate.enter(wait_s, waits)

    def has_room(self, deployment: Gated) -> bool:
        """Whether a call would get a place at once."""
        gate = self._gates.get(deployment.id)
        return gate is None or gate.active < self.bounds(deployment)[0]

    def taken(self, deployment_id: str) -> int:
        """Places that are taken now."""
        gate = self._gates.get(deployment_id)
        return 0 if gate is None else gate.active

    def waiting_at(self, deployment_id: str) -> int:
        """Callers in that queue now."""
        gate = self._gates.get(deployment_id)
        return 0 if gate is None else gate.waiting

    def resize(self, deployment_id: str, concurrency_max: int) -> None:
        """New places, which go to those who wait."""
        gate = self._gates.get(deployment_id)
        if gate is not None:
            gate.resize(concurrency_max, gate.queue_max)

    def waiting(self) -> dict[str, int]:
        """Queue length by deployment id."""
        return {deployment_id: gate.waiting for deployment_id, gate in self._gates.items()}

    def keep_only(self, deployment_ids: frozenset[str]) -> None:
        """Forget the gates of deployments that are gone; places taken there stay valid."""
        for deployment_id in self._gates.keys() - deployment_ids:
            del self._gates[deployment_id]


def _own_bounds(deployment: Gated) -> tuple[int, int]:
    return deployment.concurrency_max, deployment.queue_max


def _granted(waiter: asyncio.Future[bool]) -> bool:
    return waiter.done() and not waiter.cancelled() and waiter.result()


def _loop_us() -> int:
    return int(asyncio.get_running_loop().time() * 1_000_000)
