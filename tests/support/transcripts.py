"""Answers of model servers to be cut anywhere, and bodies that ask for them in each dialect.

The recorded ones came from real servers, byte for byte; the written ones hold what those did not
say: several calls at once, reasoning, a character in pieces of bytes, an error in the middle.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.memory_loop import DONE, STREAM_END, STREAM_HEAD, chunked, counted, event, says

RECORDED = Path(__file__).parents[1] / "unit/engines/upstream/recorded"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS: dict[str, list[dict[str, Any]]] = {
    "openai_chat": [
        {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}},
        {"type": "function", "function": {"name": "get_time", "parameters": SCHEMA}},
    ],
    "openai_responses": [
        {"type": "function", "name": "get_weather", "parameters": SCHEMA},
        {"type": "custom", "name": "get_time"},
    ],
    "anthropic_messages": [
        {"name": "get_weather", "input_schema": SCHEMA},
        {"name": "get_time", "input_schema": SCHEMA},
    ],
}


@dataclass(frozen=True)
class Transcript:
    """``raw`` is a whole HTTP answer."""

    name: str
    raw: bytes
    choices: int = 1

    def body(self, dialect: str, prompt: str) -> dict[str, Any]:
        """What a caller sends to get this answer as a stream."""
        said = [{"role": "user", "content": prompt}]
        body: dict[str, Any] = {"model": "demo", "stream": True, "tools": TOOLS[dialect]}
        if dialect == "openai_responses":
            return {**body, "input": prompt}
        if dialect == "openai_chat":
            body |= {"stream_options": {"include_usage": True}, "n": self.choices}
        return {**body, "messages": said}

    def asked_in(self, dialect: str) -> bool:
        """Only one dialect knows several choices."""
        return self.choices == 1 or dialect == "openai_chat"


def _part(**said: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": said}]})


def _call(index: int, arguments: str, **head: Any) -> bytes:
    name = {"name": head.pop("name")} if "name" in head else {}
    function = {**name, "arguments": arguments}
    return _part(tool_calls=[{"index": index, **head, "function": function}])


def _written(name: str, *pieces: bytes, finish: str = "stop", usage: bool = True) -> Transcript:
    told = counted(31, 9, prompt_tokens_details={"cached_tokens": 16}) if usage else b""
    ending = (says("", finish), told, chunked(DONE), STREAM_END)
    return Transcript(name, b"".join((STREAM_HEAD, _part(role="assistant"), *pieces, *ending)))


def _in_halves(text: str) -> bytes:
    """One event in two chunks of the transfer, parted inside a character."""
    raw = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % text.encode()
    middle = next(place for place, byte in enumerate(raw) if byte > 127) + 1
    return chunked(raw[:middle]) + chunked(raw[middle:])


PARALLEL = (
    _call(0, "", id="call_a", type="function", name="get_weather"),
    _call(0, '{"city":'),
    _call(1, "", id="call_b", type="function", name="get_time"),
    _call(1, '{"input":'),
    _call(0, '"Oslo"}'),
    _call(1, '"Rome"}'),
)
WRITTEN = (
    _written("text", says("Hel"), says("lo, "), says("wörld")),
    _written("character in halves", says("a "), _in_halves("snow ❄ man"), says("!")),
    _written("no usage", says("one"), says(" two"), usage=False),
    _written("length", says("one"), says(" two"), finish="length"),
    _written("one call", *PARALLEL[:2], _call(0, '"Oslo"}'), finish="tool_calls"),
    _written("parallel calls", says("Let me see."), *PARALLEL, finish="tool_calls"),
    _written("reasoning", _part(reasoning_content="I th"), _part(reasoning="ink"), says("so")),
    _written("reasoning and a call", _part(reasoning="hm"), *PARALLEL[:2], _call(0, '"Oslo"}')),
    _written("refusal", _part(refusal="I can"), _part(refusal="not.")),
    Transcript(
        "error inside",
        STREAM_HEAD + says("so ") + event({"error": {"message": "broke", "code": 500}}),
    ),
)
CHOICES = {"three-choices": 3}


def recorded() -> tuple[Transcript, ...]:
    """Of every recorded answer, those that came to a model's call."""
    return tuple(
        Transcript(f"{file.parent.name}/{file.stem}", file.read_bytes(), CHOICES.get(file.stem, 1))
        for file in sorted(RECORDED.glob("*/*.http"))
    )


TRANSCRIPTS = (*WRITTEN, *recorded())
