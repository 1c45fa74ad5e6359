"""Keeps one child alive: starts it, watches it, kills it when it hangs, starts it again."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.child.frames import (
    Broken,
    FrameTooLargeError,
    FromChild,
    Ready,
    Step,
    ToChild,
)
from tokenbooth.engines.child.link import Link
from tokenbooth.engines.child.rules import ChildPolicy, backoff_s, retry_after_s


class ChildListener(Protocol):
    """Who uses the child; every method is called on the event loop."""

    def heard(self, step: Step) -> None: ...

    def lost(self, reason: str) -> None:
        """The child is gone; whatever it was working on will never end."""

    @property
    def busy(self) -> bool:
        """Whether an answer is owed, so that silence means a hang."""


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """``module`` is run with ``python -m``; ``options_json`` is its first frame."""

    module: str
    options_json: bytes
    policy: ChildPolicy


LinkTo = Callable[[Callable[[FromChild], None]], Link]


class Supervisor:
    """``restarts`` counts children started after the first that was ready."""

    def __init__(self, plan: ChildPlan, listener: ChildListener, link_to: LinkTo = Link) -> None:
        self._plan = plan
        self._link_to = link_to
        self._listener = listener
        self._link: Link | None = None
        self._ready: asyncio.Future[Ready] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._next_try_at = 0.0
        self._reason = "the engine is not open"
        self._busy_since: float | None = None
        self.restarts = 0
        # Told whenever a child is ready.
        self.stands: Callable[[], None] = _nobody

    @property
    def pid(self) -> int | None:
        """The process id of the child that is ready, else ``None``."""
        return None if self._link is None else self._link.pid

    @property
    def ready(self) -> bool:
        return self._link is not None

    @property
    def reason(self) -> str:
        """Why there is no child, for operators."""
        return "" if self.ready else self._reason

    def not_ready(self) -> Problem:
        wait_s = self._next_try_at - asyncio.get_running_loop().time()
        return Problem(
            Code.ENGINE_NOT_READY,
            "The model's engine is starting or restarting.",
            detail=self._reason,
            retry_after_s=retry_after_s(wait_s, self._plan.policy),
        )

    async def open(self) -> Ready:
        """Start the first child; raises Problem, leaving nothing, when it does not load."""
        loop = asyncio.get_running_loop()
        if self._keeper is None or self._ready is None:
            self._ready = loop.create_future()
            self._keeper = loop.create_task(self._keep(self._ready))
        try:
            return await asyncio.shield(self._ready)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Kill the child and wait until it is reaped. Idempotent."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        keeper.cancel()
        await asyncio.wait((keeper,))
        if self._ready is not None and not self._ready.done():
            self._ready.cancel()
        self._reason = "the engine is not open"

    def send(self, message: ToChild) -> None:
        """Raises Problem ENGINE_NOT_READY while there is no child, BODY_TOO_LARGE for a message
        that no frame holds."""
        if self._link is None:
            raise self.not_ready()
        try:
            self._link.send(message)
        except FrameTooLargeError as error:
            raise Problem(
                Code.BODY_TOO_LARGE, "The call is too large for the model's engine."
            ) from error

    async def _keep(self, first: asyncio.Future[Ready]) -> None:
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            stood_s = await self._live(first)
            if not first.done() or first.exception() is not None:
                return
            self.restarts += 1
            failures = 0 if stood_s >= self._plan.policy.stable_after_s else failures + 1
            delay_s = backoff_s(failures, self._plan.policy)
            self._next_try_at = loop.time() + delay_s
            await asyncio.sleep(delay_s)

    async def _live(self, first: asyncio.Future[Ready]) -> float:
        """One child from spawn to death; returns for how many seconds it was ready."""
        loop = asyncio.get_running_loop()
        loaded: asyncio.Future[Ready] = loop.create_future()
        link = self._link_to(lambda message: self._hear(message, loaded))
        self._reason = "the engine is starting"
        stood_s = 0.0
        try:
            problem = await self._loading(link, loaded)
            if problem is None:
                self._link = link
                if not first.done():
                    first.set_result(loaded.result())
                self.stands()
                since = loop.time()
                self._reason = await self._watch(link)
                stood_s = loop.time() - since
        finally:
            self._link = None
            last_words = await link.stop()
            self._listener.lost(f"{self._reason} {last_words}".strip())
        if problem is not None:
            self._reason = problem.public
            problem.detail = last_words
            if not first.done():
                first.set_exception(problem)
        return stood_s

    async def _loading(self, link: Link, loaded: asyncio.Future[Ready]) -> Problem | None:
        try:
            await link.start(self._plan.module, self._plan.options_json)
        except OSError as error:
            return _not_started(f"the system refused to start it ({error.strerror})")
        await asyncio.wait(
            (loaded, link.lost),
            timeout=self._plan.policy.ready_timeout_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if loaded.done():
            failure = loaded.exception()
            return failure if isinstance(failure, Problem) else None
        loaded.cancel()
        return _not_started(link.lost.result() if link.lost.done() else "it took too long")

    async def _watch(self, link: Link) -> str:
        """Wait until the child is gone, or owes an answer and says nothing for too long."""
        hang_after_s = self._plan.policy.hang_after_s
        loop = asyncio.get_running_loop()
        self._busy_since = None
        while not link.lost.done():
            await asyncio.wait((link.lost,), timeout=hang_after_s / 4)
            if not self._listener.busy:
                self._busy_since = None
                continue
            if self._busy_since is None:
                self._busy_since = loop.time()
            if loop.time() - max(link.heard_at, self._busy_since) > hang_after_s:
                return f"it said nothing for {hang_after_s:g} s and was stopped"
        return link.lost.result()

    def _hear(self, message: FromChild, loaded: asyncio.Future[Ready]) -> None:
        if isinstance(message, Step):
            self._listener.heard(message)
        elif loaded.done():
            return
        elif isinstance(message, Broken):
            loaded.set_exception(_problem(message))
        else:
            loaded.set_result(message)


def _nobody() -> None:
    """Nobody wants to know."""


def _not_started(why: str) -> Problem:
    return Problem(Code.ENGINE_NOT_READY, f"The model's engine could not be started: {why}.")


def _problem(broken: Broken) -> Problem:
    return Problem(Code[broken.code], broken.public)
