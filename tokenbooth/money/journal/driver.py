"""Group commit on the event loop: a settlement waits for the disk, nothing else does.

A young call that is answered whole is kept in memory alone: until its end it costs nothing, and
most have ended before anything else has to be known of them, in one record. One thread makes
records durable, and whoever settles meanwhile shares the next round: the sync that runs is the
window in which records gather.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from tokenbooth.core.problem import Problem
from tokenbooth.money.journal.disk_thread import Blocking, DiskThread
from tokenbooth.money.journal.file import Journal
from tokenbooth.money.journal.values import CallFacts, Progress, SettledCall

# What nobody waits for (openings, progress) is made durable at the latest after twice this long.
IDLE_SYNC = timedelta(milliseconds=50)

_Waiter = asyncio.Future[None]


class JournalDriver:
    """Owns a ``Journal`` from its making until ``close``; lives on one running event loop.

    ``open``, ``progress`` and ``settle`` never block. They, and what ``settle`` returns, raise
    Problem LEDGER_UNAVAILABLE once the journal is broken.
    """

    def __init__(self, journal: Journal, blocking: Blocking | None = None) -> None:
        """``blocking`` is where the disk is waited for, a thread of its own without it."""
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._blocking = blocking or DiskThread(self._loop)
        self._young: dict[str, CallFacts] = {}
        self._older: dict[str, CallFacts] = {}
        self._waiting: list[_Waiter] = []
        self._mark = 0
        self._ticking = False
        self._syncing: asyncio.Future[int] | None = None
        self._covered: list[_Waiter] = []
        self._covered_mark = 0
        self._pruning: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    @property
    def broken(self) -> str | None:
        """Why nothing can be written any more."""
        return self._journal.broken

    def open(self, facts: CallFacts) -> None:
        if self._journal.broken is not None:
            raise self._journal.refusal()
        if facts.stream:  # its caller may see output at any moment, which has to be known of then
            self._journal.open(facts)
            self._tick_soon()
        else:
            self._young[facts.request_id] = facts
        if self._timer is None:
            self._watch()

    def progress(self, progress: Progress) -> None:
        facts = self._unwritten(progress.request_id)
        if facts is not None:
            self._journal.open(facts)
        self._journal.progress(progress)
        if self._timer is None:
            self._watch()

    def settle(self, call: SettledCall) -> "asyncio.Future[None]":
        """What is returned is done when the settlement survives a power cut."""
        if self._unwritten(call.facts.request_id) is None:
            self._mark = self._journal.settle(call.settlement)
        else:
            self._mark = self._journal.whole(call)
        waiter: _Waiter = self._loop.create_future()
        self._waiting.append(waiter)
        if self._syncing is None:
            self._tick_soon()
        return waiter

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
        self._closing = True  # the buffer belongs to the thread from here on
        if self._timer:
            self._timer.cancel()
        try:
            await self._blocking.run(self._closed)
        finally:
            self._blocking.close()
            self._tell(self._take_waiting(), self._mark)

    def _closed(self) -> None:
        try:
            self._write_openings()
            self._write_openings()
        finally:
            self._journal.close()

    def _unwritten(self, request_id: str) -> CallFacts | None:
        """What a call began with, if no record has it yet; it has one from now on."""
        return self._young.pop(request_id, None) or self._older.pop(request_id, None)

    def _write_openings(self) -> None:
        """Of the calls that were young the last time already."""
        older, self._older, self._young = self._older, self._young, {}
        for facts in older.values():
            self._journal.open(facts)

    def _watch(self) -> None:
        self._timer = self._loop.call_later(IDLE_SYNC.total_seconds(), self._look)

    def _look(self) -> None:
        """Keep what nobody waits for."""
        self._timer = None
        try:
            self._write_openings()
            self._journal.write_out()
        except Problem:
            self._tell(self._take_waiting(), self._mark)
            return
        if self._journal.written > self._journal.durable:
            self._sync()
        if self._older or self._journal.written > self._journal.durable:
            self._watch()

    def _tick_soon(self) -> None:
        if not self._ticking:
            self._ticking = True
            self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        self._ticking = False
        if self._closing:
            return
        try:
            self._journal.write_out()
        except Problem:
            self._tell(self._take_waiting(), self._mark)
            return
        if self._waiting:
            self._sync()

    def _sync(self) -> None:
        """Only after a ``write_out``: whoever waits now is covered."""
        if self._syncing is None:
            self._covered, self._covered_mark = self._take_waiting(), self._mark
            self._syncing = self._blocking.run(self._journal.sync)
            self._syncing.add_done_callback(self._synced)

    def _synced(self, done: asyncio.Future[int]) -> None:
        self._syncing = None
        done.exception()  # a failure is read from the journal: it is broken now
        self._tell(self._covered, self._covered_mark)
        if self._waiting:
            self._tick_soon()
        self._prune()

    def _take_waiting(self) -> list[_Waiter]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _tell(self, waiters: Sequence[_Waiter], mark: int) -> None:
        """``mark`` is of the newest record that they wait for."""
        kept = self._journal.durable >= mark
        for waiter in waiters:
            if waiter.done():
                continue
            if kept:
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
