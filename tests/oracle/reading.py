"""What an answer is made of: fields and their types, events in order, ends and counts."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import groupby
from typing import Any

from tests.oracle.cases import Case
from tests.oracle.families import Family, Mode

DONE = "[DONE]"
# A ping comes when a model was silent for long, so it follows from the machine's speed.
PING = "ping"


@dataclass(frozen=True)
class Seen:
    """``fields`` has the types of each place in the answer; in a stream the place begins with the
    name of its event. ``events`` are the names in order, runs of the same one made one."""

    status: int
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    events: tuple[str, ...] = ()
    finish: str = "-"
    input_tokens: int | None = None
    output_tokens: int | None = None
    text: str = ""


def seen(case: Case, status: int, raw: bytes) -> Seen:
    """Raises ValueError where the answer is not JSON, or no stream of events."""
    if status != HTTPStatus.OK or case.mode is not Mode.STREAMED:
        document = json.loads(raw)
        if status != HTTPStatus.OK:
            return Seen(status, _fields([("", document)]))
        if case.mode is Mode.COUNTED:
            return Seen(status, _fields([("", document)]), input_tokens=document["input_tokens"])
        return _whole(case.family, status, document)
    events = [pair for pair in _events(raw) if pair[0] != PING]
    named = [(_name(case.family, name, document), document) for name, document in events]
    fields = _fields((f"{name}: ", document) for name, document in named if document != DONE)
    order = tuple(name for name, _ in groupby(name for name, _ in named))
    told = _Told()
    for _, document in named:
        if document != DONE:
            told.hear(case.family, document)
    return Seen(
        status, fields, order, told.finish, told.input_tokens, told.output_tokens, told.text
    )


def _whole(family: Family, status: int, document: Mapping[str, Any]) -> Seen:
    told = _Told()
    told.take_usage(document.get("usage"))
    match family:
        case Family.RESPONSES:
            told.end(document)
        case Family.MESSAGES:
            told.finish = str(document["stop_reason"])
            told.text = "".join(block.get("text", "") for block in document["content"])
        case _:
            finishes = [str(choice["finish_reason"]) for choice in document["choices"]]
            told.finish = ", ".join(finishes)
            for choice in document["choices"]:
                said = choice["text"] if "text" in choice else choice["message"].get("content")
                told.text += said or ""
    fields = _fields([("", document)])
    return Seen(status, fields, (), told.finish, told.input_tokens, told.output_tokens, told.text)


class _Told:
    """The fold of a stream."""

    def __init__(self) -> None:
        self.finish = "-"
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.text = ""

    def hear(self, family: Family, document: Mapping[str, Any]) -> None:
        match family:
            case Family.RESPONSES:
                if document["type"] == "response.output_text.delta":
                    self.text += document["delta"]
                elif document["type"] in ("response.completed", "response.incomplete"):
                    self.text = ""
                    self.end(document["response"])
                    self.take_usage(document["response"].get("usage"))
            case Family.MESSAGES:
                self.text += document.get("delta", {}).get("text", "")
                self.take_usage(document.get("message", {}).get("usage"))
                self.take_usage(document.get("usage"))
                self.finish = str(document.get("delta", {}).get("stop_reason") or self.finish)
            case _:
                self.take_usage(document.get("usage"))
                for choice in document["choices"]:
                    said = choice["text"] if "text" in choice else choice["delta"].get("content")
                    self.text += said or ""
                    self.finish = str(choice.get("finish_reason") or self.finish)

    def end(self, response: Mapping[str, Any]) -> None:
        why = (response.get("incomplete_details") or {}).get("reason")
        self.finish = str(response["status"]) + (f" ({why})" if why else "")
        for item in response["output"]:
            for part in item.get("content") or ():
                self.text += part.get("text", "")

    def take_usage(self, usage: Mapping[str, Any] | None) -> None:
        """Later counts win. Messages leave out of the input what a cache held."""
        if not usage:
            return
        if "prompt_tokens" in usage:
            self.input_tokens = usage["prompt_tokens"]
            self.output_tokens = usage.get("completion_tokens", 0)
            return
        if "input_tokens" in usage:
            cached = ("cache_read_input_tokens", "cache_creation_input_tokens")
            self.input_tokens = usage["input_tokens"] + sum(usage.get(n) or 0 for n in cached)
        self.output_tokens = usage["output_tokens"]


def _events(raw: bytes) -> Iterator[tuple[str, Any]]:
    """Name and document of each event. Raises ValueError."""
    for block in raw.decode().replace("\r\n", "\n").split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        parts = dict(line.split(": ", 1) for line in lines)
        said = parts["data"]
        yield parts.get("event", ""), DONE if said == DONE else json.loads(said)


def _name(family: Family, name: str, document: Any) -> str:
    """Chunks of a chat have no names: what they carry stands for one."""
    if document == DONE:
        return DONE
    if name:
        return name
    if family in (Family.RESPONSES, Family.MESSAGES) or "error" in document:
        return str(document.get("type", "error"))
    if not document.get("choices"):
        return "usage"
    choice = document["choices"][0]
    if choice.get("finish_reason"):
        return "finish"
    if "text" in choice:
        return "text"
    delta = choice["delta"]
    return next((kind for kind in ("tool_calls", "content") if delta.get(kind)), "role")


def _fields(named: Any) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for name, document in named:
        for place, kind in _places(document, name):
            found.setdefault(place, set()).add(kind)
    return {place: frozenset(kinds) for place, kinds in found.items()}


def _places(value: Any, place: str) -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            yield place, "object"
            for name, inner in value.items():
                yield from _places(inner, f"{place}.{name}" if place else name)
        case list():
            yield place, "array"
            for inner in value:
                yield from _places(inner, f"{place}[]")
        case None:
            yield place, "null"
        case bool():
            yield place, "boolean"
        case int() | float():
            yield place, "number"
        case _:
            yield place, "string"
