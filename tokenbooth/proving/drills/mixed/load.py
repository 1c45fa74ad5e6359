"""Plays a schedule: bounded concurrency, in order, with the outages and the revocation in it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tokenbooth.proving.asking import ask_of
from tokenbooth.proving.caller import Moments, PlannedCall
from tokenbooth.proving.client import Address
from tokenbooth.proving.drills.mixed.outage import Outage
from tokenbooth.proving.drills.mixed.schedule import DOWN_CALLS, Schedule
from tokenbooth.proving.observations import CallSeen
from tokenbooth.proving.plans import CallKind, CallPlan
from tokenbooth.proving.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPorts:
    """What the load needs from outside: where each call goes, by its number, and the rest.

    ``revoke`` revokes the key of the schedule's victim.
    """

    address: Callable[[int], Address]
    now_us: Callable[[], int]
    revoke: Callable[[], Awaitable[None]]
    progress: Callable[[int], None]


class MixedLoad:
    """``outages`` are in the order of ``schedule.kills``, each with the calls that live it."""

    def __init__(
        self,
        schedule: Schedule,
        stage: Stage,
        outages: Sequence[Outage],
        ports: LoadPorts,
    ) -> None:
        self._schedule = schedule
        self._stage = stage
        self._outages = dict(zip(schedule.kills, outages, strict=True))
        self._ports = ports
        self._plans = iter(schedule.calls)
        self._seen: list[CallSeen] = []
        self._revoked = asyncio.Event()
        self._revoking: asyncio.Task[None] | None = None

    async def run(self, parallel: int) -> tuple[CallSeen, ...]:
        """Every call once; returns what was seen, in the order of the schedule."""
        restores = [asyncio.create_task(outage.restore()) for outage in self._outages.values()]
        workers = [asyncio.create_task(self._work()) for _ in range(parallel)]
        try:
            await asyncio.gather(*workers, *restores)
            if self._revoking is not None:
                await self._revoking
        finally:
            for task in (*workers, *restores):
                task.cancel()
        return tuple(sorted(self._seen, key=lambda call: call.plan.number))

    async def _work(self) -> None:
        for plan in self._plans:
            await self._wait_turn(plan)
            call = PlannedCall(plan, self._ports.now_us, Moments(midway=self._trigger(plan)))
            address = self._ports.address(plan.number)
            self._seen.append(await call.make(address, ask_of(plan, self._stage)))
            for outage in self._outages.values():
                outage.ended(plan.number)
            self._ports.progress(len(self._seen))

    async def _wait_turn(self, plan: CallPlan) -> None:
        """Calls after an outage wait for its end, so that it takes no more than it should."""
        for kill, outage in self._outages.items():
            if plan.number > last_of_outage(kill, self._schedule):
                await outage.over.wait()
        if plan.kind is CallKind.REVOKED_KEY:
            await self._revoked.wait()

    def _trigger(self, plan: CallPlan) -> Callable[[], None] | None:
        if plan.kind is CallKind.ENGINE_KILL:
            return self._outages[plan.number].kill
        if plan.kind is CallKind.KEY_REVOKE:
            return self._begin_revoking
        return None

    def _begin_revoking(self) -> None:
        self._revoking = asyncio.create_task(self._revoke())

    async def _revoke(self) -> None:
        try:
            await self._ports.revoke()
        finally:
            self._revoked.set()


def last_of_outage(kill: int, schedule: Schedule) -> int:
    """The number of the last call that starts before the engine is back."""
    return min(kill + DOWN_CALLS, len(schedule.calls) - 1)
