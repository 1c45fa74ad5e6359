"""Several raw prompts of one turn, run one after another: to an engine each is a turn of its own.

So one call never takes more of an engine than the one place that it was admitted to.
"""

import asyncio
from dataclasses import replace

from tokenbooth.core.delta import Delta, RunEnd, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn
from tokenbooth.engines.embedding_run import EmbeddingRun
from tokenbooth.engines.port import DeltaSink, Engine, InputCount, Run


def start(engine: Engine, turn: Turn, sink: DeltaSink) -> Run:
    """As ``Engine.start``, or ``Engine.embed`` for a turn that wants vectors; the choices of each
    prompt follow those of the prompt before it."""
    if turn.embedding is not None:
        return EmbeddingRun(engine, turn, turn.embedding, sink)
    turns = single_turns(turn)
    if len(turns) == 1:
        return engine.start(turn, sink)
    return PromptsRun(engine, turns, sink)


async def count_input_tokens(engine: Engine, turn: Turn) -> tuple[InputCount, int]:
    """All input tokens of the turn, and those of its longest prompt."""
    turns = single_turns(turn)
    if len(turns) == 1:
        count = await engine.count_input_tokens(turn)
        return count, count.tokens
    counts = []
    for each in turns:
        counts.append(await engine.count_input_tokens(each))
        await asyncio.sleep(0)  # engines count short texts at once, and there may be thousands
    tokens = [count.tokens for count in counts]
    return InputCount(sum(tokens), all(count.exact for count in counts)), max(tokens)


def single_turns(turn: Turn) -> tuple[Turn, ...]:
    """A turn for each raw prompt; any other turn itself."""
    if not turn.raw or len(turn.messages) == 1:
        return (turn,)
    each = turn.choices // len(turn.messages)
    return tuple(replace(turn, messages=(one,), choices=each) for one in turn.messages)


class PromptsRun:
    """To the engine it is the sink, to the caller it is the run."""

    def __init__(self, engine: Engine, turns: tuple[Turn, ...], sink: DeltaSink) -> None:
        self._engine = engine
        self._turns = turns
        self._sink = sink
        self._place = 0
        self._ends: list[RunEnd] = []
        self._paused = False
        self._cancelled = False
        self._run = engine.start(turns[0], self)

    def delta(self, delta: Delta) -> None:
        base = self._place * self._turns[0].choices
        self._sink.delta(replace(delta, choice=base + delta.choice) if base else delta)

    def ended(self, end: RunEnd) -> None:
        self._ends.append(end)
        cancelled = end.cancelled or self._cancelled
        if cancelled or len(self._ends) == len(self._turns):
            usage = _sum([each.usage for each in self._ends])
            fingerprint = self._ends[0].fingerprint
            self._sink.ended(RunEnd(usage, cancelled=cancelled, fingerprint=fingerprint))
            return
        self._place += 1
        self._run = self._engine.start(self._turns[self._place], self)
        if self._paused:
            self._run.pause()

    def failed(self, problem: Problem) -> None:
        self._sink.failed(problem)

    def cancel(self) -> None:
        self._cancelled = True
        self._run.cancel()

    def pause(self) -> None:
        self._paused = True
        self._run.pause()

    def resume(self) -> None:
        self._paused = False
        self._run.resume()


def _sum(usages: list[Usage | None]) -> Usage | None:
    """What all prompts used; ``None`` where one of them is not known."""
    known = [usage for usage in usages if usage is not None]
    if len(known) < len(usages):
        return None
    cached = [usage.cached_input_tokens for usage in known]
    told = [tokens for tokens in cached if tokens is not None]
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in known),
        output_tokens=sum(usage.output_tokens for usage in known),
        cached_input_tokens=sum(told) if len(told) == len(cached) else None,
        reasoning_tokens=sum(usage.reasoning_tokens for usage in known),
        cache_write_tokens=sum(usage.cache_write_tokens for usage in known),
    )
