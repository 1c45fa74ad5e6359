"""The parts of an output item: text, a refusal, or reasoning, told in events of their own kind."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tokenbooth.core.delta import TokenLogprob
from tokenbooth.protocols.openai_responses.events import Events, Json, event_head
from tokenbooth.protocols.wire_json import encode

LOGPROB_MIN = -9999.0


@dataclass(frozen=True, slots=True)
class PartKind:
    """The wire words of one kind of part; ``events`` begins the names of its text events."""

    type: str
    field: str
    index: str
    part_events: str
    events: str
    with_logprobs: bool = False


_CONTENT = "response.content_part"
OUTPUT_TEXT = PartKind(
    "output_text", "text", "content_index", _CONTENT, "response.output_text", with_logprobs=True
)
REFUSAL = PartKind("refusal", "refusal", "content_index", _CONTENT, "response.refusal")
REASONING_TEXT = PartKind(
    "reasoning_text", "text", "content_index", _CONTENT, "response.reasoning_text"
)
SUMMARY_TEXT = PartKind(
    "summary_text",
    "text",
    "summary_index",
    "response.reasoning_summary_part",
    "response.reasoning_summary_text",
)


class Part:
    """One part while it grows."""

    def __init__(self, kind: PartKind, place: Json, events: Events) -> None:
        """``place`` is where it stands: item id, output index, and its own index."""
        self.kind = kind
        self._place = place
        self._events = events
        self._pieces: list[str] = []
        self._logprobs: list[Json] = []
        self._head = event_head(f"{kind.events}.delta", place) + b',"delta":'
        self._tail = b',"logprobs":[]' if kind.with_logprobs else b""
        events.add(f"{kind.part_events}.added", {**place, "part": self.whole()})

    def add(self, text: str, logprobs: Sequence[TokenLogprob] = ()) -> None:
        self._pieces.append(text)
        if not logprobs:
            self._events.add_text(self._head, text, self._tail)
            return
        made = logprobs_json(logprobs)
        self._logprobs += made
        self._events.add_text(self._head, text, b',"logprobs":' + encode(made))

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def close(self) -> None:
        kind, done = self.kind, self.whole()
        said: Json = {kind.field: done[kind.field]}
        if kind.with_logprobs:
            said["logprobs"] = self._logprobs
        self._events.add(f"{kind.events}.done", {**self._place, **said})
        self._events.add(f"{kind.part_events}.done", {**self._place, "part": done})

    def whole(self) -> Json:
        made: Json = {"type": self.kind.type, self.kind.field: self.text}
        if self.kind.with_logprobs:
            made |= {"annotations": [], "logprobs": list(self._logprobs)}
        return made


def logprobs_json(items: Sequence[TokenLogprob]) -> list[Json]:
    """Chosen tokens, each with its alternatives."""
    return [
        {
            **_token_json(item.text, item.logprob),
            "top_logprobs": [_token_json(text, value) for text, value in item.alternatives],
        }
        for item in items
    ]


def _token_json(text: str, logprob: float) -> Json:
    value = logprob if math.isfinite(logprob) else LOGPROB_MIN
    return {"token": text, "logprob": value, "bytes": list(text.encode("utf-8", "surrogatepass"))}
