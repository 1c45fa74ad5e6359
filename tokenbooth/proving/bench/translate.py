"""What translation costs: the CPU time of each dialect's writer for one step of a long stream.

Engines speak in deltas, and Chat Completions is what most of them came from, so its writer is the
base. Nothing else runs in a window: no engine, no socket, no money.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from types import MappingProxyType
from typing import TypeVar

from tokenbooth.core.delta import Delta, ToolCallDelta
from tokenbooth.core.turn import Turn
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from tokenbooth.protocols.dialect import AnswerFrame, Dialect, Parsed, Writer
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.proving.bench.books import machine_load
from tokenbooth.proving.bench.figures import NS_PER_US, Pairs
from tokenbooth.proving.drills.play import Progress

R = TypeVar("R")
GOAL_US = 2
WORDS = ("The", " rain", "bow", " is", " a", " band", " of", " light", ",", " Änder")
DIALECTS: tuple[Dialect, ...] = (OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC_MESSAGES)
BASE = OPENAI_CHAT.name
FRAME = AnswerFrame("req_" + "1f" * 16, 1_700_000_000, "vendor/model", 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslateOptions:
    """``windows`` of each dialect and stream are measured in turn. Raises ValueError for a count
    below 1."""

    steps: int = 10_000
    windows: int = 9

    def __post_init__(self) -> None:
        if self.steps < 1 or self.windows < 1:
            raise ValueError("steps and windows are at least 1")


def _text(word: str) -> Delta:
    return Delta(text=word, output_tokens=1)


def _reasoning(word: str) -> Delta:
    return Delta(reasoning=word, output_tokens=1)


def _arguments(word: str) -> Delta:
    return Delta(tool_call=ToolCallDelta(0, word), output_tokens=1)


# Each stream: what opens it, which is not measured, and its steps.
STREAMS: Mapping[str, tuple[Delta, Callable[[str], Delta]]] = MappingProxyType(
    {
        "text": (_text("So"), _text),
        "reasoning": (_reasoning("So"), _reasoning),
        "tool arguments": (
            Delta(tool_call=ToolCallDelta(0, '{"said":"', "call_1", "say"), output_tokens=1),
            _arguments,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Window:
    """CPU time of ``steps`` steps, and the bytes that they became."""

    stream: str
    dialect: str
    ran_ns: int
    written_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslateReport:
    """``windows`` hold as many of each dialect for every stream, in the order they were measured.
    ``events`` is how many events one pass of each stream and dialect wrote."""

    options: TranslateOptions
    machine_load: str
    windows: tuple[Window, ...]
    events: Mapping[tuple[str, str], int]

    @property
    def exact(self) -> bool:
        """Whether each step was one event in every dialect, and every window wrote the same."""
        sizes = {
            key: {w.written_bytes for w in self.windows if (w.stream, w.dialect) == key}
            for key in self.events
        }
        return all(count == self.options.steps for count in self.events.values()) and all(
            len(each) == 1 for each in sizes.values()
        )

    def step_ns(self, stream: str, dialect: str) -> tuple[float, ...]:
        """CPU time of one step, window by window."""
        steps = self.options.steps
        return tuple(
            w.ran_ns / steps for w in self.windows if (w.stream, w.dialect) == (stream, dialect)
        )

    def over_base(self, stream: str, dialect: str) -> Pairs:
        """The dialect beside the base, in nanoseconds for each step."""
        return Pairs(self.step_ns(stream, dialect), self.step_ns(stream, BASE))

    def document(self) -> dict[str, object]:
        """JSON-ready; times are CPU nanoseconds for each step."""
        return {
            "object": "bench",
            "bench": "translate",
            "exact": self.exact,
            "steps": self.options.steps,
            "windows": self.options.windows,
            "machine_load": self.machine_load,
            "base": BASE,
            "goals": {"over_base_ns": GOAL_US * NS_PER_US},
            "streams": {
                stream: {d.name: self._dialect_document(stream, d.name) for d in DIALECTS}
                for stream in STREAMS
            },
        }

    def _dialect_document(self, stream: str, dialect: str) -> dict[str, object]:
        times, over = self.step_ns(stream, dialect), self.over_base(stream, dialect)
        return {
            "step_ns": round(median(times), 1),
            "step_spread_ns": round(max(times) - min(times), 1),
            "over_base_ns": over.difference,
            "over_base_spread_ns": over.spread,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        for stream in STREAMS:
            yield f"{stream}, {self.options.windows} windows of {self.options.steps} steps"
            for dialect in DIALECTS:
                over = self.over_base(stream, dialect.name)
                yield (
                    f"  {dialect.name:18} {over.medians[0]:8.0f} ns   over {BASE}"
                    f" {over.difference:+8.0f} ns (spread {over.spread:.0f}, goal"
                    f" {GOAL_US * NS_PER_US})"
                )
        verdict = "each step one event in every dialect" if self.exact else "NOT EXACT"
        yield f"{verdict}; load of the machine {self.machine_load}"


def run_translate(options: TranslateOptions, progress: Progress) -> TranslateReport:
    """Measure in this very process."""
    words = [WORDS[place % len(WORDS)] for place in range(options.steps)]
    streams = {name: (first, list(map(step, words))) for name, (first, step) in STREAMS.items()}
    events = {
        (name, dialect.name): _opened(dialect, first, steps, _written).count(b"\n\n")
        for name, (first, steps) in streams.items()
        for dialect in DIALECTS
    }
    windows: list[Window] = []
    for turn in range(options.windows):
        progress("windows", turn, options.windows)
        for name, (first, steps) in streams.items():
            for dialect in DIALECTS:
                ran_ns, size_bytes = _opened(dialect, first, steps, _timed)
                windows.append(Window(name, dialect.name, ran_ns, size_bytes))
    return TranslateReport(
        options=options,
        machine_load=machine_load(os.getloadavg()),
        windows=tuple(windows),
        events=events,
    )


def _opened(
    dialect: Dialect,
    first: Delta,
    steps: Sequence[Delta],
    use: Callable[[Writer, Sequence[Delta]], R],
) -> R:
    """What ``use`` makes of the steps, with a writer whose answer has begun."""
    parsed = Parsed(Turn(model=FRAME.model, messages=()), stream=True, include_usage=True)
    writer = dialect.writer(parsed, FRAME)
    writer.delta(first)
    return use(writer, steps)


def _written(writer: Writer, steps: Sequence[Delta]) -> bytes:
    return b"".join(map(writer.delta, steps))


def _timed(writer: Writer, steps: Sequence[Delta]) -> tuple[int, int]:
    write, size_bytes = writer.delta, 0
    begun_ns = time.thread_time_ns()
    for step in steps:
        size_bytes += len(write(step))
    return time.thread_time_ns() - begun_ns, size_bytes
