"""Turns for tests, and a sink that keeps what an engine pushes and notices broken promises."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tokenbooth.core.delta import Delta, FinishReason, RunEnd
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import (
    AudioPart,
    FormatKind,
    ImagePart,
    LogprobsAsk,
    Message,
    OutputFormat,
    Part,
    Role,
    Sampling,
    TextPart,
    Tool,
    Turn,
)

WAIT_S = 60.0
OBJECT_SCHEMA = (
    '{"type":"object","properties":{"ok":{"type":"boolean"}},'
    '"required":["ok"],"additionalProperties":false}'
)
TOOL = Tool("read_clock", "Reads the clock.", OBJECT_SCHEMA)


def said(text: str, role: Role = Role.USER) -> Message:
    return Message(role, (TextPart(text),))


def turn_of(text: str = "Say something.", **fields: Any) -> Turn:
    """A turn of one user message."""
    return Turn(**{"model": "model", "messages": (said(text),)} | fields)


def asking(feature: Feature) -> Turn:
    """A turn that cannot be honoured without ``feature``."""
    picture: tuple[Part, ...] = (ImagePart("data:image/png;base64,AA=="),)
    sound: tuple[Part, ...] = (AudioPart("data:audio/wav;base64,AA=="),)
    fields: dict[Feature, dict[str, Any]] = {
        Feature.TOOLS: {"tools": (TOOL,)},
        Feature.JSON_OBJECT: {"output_format": OutputFormat(FormatKind.JSON_OBJECT)},
        Feature.JSON_SCHEMA: {
            "output_format": OutputFormat(FormatKind.JSON_SCHEMA, "it", OBJECT_SCHEMA)
        },
        Feature.LOGPROBS: {"logprobs": LogprobsAsk()},
        Feature.TOP_LOGPROBS: {"logprobs": LogprobsAsk(top=3)},
        Feature.IMAGES: {"messages": (Message(Role.USER, picture),)},
        Feature.AUDIO: {"messages": (Message(Role.USER, sound),)},
        Feature.STOP: {"sampling": Sampling(stop=("never said",))},
        Feature.SEED: {"sampling": Sampling(seed=7)},
        Feature.CHOICES: {"choices": 2},
        Feature.PENALTIES: {"sampling": Sampling(presence_penalty=0.5)},
        Feature.LOGIT_BIAS: {"sampling": Sampling(logit_bias=((1, 2.0),))},
        Feature.REASONING_EFFORT: {"reasoning_effort": "low"},
        Feature.RAW_PROMPT: {"raw": True},
        Feature.SUFFIX: {"raw": True, "suffix": " and so on."},
    }
    return turn_of(**fields[feature])


# Of these no turn can ask; they show in usage and in ``embed``.
UNASKED = frozenset({Feature.CACHED_TOKENS, Feature.EMBEDDINGS})


@dataclass
class Recorder:
    """A sink. ``on_delta`` is called with each delta; ``late`` holds what came after the end."""

    on_delta: Callable[[Delta], None] | None = None
    deltas: list[Delta] = field(default_factory=list)
    end: RunEnd | None = None
    problem: Problem | None = None
    late: list[object] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        return self.end is not None or self.problem is not None

    def delta(self, delta: Delta) -> None:
        if self.is_over:
            self.late.append(delta)
        self.deltas.append(delta)
        self._news.set()
        if self.on_delta is not None:
            self.on_delta(delta)

    def ended(self, end: RunEnd) -> None:
        if self.is_over:
            self.late.append(end)
        self.end = end
        self._news.set()

    def failed(self, problem: Problem) -> None:
        if self.is_over:
            self.late.append(problem)
        self.problem = problem
        self._news.set()

    async def until(self, reached: Callable[["Recorder"], bool]) -> "Recorder":
        """Wait until ``reached``, at most WAIT_S."""
        async with asyncio.timeout(WAIT_S):
            while not reached(self):
                self._news.clear()
                await self._news.wait()
        return self

    async def over(self) -> "Recorder":
        """Wait for the terminal call, and then for the loop to run dry of what follows it."""
        await self.until(lambda recorder: recorder.is_over)
        for _ in range(5):
            await asyncio.sleep(0)
        assert self.late == []
        return self

    def text(self, choice: int = 0) -> str:
        return "".join(delta.text for delta in self.deltas if delta.choice == choice)

    def arguments(self, index: int = 0) -> str:
        calls = [d.tool_call for d in self.deltas if d.tool_call and d.tool_call.index == index]
        return "".join(call.arguments for call in calls)

    @property
    def output_tokens(self) -> int:
        return sum(delta.output_tokens for delta in self.deltas)

    @property
    def finishes(self) -> list[tuple[int, FinishReason]]:
        return [(d.choice, d.finish) for d in self.deltas if d.finish is not None]
