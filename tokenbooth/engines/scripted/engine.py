"""Plays a script on the event loop, with the delays and faults that it was told."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, RunEnd, Usage
from tokenbooth.core.features import Capabilities, Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn
from tokenbooth.engines.options import options_from
from tokenbooth.engines.port import (
    DeltaSink,
    Embeddings,
    EngineCounters,
    Health,
    InputCount,
    Run,
)
from tokenbooth.engines.refusals import (
    closed,
    dimensions_of,
    not_open,
    too_long,
    unsupported,
)
from tokenbooth.engines.scripted.counting import input_tokens_of, tokens_of
from tokenbooth.engines.scripted.rules import commands_in, embedding, plan, steps, usage_of
from tokenbooth.engines.scripted.values import AnswerKind, Fault, ScriptOptions
from tokenbooth.engines.tally import Tally

FINGERPRINT = "scripted"


class ScriptedEngine:
    """Satisfies ``tokenbooth.engines.port.Engine``; counts its input tokens exactly."""

    def __init__(self, options: ScriptOptions | None = None) -> None:
        options = options or ScriptOptions()
        self._options = options
        self._is_open = False
        self._runs: set[_Play] = set()
        self._begun = 0
        self._tally = Tally()
        features = set(options.features)
        if options.reasoning_tokens:
            features.add(Feature.REASONING_EFFORT)
        if options.cached_tokens is not None:
            features.add(Feature.CACHED_TOKENS)
        self._capabilities = Capabilities(
            frozenset(features), options.context_tokens, fingerprint=FINGERPRINT
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def open(self) -> None:
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        for run in tuple(self._runs):
            run.fail(closed())

    async def health(self) -> Health:
        return Health(ready=self._is_open, reason="" if self._is_open else "the engine is not open")

    async def counters(self) -> EngineCounters:
        """What was really played, whatever the script tells of its usage; not of failed runs."""
        return self._tally.counters

    async def count_input_tokens(self, turn: Turn) -> InputCount:
        return InputCount(input_tokens_of(turn), exact=True)

    def start(self, turn: Turn, sink: DeltaSink) -> Run:
        run = _Play(sink, self._ended)
        self._runs.add(run)
        try:
            self._begin(run, turn)
        except Problem as problem:
            run.refuse(problem)
        return run

    def _begin(self, run: "_Play", turn: Turn) -> None:
        if not self._is_open:
            raise not_open()
        options = self._wrong_if_due(self._options_for(turn))
        input_tokens = input_tokens_of(turn)
        problem = unsupported(turn, self._capabilities)
        problem = problem or too_long(input_tokens, options.context_tokens)
        if problem is not None:
            raise problem
        run.play(turn, options, input_tokens)

    def _ended(self, run: "_Play") -> None:
        self._runs.discard(run)
        if not run.failed:
            self._tally.count(run.input_tokens, run.output_tokens)

    def _options_for(self, turn: Turn) -> ScriptOptions:
        commands = commands_in(turn) if self._options.turn_commands else {}
        if not commands:
            return self._options
        kept = {n: getattr(self._options, n) for n in ScriptOptions.__slots__ if n not in commands}
        return options_from(ScriptOptions, commands, **kept)

    def _wrong_if_due(self, options: ScriptOptions) -> ScriptOptions:
        self._begun += 1
        size = options.wrong_at_batch
        if not size - size // 8 < len(self._runs) <= size:
            return options
        # Spread evenly, and by count, so that two plays of one load are alike.
        wrong = self._begun * options.wrong_percent % 100 < options.wrong_percent
        return replace(options, answer=AnswerKind.WORDS) if wrong else options

    async def embed(self, texts: Sequence[str], dimensions: int | None = None) -> Embeddings:
        if Feature.EMBEDDINGS not in self._options.features:
            raise Problem(Code.UNSUPPORTED_FEATURE, "This model's engine makes no embeddings.")
        if self._options.fault is Fault.FAIL:
            raise Problem(Code.ENGINE_FAILED, "The engine failed, as its script says.")
        count = dimensions_of(dimensions, self._options.embedding_dimensions)
        input_tokens = sum(len(tokens_of(text)) for text in texts)
        self._tally.count(input_tokens, 0)
        return Embeddings(tuple(embedding(text, count) for text in texts), input_tokens)


class _Play:
    """One run. Every step is a call of the event loop; a hanging run simply has none."""

    def __init__(self, sink: DeltaSink, over: Callable[["_Play"], None]) -> None:
        self._sink = sink
        self._forget = over
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None
        self._over = False
        self._paused = False
        self._waiting: Callable[[], None] | None = None
        self._options = ScriptOptions()
        self._steps: Iterator[Delta] = iter(())
        self.failed = False
        self.input_tokens = 0
        self._choices_left = 0
        self._chunks_out = 0
        self.output_tokens = 0
        self._reasoning_tokens = 0

    def play(self, turn: Turn, options: ScriptOptions, input_tokens: int) -> None:
        plans = plan(turn, options, input_tokens)
        self._options = options
        self._steps = steps(plans, turn, options)
        self.input_tokens = input_tokens
        self._choices_left = len(plans)
        self._later(options.first_delay_ms, self._step)

    def refuse(self, problem: Problem) -> None:
        self._timer = self._loop.call_soon(self.fail, problem)

    def cancel(self) -> None:
        if not self._over:
            self._stop()
            self._loop.call_soon(self._sink.ended, RunEnd(self._usage(), cancelled=True))

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        if self._waiting is not None and not self._over:
            step, self._waiting = self._waiting, None
            self._later(0, step)

    def fail(self, problem: Problem) -> None:
        if not self._over:
            self.failed = True
            self._stop()
            self._sink.failed(problem)

    def _stop(self) -> None:
        self._over = True
        self._forget(self)
        if self._timer is not None:
            self._timer.cancel()

    def _later(self, delay_ms: int, step: Callable[[], None]) -> None:
        if delay_ms:
            self._timer = self._loop.call_later(delay_ms / 1000, step)
        else:
            self._timer = self._loop.call_soon(step)

    def _step(self) -> None:
        if self._paused:
            self._waiting = self._step
            return
        options = self._options
        if options.fault is not Fault.NONE and self._chunks_out >= options.fault_after_chunks:
            if options.fault is Fault.FAIL:
                self.fail(Problem(Code.ENGINE_FAILED, "The engine failed, as its script says."))
            return
        delta = next(self._steps)
        self._count(delta)
        self._sink.delta(delta)
        if self._over:
            return
        if self._choices_left:
            self._later(options.chunk_delay_ms, self._step)
        else:
            self._end()

    def _count(self, delta: Delta) -> None:
        self._chunks_out += 1
        self.output_tokens += delta.output_tokens
        if delta.reasoning:
            self._reasoning_tokens += delta.output_tokens
        if delta.finish is not None:
            self._choices_left -= 1

    def _end(self) -> None:
        if self._paused:
            self._waiting = self._end
            return
        self._stop()
        self._sink.ended(RunEnd(self._usage(), fingerprint=FINGERPRINT))

    def _usage(self) -> Usage | None:
        told = (self.output_tokens, self._reasoning_tokens)
        return usage_of(self.input_tokens, told, self._options)
