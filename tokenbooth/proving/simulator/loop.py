"""An event loop that does nothing by itself: each callback, job and timer is run when told to.

The threads of a process stand still as jobs in ``jobs``; the network does not exist. Time is that
of the world, so that several loops can live side by side, be stopped between any two callbacks,
and be thrown away as a killed process is.
"""

import asyncio
import contextlib
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from typing import Any, TypeVarTuple

from tokenbooth.core.problem import Problem

Ts = TypeVarTuple("Ts")

US_PER_S = 1_000_000


class Died(BaseException):
    """The process ended in the middle of this call."""


@dataclass(slots=True)
class Job:
    """Work for a thread: first ``run``, and some time later its result is ``deliver``ed."""

    kind: str
    work: Callable[[], Any]
    future: asyncio.Future[Any]
    done: bool = False
    result: Any = None
    error: Exception | None = None

    def run(self) -> Exception | None:
        """Returns what went wrong; raises ``Died``."""
        self.done = True
        try:
            self.result = self.work()
        except Exception as error:  # noqa: BLE001 - whoever waits for the job gets it
            self.error = error
        return self.error

    def deliver(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


def _due_us(timer: asyncio.TimerHandle) -> int:
    return round(timer.when() * US_PER_S)


class SimulatedLoop(asyncio.AbstractEventLoop):
    """``faults`` collects what no callback and no task of the product may raise; ``turns`` counts
    the callbacks that were run."""

    def __init__(self, monotonic_us: Callable[[], int]) -> None:
        self._monotonic_us = monotonic_us
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[asyncio.TimerHandle] = []
        self.jobs: deque[Job] = deque()
        self.faults: list[BaseException] = []
        self.dead = False
        self.turns = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def ready(self) -> bool:
        return bool(self._ready)

    @property
    def next_timer_us(self) -> int | None:
        """When the earliest timer is due, on the clock of this loop."""
        timers = self._timers
        while timers and timers[0].cancelled():
            heapq.heappop(timers)
        return _due_us(timers[0]) if timers else None

    def ring(self) -> None:
        """Make the callbacks of all timers that are due ready."""
        timers, now_us = self._timers, self._monotonic_us()
        while timers and _due_us(timers[0]) <= now_us:
            self._ready.append(heapq.heappop(timers))

    def run_some(self, count: int) -> None:
        """Run so many callbacks, or fewer when nothing is ready any more."""
        events._set_running_loop(self)
        try:
            while self._ready and count and not self.dead:
                entry = self._ready.popleft()
                count -= 1
                self.turns += 1
                if not entry.cancelled():
                    entry._run()
        finally:
            events._set_running_loop(None)

    def spawn(self, body: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task from outside of the loop."""
        events._set_running_loop(self)
        try:
            return self.create_task(body)
        finally:
            events._set_running_loop(None)

    # What asyncio asks of a loop.

    def time(self) -> float:
        return self._monotonic_us() / US_PER_S

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        entry = asyncio.Handle(callback, args, self, context)
        self._ready.append(entry)
        return entry

    def call_later(
        self,
        delay_s: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay_s, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, timer)
        return timer

    def _timer_handle_cancelled(self, timer: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when they come up."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        task.add_done_callback(self._ended)
        self._tasks.add(task)
        return task

    def submit(self, kind: str, work: Callable[[], Any]) -> asyncio.Future[Any]:
        future = self.create_future()
        self.jobs.append(Job(kind, work, future))
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._note(context.get("exception"))

    def shut(self) -> None:
        """Let go of everything that will never go on; whatever it says to that is not heard."""
        self.dead = True
        events._set_running_loop(self)
        try:
            for task in self._tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                with contextlib.suppress(RuntimeError, KeyError, Died, Problem):
                    task.get_coro().close()
        finally:
            events._set_running_loop(None)
            self._tasks.clear()
            self._ready.clear()
            self._timers.clear()
            self.jobs.clear()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._note(task.exception())

    def _note(self, error: BaseException | None) -> None:
        expected = isinstance(error, Problem | Died | asyncio.CancelledError)
        if error is not None and not expected and not self.dead:
            self.faults.append(error)


class DiskJobs:
    """Satisfies the journal's ``Blocking``: its work is a job of kind ``disk`` of the loop."""

    def __init__(self, loop: "SimulatedLoop") -> None:
        self._loop = loop

    def run(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        return self._loop.submit("disk", work)

    def close(self) -> None:
        """A job that was given is played in its turn."""
