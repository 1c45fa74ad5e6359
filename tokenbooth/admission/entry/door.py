"""The desks of this process on its event loop: one in front of each deployment that was called."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Protocol

from tokenbooth.admission.entry.desk import Desk
from tokenbooth.admission.entry.rules import smoothed
from tokenbooth.admission.entry.values import (
    NEVER_US,
    Limits,
    Pace,
    Refusal,
    Visit,
    nothing_yet,
    rank_of,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import ServiceTier

# Takes the call that gives up waiting; calling it later, or twice, does nothing.
Waits = Callable[[Callable[[], None]], None]

_US_PER_S = 1_000_000
_FIRST_OUTPUT_TOKENS = 256
_OUTPUT_WEIGHT = 16


@dataclass(slots=True, eq=False)
class Place(Visit):
    """A call before a deployment, and from ``enter`` on its permission to run there; ``leave``
    gives it back, once however often it is called."""

    door: "Door | None" = field(default=None, repr=False)
    answer: "asyncio.Future[Refusal | None] | None" = field(default=None, repr=False)

    def first(self) -> None:
        """The first output is out."""
        if self.door is not None:
            self.door.first(self)

    def leave(self) -> None:
        door, self.door = self.door, None
        if door is not None:
            door.left(self)

    def elsewhere(self) -> "Place":
        """The same call, that asks at another deployment and does not wait there."""
        return Place(self.tenant, self.rank, self.input_tokens, self.output_tokens, 0)

    @property
    def waited_us(self) -> int:
        return self.entered_us - self.arrived_us


class Door:
    """One deployment's desk with those who wait before it as futures."""

    def __init__(self, limits: Limits, monotonic_us: Callable[[], int]) -> None:
        self._monotonic_us = monotonic_us
        self._limits = limits
        self._output_tokens = _FIRST_OUTPUT_TOKENS
        # Asked of a place that comes free, and told whether anybody waits here.
        self.leaves: Callable[[bool], bool] | None = None
        # Told when a caller begins to wait.
        self.hungry: Callable[[], None] | None = None
        self.desk = Desk(limits, self)

    def resized(self, concurrency_max: int) -> None:
        """New places, which go to those who wait."""
        self.limited(concurrency_max, self._limits.queue_max, self._limits.pace)

    def limited(self, concurrency_max: int, queue_max: int, pace: Pace | None) -> None:
        """New limits for those who come; nobody inside or waiting is sent away."""
        known = self._limits
        alike = concurrency_max == known.concurrency_max and queue_max == known.queue_max
        if not alike or pace is not known.pace:
            self._limits = Limits(concurrency_max, queue_max, pace)
            self.desk.limited(self._limits, self._monotonic_us())

    async def enter(self, place: Place, waits: Waits | None) -> Place:
        """Raises Problem ENGINE_BUSY."""
        # What it may write says little of what it will.
        place.output_tokens = min(place.output_tokens, self._output_tokens)
        refusal = self.desk.ask(place, self._monotonic_us())
        if place.waits:
            if self.hungry is not None:
                self.hungry()
            refusal = await self._turn(place, waits)
        if refusal is not None:
            raise Problem(
                Code.ENGINE_BUSY, refusal.reason.value, retry_after_s=refusal.retry_after_s
            )
        place.door = self
        return place

    def first(self, place: Place) -> None:
        self.desk.first(place, self._monotonic_us())

    def left(self, place: Place) -> None:
        wrote = place.progress()
        if wrote:
            self._output_tokens = max(1, smoothed(self._output_tokens, wrote, _OUTPUT_WEIGHT))
        if self.leaves is not None and self.leaves(self.desk.waiting > 0):
            self.resized(self._limits.concurrency_max - 1)
        self.desk.leave(place, self._monotonic_us())
        place.progress = nothing_yet

    def demand_milli(self) -> int:
        return self.desk.demand_milli(self._monotonic_us())

    # What the desk says.

    def entered(self, visit: Visit) -> None:
        self._answer(visit, None)

    def refused(self, visit: Visit, refusal: Refusal) -> None:
        self._answer(visit, refusal)

    async def _turn(self, place: Place, waits: Waits | None) -> Refusal | None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Refusal | None] = loop.create_future()
        place.answer = answer
        timer = loop.call_later(place.wait_max_us / _US_PER_S, self._expire, place)
        if waits is not None:
            waits(partial(self._expire, place))
        try:
            return await answer
        except asyncio.CancelledError:
            # The place may have been handed over just before the cancellation arrived.
            self._expire(place)
            if place.entered_us != NEVER_US:
                self.left(place)
            raise
        finally:
            timer.cancel()
            place.answer = None

    def _expire(self, place: Place) -> None:
        if place.waits:
            self._answer(place, self.desk.give_up(place, self._monotonic_us()))

    @staticmethod
    def _answer(visit: Visit, refusal: Refusal | None) -> None:
        assert isinstance(visit, Place)
        if visit.answer is not None and not visit.answer.done():
            visit.answer.set_result(refusal)


