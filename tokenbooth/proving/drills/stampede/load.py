"""The crowd: connections that stand ready and are let go at once, and callers that come back."""

import asyncio
import itertools
import resource
from collections.abc import Callable, Sequence

from tokenbooth.proving.caller import Moments
from tokenbooth.proving.drills.play import Scene
from tokenbooth.proving.drills.probing import Probe, probe_all
from tokenbooth.proving.drills.stampede.checks import RushSeen
from tokenbooth.proving.drills.stampede.plan import (
    ANSWER_TOKENS,
    Rush,
    drawn_calls,
    exact_calls,
    last_calls,
)
from tokenbooth.proving.observations import CallSeen
from tokenbooth.proving.plans import CallPlan

GATE_WAIT_S = 10
CONNECTING_MAX = 128
FILES_RESERVED = 128
RETRY_MAX_S = 2
TRIES_MAX = 5000
# After so many failures of the server in a row the callers give up.
FAILURES_MAX = 8


class StartingGate:
    """Opens when ``expected`` runners stand at it, or when the first has waited long enough."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._open = asyncio.Event()
        self.ready = 0

    async def wait(self) -> None:
        self.ready += 1
        if self.ready >= self._expected:
            self._open.set()
        try:
            async with asyncio.timeout(GATE_WAIT_S):
                await self._open.wait()
        except TimeoutError:
            self._open.set()


def parallel_within(wanted: int) -> int:
    """As many connections as wanted and the limit of open files, raised if need be, allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    needed = wanted + FILES_RESERVED
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(wanted, soft - FILES_RESERVED))


class ExactRush:
    """Every call once, all connected before the first is sent, as far as files allow."""

    def __init__(self, scene: Scene, rush: Rush, calls: int) -> None:
        self._scene = scene
        self._rush = rush
        self._plans = exact_calls(rush, calls)
        self.parallel = parallel_within(calls)
        self._places = asyncio.Semaphore(self.parallel)
        self._connecting = asyncio.Semaphore(CONNECTING_MAX)
        self._gate = StartingGate(self.parallel)

    async def run(self) -> RushSeen:
        calls = await asyncio.gather(*map(self._call, self._plans))
        self.parallel = min(self.parallel, self._gate.ready)
        return RushSeen(rush=self._rush, calls=tuple(calls))

    async def _call(self, plan: CallPlan) -> CallSeen:
        async with self._places:
            await self._connecting.acquire()
            leave = _once(self._connecting.release)

            async def connected() -> None:
                leave()
                await self._gate.wait()

            try:
                return await self._scene.call(plan, Moments(connected=connected))
            finally:
                leave()


class RandomRush:
    """Callers that repeat what is refused for now, and go when they are refused for good."""

    def __init__(self, scene: Scene, rush: Rush, callers: int) -> None:
        self._scene = scene
        self._rush = rush
        self._callers = callers
        self._plans = itertools.islice(drawn_calls(rush, scene.options.seed), TRIES_MAX)
        self._probes = tuple(Probe(*last, ANSWER_TOKENS) for last in last_calls(rush))
        self._seen: list[CallSeen] = []
        self._refused = 0
        self._failures = 0

    async def run(self) -> RushSeen:
        await asyncio.gather(*(self._call_until_refused() for _ in range(self._callers)))
        return RushSeen(
            rush=self._rush,
            calls=tuple(self._seen),
            probes=await probe_all(self._scene, self._probes, (self._rush.name,)),
            endless=self._refused < self._callers,
        )

    async def _call_until_refused(self) -> None:
        for plan in self._plans:
            seen = await self._scene.call(plan)
            self._seen.append(seen)
            self._failures = self._failures + 1 if (seen.status or 599) >= 500 else 0
            if self._failures > FAILURES_MAX:
                return
            if seen.retry_after_s is not None:
                await asyncio.sleep(min(seen.retry_after_s, RETRY_MAX_S))
            elif not seen.complete:
                self._refused += 1
                return


def _once(verb: Callable[[], None]) -> Callable[[], None]:
    """Does ``verb`` at its first call only."""
    left: list[Callable[[], None]] = [verb]

    def act() -> None:
        if left:
            left.pop()()

    return act


async def stampede(
    scene: Scene, played: Sequence[Rush], calls: int, callers: int
) -> tuple[tuple[RushSeen, ...], int]:
    """Exact rushes one after the other, then the random ones together; and how many calls of an
    exact rush stood ready at the same time."""
    seen: list[RushSeen] = []
    parallel = calls
    for rush in played:
        if rush.exact:
            scene.progress("exact rushes", len(seen), len(played) // 2)
            crowd = ExactRush(scene, rush, calls)
            seen.append(await crowd.run())
            parallel = min(parallel, crowd.parallel)
    scene.progress("random rushes", 0, 1)
    crowds = [RandomRush(scene, rush, callers) for rush in played if not rush.exact]
    seen += await asyncio.gather(*(crowd.run() for crowd in crowds))
    return tuple(seen), parallel
