"""One thread for what blocks on the disk: cheaper to wake than an executor, and closed by hand."""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

_Job = tuple[Callable[[], Any], asyncio.Future[Any]]


class Blocking(Protocol):
    """Runs work away from the event loop, one after the other, in order."""

    def run(self, work: Callable[[], T]) -> "asyncio.Future[T]": ...

    def close(self) -> None:
        """No more work comes; what was given is still done."""


class DiskThread:
    """Satisfies ``Blocking`` by a thread of its own, which starts with the first work."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: Thread | None = None

    def run(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((work, future))
        if self._thread is None:
            self._thread = Thread(target=self._work, name="journal", daemon=True)
            self._thread.start()
        return future

    def close(self) -> None:
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, future = job
            try:
                outcome: Any = work()
            except BaseException as error:  # noqa: BLE001  told to whoever gave the work
                self._tell(_fail, future, error)
            else:
                self._tell(_finish, future, outcome)

    def _tell(self, verdict: Callable[[asyncio.Future[Any], Any], None], *told: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(verdict, *told)
        except RuntimeError:  # the loop was closed: nobody waits there any more
            return


def _finish(future: asyncio.Future[Any], outcome: Any) -> None:
    if not future.done():
        future.set_result(outcome)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
