"""Tells the ledger in rounds, one at a time; after each, who waits for money is served.

A round whose answer was lost is asked again word for word: it is booked once in any case.
"""

import asyncio
import contextlib
from collections.abc import Callable

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Clock
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.books import Books
from tokenbooth.gateway.options import TillOptions
from tokenbooth.gateway.waiting import WaitingRoom
from tokenbooth.money.leases.service import (
    Pool,
    RoundAsk,
    SettledCall,
)

MS = 1000

_Flush = tuple[int, asyncio.Future[None]]
"""How many settled calls the ledger has to know, and who waits for that."""


class Teller:
    """The loop between the memory of one process and the ledger."""

    def __init__(
        self,
        books: Books,
        pool: Pool,
        clock: Clock,
        options: TillOptions,
        *,
        booked: Callable[[tuple[str, ...]], None],
    ) -> None:
        """``booked`` hears the ids of settled calls that the ledger has for good; ``fenced`` is set
        when another process has the name of this one."""
        self._books = books
        self._pool = pool
        self._clock = clock
        self._options = options
        self._booked = booked
        self._wake = asyncio.Event()
        self.waiting = WaitingRoom(pool, clock, options, wake=self._wake.set)
        self._due: asyncio.TimerHandle | None = None
        self._flushes: list[_Flush] = []
        self._announce = False
        self._looked_s: float | None = None
        self._closing = False
        self.fenced: Problem | None = None
        self._task: asyncio.Task[None] | None = None
        self.stuck = 0

    @property
    def away(self) -> bool:
        """Whether the database did not take the newest round."""
        return self.waiting.away

    def start(self, new_op: Callable[[], Op]) -> None:
        self._task = asyncio.create_task(self._run(new_op))

    def tell(self, call: SettledCall) -> None:
        """Queue a settled call; others that settle in the next moment share its round."""
        self._pool.tell(call)
        if self._due is None:
            delay_s = self._options.ship_after_ms / MS
            self._due = asyncio.get_running_loop().call_later(delay_s, self._wake.set)

    async def flushed(self) -> bool:
        """Wait until everything up to now is booked; False when that did not happen in time."""
        if self._task is None or self._task.done():
            return False
        if not self._pool.untold:
            return True
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushes.append((self._pool.told, done))
        self._announce = True
        self._wake.set()
        await asyncio.wait({done}, timeout=self._options.flush_wait_max_s)
        return done.done()

    async def close(self) -> None:
        """Stop after everything is told and returned, or when the database does not take it."""
        if self._task is None:
            return
        self._closing = True
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.close_wait_max_s):
                await asyncio.shield(self._task)
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self, new_op: Callable[[], Op]) -> None:
        while self.fenced is None:
            await self._pause()
            op = new_op()
            try:
                await self._turn(op)
            except Problem as problem:
                await self._failed(op, problem)
            except Exception as error:  # noqa: BLE001  a worker loop: charges outlive every failure
                await self._refused(op, error)
            if self._closing and self._nothing_left:
                return

    @property
    def _nothing_left(self) -> bool:
        return not (self._pool.waiting or self._pool.leased or self._pool.unanswered)

    async def _pause(self) -> None:
        """Until somebody has something to tell or to ask, or it is time to look for recalls."""
        options = self._options
        pause_ms = options.idle_every_ms
        if self.waiting.queue and not self.waiting.queue.unasked:
            pause_ms = options.recall_retry_ms
        elif self._pool.has_leases:
            pause_ms = options.recall_every_ms
        if not self._closing or self.waiting.away:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_ms / MS):
                    await self._wake.wait()
        self._wake.clear()
        if self._due is not None:
            self._due.cancel()
            self._due = None

    async def _turn(self, op: Op) -> None:
        """One round, if there is anything to say."""
        if self._pool.has_leases and not self._pool.unanswered and self._looks_due():
            self._pool.recalled(await self._books.recalled(op, self._pool.replica_id))
        now_us = self._clock.monotonic_us()
        flushes, self._flushes = self._flushes, []
        announce, self._announce = self._announce, False
        again = self._pool.unanswered
        try:
            wants = self.waiting.queue.wants(now_us, close=self._closing)
            ask = self._pool.next_round(wants, now_us, close=self._closing, announce=announce)
            if not ask.empty:
                if not again:
                    self.waiting.queue.asked(ask)
                await self._book(op, ask)
        except BaseException:
            self._flushes = flushes + self._flushes
            raise
        known = -1 if again else self._pool.told - self._pool.waiting
        for flush in flushes:
            told, done = flush
            if told > known:  # what it waits for may stand in the next round
                self._flushes.append(flush)
            elif not done.done():
                done.set_result(None)
        if again or self._pool.waiting:
            self._wake.set()

    def _looks_due(self) -> bool:
        """Whether it is time to look for recalls: rounds come oftener than others ask."""
        now_s, looked_s = asyncio.get_running_loop().time(), self._looked_s
        if looked_s is not None and now_s - looked_s < self._options.recall_every_ms / MS:
            return False
        self._looked_s = now_s
        return True

    async def _book(self, op: Op, ask: RoundAsk) -> None:
        done = await self._books.book(op, ask)
        self.waiting.away = False
        self._pool.apply(done)
        self.waiting.queue.heard(done)
        if ask.settled:
            self._booked(tuple(call.facts.request_id for call in ask.settled))
        self.waiting.serve()

    async def _refused(self, op: Op, error: Exception) -> None:
        """The database refused a round as it stands, so it was not booked: tell it in parts."""
        op.log.fault("round_refused", error)
        if self._pool.unanswered:
            call = self._pool.refused()
            if call is not None:
                self.stuck += 1
                request_id = call.facts.request_id
                op.log.fault("call_not_bookable", error, request_id=request_id)
        self._wake.set()
        await asyncio.sleep(self._options.retry_after_ms / MS)

    async def _failed(self, op: Op, problem: Problem) -> None:
        if problem.code is Code.REPLICA_FENCED:
            op.log.fault("replica_fenced", problem)
            self.fenced = problem
            self.waiting.close(problem)
            return
        if not self.waiting.away:
            op.log.fault("ledger_away", problem)
        self.waiting.away = True
        await asyncio.sleep(self._options.retry_after_ms / MS)
