"""Where calls wait for money that is not leased yet: running ones first, for a bounded time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Clock
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.options import TillOptions
from tokenbooth.money.leases.service import (
    Leased,
    LevelKey,
    Levels,
    MoneyQueue,
    Pool,
    Verdict,
    Waiter,
)

T = TypeVar("T")


@dataclass(slots=True)
class _Waiting(Generic[T]):
    """What to do for a waiter when its money is there, and when there is none."""

    answer: asyncio.Future[T]
    take: Callable[[Levels], T]
    short: Callable[[Levels], T]


class WaitingRoom:
    """Who waits, and what each is told after a round; lives on one event loop."""

    def __init__(
        self, pool: Pool, clock: Clock, options: TillOptions, *, wake: Callable[[], None]
    ) -> None:
        """``wake`` is called when somebody new waits."""
        self._pool = pool
        self._clock = clock
        self._options = options
        self._wake = wake
        self._waiting: dict[Waiter, _Waiting[Any]] = {}
        self._closed: Problem | None = None
        self.queue = MoneyQueue(pool, block_nano_max=options.block_nano_max)
        self.away = False

    def may_take(self, leased: Leased, chain: tuple[LevelKey, ...], amount_nano: int) -> bool:
        """Whether a new call need not wait for its money."""
        for level in leased.levels:
            if level.free_nano < amount_nano:
                return False
        return not (self.queue.running and self.queue.running_waits_at(chain))

    async def wait(
        self,
        chain: tuple[LevelKey, ...],
        amount_nano: int,
        *,
        runs: bool,
        take: Callable[[Levels], T],
        short: Callable[[Levels], T],
        least_nano: int | None = None,
    ) -> T:
        """``take`` once the money is leased, ``short`` once it is sure that there is not enough;
        ``least_nano`` of it is leased then, if there is that much.

        Raises what they raise, LEDGER_UNAVAILABLE when the ledger does not answer in time, and what
        ``close`` was given.
        """
        if self._closed is not None:
            raise self._closed
        waiter = Waiter(chain, amount_nano, runs=runs, least_nano=least_nano)
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = _Waiting(answer, take, short)
        self.queue.add(waiter)
        self._wake()
        try:
            await asyncio.wait({answer}, timeout=self._options.money_wait_max_s)
            if not answer.done():
                self._give_up(waiter)
            return answer.result()
        finally:
            self.queue.remove(waiter)
            self._waiting.pop(waiter, None)

    def _give_up(self, waiter: Waiter) -> None:
        """In time nobody was able to say more than this."""
        levels = self._pool.levels(waiter.chain, self._clock.monotonic_us())
        known = tuple(level for level in levels if level is not None)
        if self.away or len(known) < len(levels):
            raise Problem(
                Code.LEDGER_UNAVAILABLE,
                "The ledger cannot be reached, and the leased money is used up.",
                retry_after_s=2,
            )
        if all(level.left_nano >= waiter.least_nano for level in known):
            raise Problem(
                Code.LEDGER_UNAVAILABLE,
                "The money is there, and could not be leased in time.",
                retry_after_s=2,
            )
        waiting = self._waiting[waiter]
        waiting.answer.set_result(waiting.short(known))

    def serve(self) -> None:
        """Answer everybody whose money is there, or certainly is not."""
        for waiter in self.queue:
            waiting = self._waiting.get(waiter)
            if waiting is None or waiting.answer.done():
                continue
            levels = self._pool.levels(waiter.chain, self._clock.monotonic_us())
            verdict = self.queue.verdict(waiter, levels)
            if verdict is Verdict.WAIT:
                continue
            known = tuple(level for level in levels if level is not None)
            assert len(known) == len(levels), "a call is held at every level"
            answer = waiting.take if verdict is Verdict.FITS else waiting.short
            try:
                waiting.answer.set_result(answer(known))
            except Problem as problem:
                waiting.answer.set_exception(problem)
            self.queue.remove(waiter)

    def close(self, problem: Problem) -> None:
        """Nobody gets money any more; who waits is told so."""
        self._closed = problem
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(problem)
