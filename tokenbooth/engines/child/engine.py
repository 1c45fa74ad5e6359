"""The engine port over a supervised child; what differs between engines comes in as a ``Kind``."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import RunEnd, Usage
from tokenbooth.core.features import Capabilities, Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn
from tokenbooth.engines.bounds import media_tokens_max
from tokenbooth.engines.child.frames import Cancel, Count, Counted, Over, Piece, Refused, Step
from tokenbooth.engines.child.hearing import Ears
from tokenbooth.engines.child.orders import Prompt, begin_of
from tokenbooth.engines.child.prompt import shown_tools
from tokenbooth.engines.child.reading import Reading
from tokenbooth.engines.child.runs import ChildRun
from tokenbooth.engines.child.supervisor import ChildPlan, Supervisor
from tokenbooth.engines.gguf.tokenizer import Unknown
from tokenbooth.engines.port import (
    DeltaSink,
    Embeddings,
    EngineCounters,
    Health,
    InputCount,
    Run,
)
from tokenbooth.engines.refusals import closed, not_open, too_long, unsupported
from tokenbooth.engines.tally import Tally


@dataclass(frozen=True, slots=True)
class Kind:
    """``features`` the engine proved to have; ``plan`` how its child is started; ``unknown`` what
    it makes of bytes that a vocabulary lacks."""

    features: frozenset[Feature]
    plan: ChildPlan
    gguf_path: Path
    unknown: Unknown


class ChildEngine:
    """Satisfies ``tokenbooth.engines.port.Engine``.

    Input tokens are counted here from the file's own tokenizer where that is proven, else by the
    child. ``supervise`` exists for tests.
    """

    def __init__(self, kind: Kind, supervise: Callable[..., Supervisor] = Supervisor) -> None:
        self._kind = kind
        self._supervisor = supervise(kind.plan, self)
        self._capabilities = Capabilities(kind.features)
        self._fingerprint: str | None = None
        self._reading = Reading(self._ask)
        self._tally = Tally()
        self._numbers = itertools.count(1)
        self._runs: dict[int, ChildRun] = {}
        self._sent: set[int] = set()
        self._counts: dict[int, asyncio.Future[Counted]] = {}
        self._beginnings: set[asyncio.Task[None]] = set()
        self._is_open = False

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def restarts(self) -> int:
        """Children started after the first."""
        return self._supervisor.restarts

    @property
    def child_pid(self) -> int | None:
        """The process id of the child that is ready."""
        return self._supervisor.pid

    @property
    def busy(self) -> bool:
        return bool(self._sent or self._counts)

    async def open(self) -> None:
        """Raises Problem INVALID_VALUE for a bad file, ENGINE_NOT_INSTALLED, ENGINE_NOT_READY."""
        reading = self._reading
        await reading.open(self._kind.gguf_path, self._kind.unknown)
        ready = await self._supervisor.open()
        await reading.look()
        self._fingerprint = ready.fingerprint
        told = (reading.context_tokens, ready.context_tokens)
        windows = [window for window in told if window is not None]
        self._capabilities = Capabilities(
            self._kind.features | reading.features,
            context_tokens=min(windows, default=None),
            constrains=True,
            fingerprint=ready.fingerprint,
        )
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        self._drop_all(closed())
        await self._supervisor.close()

    async def health(self) -> Health:
        return Health(self._supervisor.ready, self._supervisor.reason, self.restarts)

    async def counters(self) -> EngineCounters:
        """What the children told at the end of each run; one that died midway told nothing."""
        return self._tally.counters

    async def count_input_tokens(self, turn: Turn) -> InputCount:
        seen_tokens = sum(map(media_tokens_max, turn.media))
        return InputCount(await self._reading.count(turn) + seen_tokens, exact=not turn.media)

    def start(self, turn: Turn, sink: DeltaSink) -> Run:
        run = ChildRun(next(self._numbers), sink, self._stop)
        self._runs[run.number] = run
        task = asyncio.get_running_loop().create_task(self._begin(run, turn))
        self._beginnings.add(task)
        task.add_done_callback(self._beginnings.discard)
        return run

    async def embed(self, texts: Sequence[str], dimensions: int | None = None) -> Embeddings:
        raise Problem(Code.UNSUPPORTED_FEATURE, "This model's engine makes no embeddings.")

    async def _begin(self, run: ChildRun, turn: Turn) -> None:
        try:
            if not self._is_open:
                raise not_open()
            if not self._supervisor.ready:
                raise self._supervisor.not_ready()
            problem = unsupported(turn, self._capabilities)
            if problem is not None:
                raise problem
            prompt = self._reading.prompt(turn)
            ids = await self._reading.ids(prompt)
            problem = too_long(0 if ids is None else len(ids), self._capabilities.context_tokens)
            if problem is not None:
                raise problem
            if run.number not in self._runs:
                return
            thinking = self._reading.thinking(turn)
            run.ears = Ears(thinking, bool(shown_tools(turn)), _call_id)
            self._supervisor.send(begin_of(run.number, turn, prompt, ids, thinking))
            self._sent.add(run.number)
        except Problem as problem:
            self._finish(run.number, problem)

    async def _ask(self, prompt: Prompt) -> Counted:
        number = next(self._numbers)
        self._supervisor.send(Count(number, prompt.words, prompt.template_json))
        answer: asyncio.Future[Counted] = asyncio.get_running_loop().create_future()
        self._counts[number] = answer
        try:
            return await answer
        finally:
            self._counts.pop(number, None)

    def _stop(self, run: ChildRun) -> bool:
        if run.number not in self._sent:
            self._runs.pop(run.number, None)
            return False
        # A child that is just gone needs no word: its loss ends the run.
        if self._supervisor.ready:
            self._supervisor.send(Cancel(run.number))
        return True

    def _finish(self, number: int, terminal: RunEnd | Problem) -> None:
        self._sent.discard(number)
        run = self._runs.pop(number, None)
        if run is not None:
            run.finish(terminal)

    def _fail_all(self, problem: Problem) -> None:
        for number in tuple(self._runs):
            self._finish(number, problem)
        self._fail_counts(problem)

    def _drop_all(self, problem: Problem) -> None:
        """Fail even the paused runs, whose readers may never come back."""
        runs = tuple(self._runs.values())
        self._runs.clear()
        self._sent.clear()
        for run in runs:
            run.drop(problem)
        self._fail_counts(problem)

    def _fail_counts(self, problem: Problem) -> None:
        for answer in self._counts.values():
            if not answer.done():
                answer.set_exception(problem)

    def lost(self, reason: str) -> None:
        self._fail_all(
            Problem(
                Code.ENGINE_FAILED,
                "The model's engine failed while it worked on the call.",
                detail=reason,
            )
        )

    def heard(self, step: Step) -> None:
        # Each sink is called from the loop by itself: one that raises must not cut off the others.
        soon = asyncio.get_running_loop().call_soon
        for piece in step.pieces:
            soon(self._piece, piece)
        for refused in step.refused:
            problem = _problem(refused, self._capabilities.context_tokens)
            soon(self._refused, refused.run, problem)
        for over in step.over:
            self._tally.count(over.input_tokens, over.output_tokens)
            soon(self._over, over)
        for counted in step.counted:
            answer = self._counts.get(counted.ask)
            if answer is not None and not answer.done():
                answer.set_result(counted)

    def _piece(self, piece: Piece) -> None:
        run = self._runs.get(piece.run)
        if run is not None:
            run.hear(piece)

    def _refused(self, number: int, problem: Problem) -> None:
        answer = self._counts.get(number)
        if answer is None:
            self._finish(number, problem)
        elif not answer.done():
            answer.set_exception(problem)

    def _over(self, over: Over) -> None:
        run = self._runs.get(over.run)
        thought = 0 if run is None else min(run.reasoning_tokens, over.output_tokens)
        usage = Usage(over.input_tokens, over.output_tokens, over.cached_input_tokens, thought)
        end = RunEnd(usage, cancelled=over.cancelled, fingerprint=self._fingerprint)
        self._finish(over.run, end)


def _call_id() -> str:
    return f"call_{token_hex(12)}"


def _problem(refused: Refused, context_tokens: int | None) -> Problem:
    if refused.input_tokens is not None:
        problem = too_long(refused.input_tokens, context_tokens)
        if problem is not None:
            return problem
    return Problem(Code[refused.code], refused.public, param=refused.param)
