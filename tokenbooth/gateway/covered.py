"""Text goes on only against held money: between an engine's run and the relay of its answer."""

import asyncio
from collections import deque
from typing import Protocol

from tokenbooth.core.delta import Delta, RunEnd
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn
from tokenbooth.engines.bounds import delta_tokens_max
from tokenbooth.engines.port import Engine, Run
from tokenbooth.engines.prompts import start


class Cover(Protocol):
    """The money under an answer."""

    def covers(self, output_tokens: int) -> bool:
        """Whether that much output is held for, after trying to hold more without a wait."""

    async def extend(self, output_tokens: int) -> bool:
        """Wait until it is held for; False when the money is used up."""


class Answering(Protocol):
    """Who makes an answer of a run's events: a relay, or what stands before it."""

    @property
    def output_tokens(self) -> int: ...

    @property
    def result(self) -> object | None: ...

    def delta(self, delta: Delta) -> None: ...

    def ended(self, end: RunEnd) -> None: ...

    def failed(self, problem: Problem) -> None: ...

    def attach(self, run: Run) -> None: ...

    def cut_by_money(self) -> None: ...


class CoveredRun:
    """A run whose events wait, while the engine is paused, until their money is held.

    To the engine it is the sink, to the relay it is the run.
    """

    def __init__(self, relay: Answering, cover: Cover) -> None:
        self._relay = relay
        self._cover = cover
        self._run: Run | None = None
        self._kept: deque[Delta | RunEnd | Problem] = deque()
        self._extending: asyncio.Task[None] | None = None
        self._paused = False

    def start(self, engine: Engine, turn: Turn) -> None:
        self._run = start(engine, turn, self)
        self._relay.attach(self)

    # What the engine pushes.

    def delta(self, delta: Delta) -> None:
        if self._kept:
            self._kept.append(delta)
        elif self._cover.covers(self._with(delta)):
            self._relay.delta(delta)
        else:
            self._kept.append(delta)
            self._extending = asyncio.get_running_loop().create_task(self._extend())
            self._pace()

    def ended(self, end: RunEnd) -> None:
        self._take(end)

    def failed(self, problem: Problem) -> None:
        self._take(problem)

    # What the relay asks of the run.

    def cancel(self) -> None:
        if self._run is not None:
            self._run.cancel()

    def pause(self) -> None:
        self._paused = True
        self._pace()

    def resume(self) -> None:
        self._paused = False
        self._pace()

    def _take(self, event: RunEnd | Problem) -> None:
        if self._kept:
            self._kept.append(event)
        else:
            self._pass_on(event)

    def _with(self, delta: Delta) -> int:
        """Output tokens after this delta, by its bytes where the engine does not count."""
        return self._relay.output_tokens + (delta.output_tokens or delta_tokens_max(delta))

    def _pass_on(self, event: Delta | RunEnd | Problem) -> None:
        match event:
            case Delta():
                self._relay.delta(event)
            case RunEnd():
                self._relay.ended(event)
            case _:
                self._relay.failed(event)

    async def _extend(self) -> None:
        """Pass on what is kept, step by step, as money comes."""
        while self._kept:
            event = self._kept[0]
            over = self._relay.result is not None
            if not over and isinstance(event, Delta) and not self._cover.covers(self._with(event)):
                if not await self._cover.extend(self._with(event)):
                    self._relay.cut_by_money()
                continue
            self._pass_on(self._kept.popleft())
        self._extending = None
        self._pace()

    def _pace(self) -> None:
        if self._run is None:
            return
        if self._paused or self._extending is not None:
            self._run.pause()
        else:
            self._run.resume()
