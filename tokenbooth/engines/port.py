"""The push port of every engine.

``start(turn, sink) -> Run`` never blocks: the engine pushes deltas on the event loop, in order,
then calls exactly one of ``ended`` and ``failed``, once, and nothing after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tokenbooth.core.delta import Delta, RunEnd
from tokenbooth.core.features import Capabilities
from tokenbooth.core.noun import noun
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn


class DeltaSink(Protocol):
    """Where a run pushes to; every method is called on the event loop and returns at once."""

    def delta(self, delta: Delta) -> None: ...

    def ended(self, end: RunEnd) -> None: ...

    def failed(self, problem: Problem) -> None:
        """ENGINE_FAILED, ENGINE_NOT_READY, RUN_TIMEOUT, UPSTREAM_REJECTED, or the upstream's own
        finding about the caller's turn (for example CONTEXT_LENGTH_EXCEEDED)."""


class Run(Protocol):
    """A started turn."""

    def cancel(self) -> None:
        """Ask the engine to stop now. Idempotent; the sink still hears ``ended`` or ``failed``."""

    def pause(self) -> None:
        """Push no deltas until ``resume``; what arrives meanwhile is bounded by the turn."""

    def resume(self) -> None: ...


@noun
class InputCount:
    """``exact`` is False for the documented upper bound (UTF-8 bytes plus template)."""

    tokens: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Health:
    """``ready`` says whether a turn started now would be worked on; ``reason`` says why not.

    ``restarts`` counts how often the engine was started again since it was opened.
    """

    ready: bool
    reason: str = ""
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class EngineCounters:
    """Tokens that the engine says it has worked on, since ``generation`` began; what runs that
    failed have cost may be missing.

    Another generation counts from somewhere else. ``shared``: everybody's calls are in them, not
    only those of this process. ``with_cached`` is False where input that a prefix cache served is
    left out. Each count is at most ``rounding_tokens`` off.
    """

    generation: str
    input_tokens: int
    output_tokens: int
    shared: bool = False
    with_cached: bool = True
    rounding_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector per text, in order. Unless ``exact``, the tokens are the documented bound."""

    vectors: tuple[tuple[float, ...], ...]
    input_tokens: int
    exact: bool = True


class Engine(Protocol):
    """One deployment of one model."""

    @property
    def capabilities(self) -> Capabilities: ...

    async def open(self) -> None:
        """Bring the engine up; returns when it is ready or raises Problem."""

    async def close(self) -> None:
        """Release everything; running turns fail with ENGINE_FAILED."""

    async def health(self) -> Health: ...

    async def counters(self) -> EngineCounters | None:
        """What the engine itself has counted, to be held against the calls that were charged;
        ``None`` where it tells nothing now. Bounded in time; raises nothing."""

    async def count_input_tokens(self, turn: Turn) -> InputCount: ...

    def start(self, turn: Turn, sink: DeltaSink) -> Run:
        """Begin; problems of any kind reach ``sink.failed``, never the caller of ``start``."""

    async def embed(self, texts: Sequence[str], dimensions: int | None = None) -> Embeddings:
        """Raises Problem UNSUPPORTED_FEATURE without the EMBEDDINGS capability, and INVALID_VALUE
        for more ``dimensions`` than a vector has."""
