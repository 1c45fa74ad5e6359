"""What every dialect gives the ten steps: a reader of turns and a writer of answers.

Both are pure. A writer is a fold: each delta turns into the wire bytes that it causes, so folding a
stream and writing the whole answer must come to the same result.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tokenbooth.core.delta import Delta, RunEnd
from tokenbooth.core.features import Feature
from tokenbooth.core.noun import noun
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Receipt
from tokenbooth.core.turn import Turn


@dataclass(frozen=True, slots=True)
class Note:
    """A parameter that was translated or ignored, and why; listed in an answer header."""

    param: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a body asks of a dialect that remembers: to ``store`` the answer, and to go on from what
    was stored, which until it is read is not in the turn. ``items`` are the input as it was read,
    ``references`` the ids of what it only names, ``thoughts`` the reasoning in it that only the
    booth can open. In the ``background`` a call is always told as a stream, and ``streams`` says
    whether its caller listens from the beginning. ``seals`` asks for reasoning in that
    form; ``seal`` makes it."""

    store: bool
    background: bool
    streams: bool
    previous_id: str | None
    references: tuple[str, ...]
    items: tuple[Mapping[str, Any], ...] = field(repr=False)
    thoughts: tuple[str, ...] = field(default=(), repr=False)
    seals: bool = False
    seal: Callable[[str], str] | None = None

    @property
    def recalls(self) -> bool:
        """Whether the turn is whole only with what was stored."""
        return self.previous_id is not None or bool(self.references or self.thoughts)


@noun
class Parsed:
    """A read body. ``include_usage`` asks for the usage event of a stream; without
    ``reasoning_shown`` what the model thinks stays out of the answer. ``echo`` is what the answer
    gives back of the body, under the dialect's own names; ``memory`` is of those that remember."""

    turn: Turn
    stream: bool
    include_usage: bool
    notes: tuple[Note, ...] = ()
    reasoning_shown: bool = True
    echo: Mapping[str, object] = field(default_factory=dict)
    memory: Memory | None = None


@noun
class AnswerFrame:
    """The constants of one answer; ``created_s`` is Unix seconds, and ``input_tokens`` what is
    known of them before the run, 0 where that is only a bound. ``now`` tells Unix microseconds."""

    request_id: str
    created_s: int
    model: str
    input_tokens: int = 0
    now: Callable[[], int] | None = None


@noun
class Answer:
    """A complete answer, ready for a sink."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Writer(Protocol):
    """A fold from deltas to wire bytes. Exactly one of ``closing`` and ``problem`` ends it."""

    @property
    def content_type(self) -> str: ...

    def delta(self, delta: Delta) -> bytes:
        """The bytes that this step causes now; ``b""`` when it causes none yet."""

    def closing(self, end: RunEnd, receipt: Receipt | None) -> bytes:
        """The rest, with the terminal event; ``receipt`` is None where nothing is charged."""

    def problem(self, problem: Problem) -> bytes:
        """A failure after the answer began: the dialect's own in-band error, as terminal event."""

    def heartbeat(self) -> bytes:
        """A comment that clients ignore; ``b""`` where the format has none."""


class Dialect(Protocol):
    """One wire format."""

    @property
    def name(self) -> str: ...

    @property
    def output_limit_param(self) -> str:
        """The name of the field that limits the output."""

    def parse(self, raw: bytes) -> Parsed:
        """Raises Problem of kind invalid_request, naming ``param``."""

    def param_of(self, feature: Feature) -> str:
        """The name under which this dialect asks for ``feature``."""

    def writer(self, parsed: Parsed, frame: AnswerFrame) -> Writer: ...

    def refusal(self, problem: Problem, request_id: str) -> Answer:
        """The answer to a call that failed before its answer began, with its retry headers."""