class Gated(Protocol):
    """What a deployment says about its queue."""

    @property
    def id(self) -> str: ...

    @property
    def model_name(self) -> str: ...

    @property
    def concurrency_max(self) -> int: ...

    @property
    def queue_max(self) -> int: ...

    @property
    def queue_wait_max_s(self) -> int: ...


class GateBook:
    """The doors of this process.

    ``paces`` are what the operator promises of models; ``certified`` puts a measured one in their
    place. ``first_party``: the organizations of the operator's own apps.
    """

    def __init__(
        self,
        monotonic_us: Callable[[], int] | None = None,
        *,
        first_party: frozenset[str] = frozenset(),
        paces: Mapping[str, Pace] = MappingProxyType({}),
    ) -> None:
        self._monotonic_us = monotonic_us or _loop_us
        self._first_party = first_party
        self._paces = paces
        self._certified: dict[str, Pace] = {}
        self._doors: dict[str, Door] = {}
        # Several processes: which places this one has, how many may wait in it, and what leaves it.
        self.bounds: Callable[[Gated], tuple[int, int]] = _own_bounds
        self.leaves: Callable[[str, bool], bool] | None = None
        self.hungry: Callable[[str], None] | None = None

    def place(self, org_id: str, tier: ServiceTier, input_tokens: int, output_tokens: int) -> Place:
        """For a call that brings so much, and may write so much."""
        rank = rank_of(tier, first_party=org_id in self._first_party)
        return Place(org_id, rank, input_tokens, output_tokens, 0)

    def certified(self, deployment_id: str, pace: Pace | None) -> None:
        """What was measured of a deployment, ``None`` when that is no longer true."""
        if pace is None:
            self._certified.pop(deployment_id, None)
        else:
            self._certified[deployment_id] = pace

    async def enter(
        self,
        deployment: Gated,
        place: Place,
        wait_max_s: float | None = None,
        waits: Waits | None = None,
    ) -> Place:
        """Permission to run there; without ``wait_max_s`` a call waits as long as the deployment
        allows. One that has to wait tells ``waits`` how to give the waiting up.

        Raises Problem ENGINE_BUSY. Changed limits of the deployment act from this call on.
        """
        pace = self._certified.get(deployment.id) or self._paces.get(deployment.model_name)
        door = self._doors.get(deployment.id)
        if door is None:
            door = self._opened(deployment, pace)
        else:
            door.limited(*self.bounds(deployment), pace)
        wait_s = deployment.queue_wait_max_s if wait_max_s is None else wait_max_s
        place.wait_max_us = int(wait_s * _US_PER_S)
        return await door.enter(place, waits)

    def _opened(self, deployment: Gated, pace: Pace | None) -> Door:
        door = Door(Limits(*self.bounds(deployment), pace), self._monotonic_us)
        if self.leaves is not None:
            door.leaves = partial(self.leaves, deployment.id)
        if self.hungry is not None:
            door.hungry = partial(self.hungry, deployment.id)
        self._doors[deployment.id] = door
        return door

    def has_room(self, deployment: Gated) -> bool:
        """Whether a call would get a place at once."""
        door = self._doors.get(deployment.id)
        return door is None or door.desk.inside < min(door.desk.limit, self.bounds(deployment)[0])

    def taken(self, deployment_id: str) -> int:
        """Places that are taken now."""
        door = self._doors.get(deployment_id)
        return 0 if door is None else door.desk.inside

    def waiting_at(self, deployment_id: str) -> int:
        """Callers in that queue now."""
        door = self._doors.get(deployment_id)
        return 0 if door is None else door.desk.waiting

    def resize(self, deployment_id: str, concurrency_max: int) -> None:
        """New places, which go to those who wait."""
        door = self._doors.get(deployment_id)
        if door is not None:
            door.resized(concurrency_max)

    def waiting(self) -> dict[str, int]:
        """Queue length by deployment id."""
        return {name: door.desk.waiting for name, door in self._doors.items()}

    def limits(self) -> dict[str, int]:
        """Calls that may run at once now, by deployment id."""
        return {name: door.desk.limit for name, door in self._doors.items()}

    def demand_milli(self) -> dict[str, int]:
        """Thousandths of what a deployment may run that callers want of it, refused ones too."""
        return {name: door.demand_milli() for name, door in self._doors.items()}

    def keep_only(self, deployment_ids: frozenset[str]) -> None:
        """Forget the desks of deployments that are gone; places taken there stay valid."""
        for deployment_id in self._doors.keys() - deployment_ids:
            del self._doors[deployment_id]
            self._certified.pop(deployment_id, None)


def _own_bounds(deployment: Gated) -> tuple[int, int]:
    return deployment.concurrency_max, deployment.queue_max


def _loop_us() -> int:
    return int(asyncio.get_running_loop().time() * 1_000_000)
