"""Callers that never rest, and a killer for each server."""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from tokenbooth.proving import accounts
from tokenbooth.proving.draw import Draw
from tokenbooth.proving.drills.kill.checks import KillSeen
from tokenbooth.proving.drills.kill.plan import Wallet
from tokenbooth.proving.drills.play import Scene
from tokenbooth.proving.observations import RUNNING, CallSeen
from tokenbooth.proving.plans import CallPlan
from tokenbooth.proving.wire import BrokenWire

REFUSED_PAUSE_S = 0.05
# A server dies after some of its calls have ended, or when it took too long for that, and a moment
# more: so it dies as often in the middle of work on a slow machine as on a fast one.
LIFE_CALLS = (0, 24)
LIFE_S_MAX = 3
LAST_MOMENT_MS_MAX = 100
LOOKED_AT_MAX = 3
POLL_S = 0.2
MEANWHILE = "kills"

Strike = Callable[[int], Awaitable[None]]
Restored = Callable[[KillSeen], None]


class Servers:
    """Which replicas are up, and who kills them."""

    def __init__(self, scene: Scene, planned: int) -> None:
        self._scene = scene
        self._left = planned
        self._planned = planned
        self._count = len(scene.instance.replicas)
        self._up = set(range(self._count))
        self._some_up = asyncio.Event()
        self._some_up.set()
        # Where there are several, one always serves.
        self._killing = asyncio.Semaphore(max(1, self._count - 1))
        self._done = 0
        self._ended: Counter[int] = Counter()
        self._some_ended = asyncio.Event()

    async def one_that_is_up(self, draw: Draw) -> int:
        await self._some_up.wait()
        return draw.one_of(sorted(self._up))

    def ended(self, number: int) -> None:
        """A call at that replica is over."""
        self._ended[number] += 1
        self._some_ended.set()

    async def kill_all(self, strike: Strike, restored: Restored) -> None:
        """Every planned kill, each server's by a killer of its own; ``strike`` runs while one lies
        dead, ``restored`` when it is back."""
        killers = [
            asyncio.create_task(self._kill_one(n, strike, restored)) for n in range(self._count)
        ]
        try:
            await asyncio.gather(*killers)
        finally:
            for killer in killers:
                killer.cancel()

    async def _kill_one(self, number: int, strike: Strike, restored: Restored) -> None:
        draw = Draw(self._scene.options.seed, f"killer {number}")
        while True:
            await self._live(number, draw)
            if not self._left:
                return
            self._left -= 1
            async with self._killing:
                restored(await self._kill(number, strike))
            self._done += 1
            self._scene.progress(MEANWHILE, self._done, self._planned)

    async def _live(self, number: int, draw: Draw) -> None:
        last = self._ended[number] + draw.between(*LIFE_CALLS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIFE_S_MAX):
                while self._ended[number] < last:
                    self._some_ended.clear()
                    await self._some_ended.wait()
        await asyncio.sleep(draw.below(LAST_MOMENT_MS_MAX) / 1000)

    async def _kill(self, number: int, strike: Strike) -> KillSeen:
        replica = self._scene.instance.replicas[number]
        self._up.discard(number)
        if not self._up:
            self._some_up.clear()
        killed_us = self._scene.now_us()
        await asyncio.to_thread(replica.kill)
        dead_wall_us = time.time_ns() // 1000
        await strike(number)
        await asyncio.to_thread(replica.start)
        self._up.add(number)
        self._some_up.set()
        return KillSeen(
            replica=number,
            killed_us=killed_us,
            dead_wall_us=dead_wall_us,
            ready_us=self._scene.now_us(),
        )


class Callers:
    """``parallel`` callers; what one of them sees stands in ``seen`` as soon as it has ended."""

    def __init__(
        self, scene: Scene, servers: Servers, wallet: Wallet, plans: Iterator[CallPlan]
    ) -> None:
        self._scene = scene
        self._servers = servers
        self._wallet = wallet
        self._plans = plans
        self._draw = Draw(scene.options.seed, "servers")
        self._over = False
        self._running: Counter[int] = Counter()
        self._ended = asyncio.Event()
        self.seen: list[CallSeen] = []

    async def left(self, replica: int) -> None:
        """Wait until no call runs at that replica, which takes no new ones."""
        while self._running[replica]:
            self._ended.clear()
            await self._ended.wait()

    async def run(self, parallel: int) -> None:
        """Until ``stop``; then every call that has begun is waited for."""
        await asyncio.gather(*(self._call_on() for _ in range(parallel)))

    def stop(self) -> None:
        self._over = True

    async def _call_on(self) -> None:
        while not self._over:
            replica = await self._servers.one_that_is_up(self._draw)
            plan = next(self._plans)
            self._running[replica] += 1
            try:
                seen = await self._scene.call(plan, replica=replica)
            finally:
                self._running[replica] -= 1
                self._ended.set()
            self.seen.append(seen)
            self._servers.ended(replica)
            if seen.refusal is not None and seen.refusal.final:
                self._wallet.refused(plan.key)
            elif not seen.complete:
                await asyncio.sleep(REFUSED_PAUSE_S)


class Watch:
    """Looks at calls that a kill has broken, from the restart on, until they are booked."""

    def __init__(self, scene: Scene, servers: Servers, callers: Callers) -> None:
        self._scene = scene
        self._servers = servers
        self._callers = callers
        self._draw = Draw(scene.options.seed, "watch")
        self._looks: list[asyncio.Task[KillSeen]] = []
        self._over = False

    def look(self, kill: KillSeen) -> None:
        """The server that this kill had hit is back."""
        self._looks.append(asyncio.create_task(self._look(kill)))

    async def kills(self) -> tuple[KillSeen, ...]:
        """All kills with how long their broken calls took; to be asked when all is quiet."""
        self._over = True
        return tuple(await asyncio.gather(*self._looks))

    async def _look(self, kill: KillSeen) -> KillSeen:
        broken = (c for c in reversed(self._callers.seen) if c.texts and not c.complete)
        victims = itertools.islice((c for c in broken if kill.broke(c)), LOOKED_AT_MAX)
        booked = await asyncio.gather(*map(self._booked, tuple(victims)))
        known = [at_us for found, at_us in booked if found]
        times_us = [at_us for at_us in known if at_us is not None]
        whole = bool(known) and len(times_us) == len(known)
        recovered_us = max(0, max(times_us) - kill.ready_us) if whole else None
        return replace(kill, looked_at=len(known), recovered_us=recovered_us)

    async def _booked(self, call: CallSeen) -> tuple[bool, int | None]:
        """Whether there is a record at all, and when it was final, ``None`` if it never was."""
        secret = self._scene.stage.readers[self._scene.stage.keys[call.plan.key].org]
        while True:
            last = self._over
            address = self._scene.address(await self._servers.one_that_is_up(self._draw))
            try:
                found = await accounts.record_or_none(address, secret, call.request_id or "none")
            except (OSError, BrokenWire, TimeoutError):
                found, last = None, False  # the server that was asked was killed too
            if found is not None and found.status != RUNNING:
                return True, self._scene.now_us()
            if last:
                return found is not None, None
            await asyncio.sleep(POLL_S)
