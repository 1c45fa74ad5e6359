"""Group commit on the event loop: a settlement waits for the disk, nothing else does.

Once per tick the buffer goes to the operating system. One thread makes it durable, and whoever
asks meanwhile shares the next round: the sync that runs is the window in which records gather.
"""

import asyncio
import heapq
from datetime import timedelta

from tokenbooth.core.problem import Problem
from tokenbooth.money.journal.disk_thread import Blocking, DiskThread
from tokenbooth.money.journal.file import Journal
from tokenbooth.money.journal.values import CallFacts, Progress, Settlement

# What nobody waits for (openings, progress) is made durable at the latest after this long.
IDLE_SYNC = timedelta(milliseconds=50)


class JournalDriver:
    """Owns a ``Journal`` from its making until ``close``; lives on one running event loop.

    ``open``, ``progress`` and ``settle`` never block. They and ``durable`` raise Problem
    LEDGER_UNAVAILABLE once the journal is broken.
    """

    def __init__(self, journal: Journal, blocking: Blocking | None = None) -> None:
        """``blocking`` is where the disk is waited for, a thread of its own without it."""
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._blocking = blocking or DiskThread(self._loop)
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._asked = 0
        self._ticking = False
        self._syncing: asyncio.Future[int] | None = None
        self._pruning: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def broken(self) -> str | None:
        """Why nothing can be written any more."""
        return self._journal.broken

    def open(self, facts: CallFacts) -> None:
        self._journal.open(facts)
        self._tick_soon()

    def progress(self, progress: Progress) -> None:
        self._journal.progress(progress)
        self._tick_soon()

    def settle(self, settlement: Settlement) -> int:
        """Returns the mark to wait for before anybody is told of the end."""
        mark = self._journal.settle(settlement)
        self._tick_soon()
        return mark

    async def durable(self, mark: int) -> None:
        """Return when the record of ``mark`` survives a power cut."""
        if self._journal.durable >= mark:
            return
        waiter = self._loop.create_future()
        self._asked += 1
        heapq.heappush(self._waiting, (mark, self._asked, waiter))
        self._tick_soon()
        await waiter

    def forget(self, request_ids: tuple[str, ...]) -> None:
        """The ledger has these calls for good."""
        self._journal.forget(request_ids)
        self._prune()

    async def close(self) -> None:
        """Make all durable, stop the thread, and let go of the directory.

        Raises Problem LEDGER_UNAVAILABLE where that was not possible any more.
        """
        while self._syncing or self._pruning:
            await asyncio.wait([job for job in (self._syncing, self._pruning) if job])
        if self._timer:
            self._timer.cancel()
        try:
            await self._blocking.run(self._journal.close)
        finally:
            self._blocking.close()
            self._resolve()

    def _tick_soon(self) -> None:
        if not self._ticking:
            self._ticking = True
            self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        self._ticking = False
        try:
            self._journal.write_out()
        except Problem:
            self._resolve()
            return
        if self._waiting:
            self._sync()
        elif self._timer is None and self._journal.written > self._journal.durable:
            self._timer = self._loop.call_later(IDLE_SYNC.total_seconds(), self._sync_idle)

    def _sync_idle(self) -> None:
        self._timer = None
        self._sync()

    def _sync(self) -> None:
        if self._syncing is None:
            self._syncing = self._blocking.run(self._journal.sync)
            self._syncing.add_done_callback(self._synced)

    def _synced(self, done: asyncio.Future[int]) -> None:
        self._syncing = None
        done.exception()  # a failure is read from the journal: it is broken now
        self._resolve()
        if self._waiting:
            self._tick_soon()
        self._prune()

    def _resolve(self) -> None:
        """Tell those whose records are durable; where the journal is broken, the others too."""
        waiting, durable = self._waiting, self._journal.durable
        while waiting and (waiting[0][0] <= durable or self._journal.broken):
            mark, _, waiter = heapq.heappop(waiting)
            if waiter.done():
                continue
            if mark <= durable:
                waiter.set_result(None)
            else:
                waiter.set_exception(self._journal.refusal())

    def _prune(self) -> None:
        if self._pruning is None and not self._journal.broken and self._journal.prunable:
            self._pruning = self._blocking.run(self._journal.prune)
            self._pruning.add_done_callback(self._pruned)

    def _pruned(self, done: asyncio.Future[None]) -> None:
        self._pruning = None
        done.exception()
