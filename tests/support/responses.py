"""A reader of Responses streams that believes nothing: it builds the answer from the events alone,
and checks their order on the way."""

import json
from collections.abc import Iterable
from typing import Any

from openai._streaming import SSEDecoder
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tokenbooth.core.delta import Delta, RunEnd, Usage
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome, Receipt
from tokenbooth.protocols.dialect import AnswerFrame, Parsed, Writer
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES

Json = dict[str, Any]

FRAME = AnswerFrame("req_1f", 1_700_000_000, "50%d model")
USAGE = Usage(3, 4, 1, 2)
LIMITS = (LimitState(LimitScope.BALANCE, "org_1", 100, 7, 0),)
RECEIPT = Receipt("req_1f", Outcome.COMPLETED, "stop", USAGE, 7, "p1", LIMITS)
END = RunEnd(USAGE, fingerprint="fp_1")
TERMINAL = {"response.completed", "response.incomplete", "response.failed"}
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
# Kind of part: the field of its text, the name of its place, the names of its events.
_PARTS = {
    "output_text": ("text", "content_index", "response.output_text", "content_part"),
    "refusal": ("refusal", "content_index", "response.refusal", "content_part"),
    "reasoning_text": ("text", "content_index", "response.reasoning_text", "content_part"),
    "summary_text": (
        "text",
        "summary_index",
        "response.reasoning_summary_text",
        "reasoning_summary_part",
    ),
}
_CALLS = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
}


def ask(**fields: Any) -> Parsed:
    """A read body, of a plain question unless said otherwise."""
    return OPENAI_RESPONSES.parse(json.dumps({"model": "m", "input": "hi", **fields}).encode())


def stream_writer(**fields: Any) -> Writer:
    return OPENAI_RESPONSES.writer(ask(**fields, stream=True), FRAME)


def whole_writer(**fields: Any) -> Writer:
    return OPENAI_RESPONSES.writer(ask(**fields), FRAME)


def streamed(
    deltas: Iterable[Delta], end: RunEnd = END, receipt: Receipt | None = RECEIPT, **fields: Any
) -> list[Json]:
    """The events of a whole stream, each valid by the official client's types."""
    writer = stream_writer(**fields)
    raw = b"".join(map(writer.delta, deltas)) + writer.closing(end, receipt)
    return events(raw)


def whole(
    deltas: Iterable[Delta], end: RunEnd = END, receipt: Receipt | None = RECEIPT, **fields: Any
) -> Json:
    """The body of a whole answer, valid by the official client's types."""
    writer = whole_writer(**fields)
    assert not any(map(writer.delta, deltas))
    body: Json = json.loads(writer.closing(end, receipt))
    checked_body(body)
    return body


def events(raw: bytes) -> list[Json]:
    """Every event, read by the official client's decoder and checked by its types."""
    found = []
    for event in SSEDecoder().iter_bytes(iter([raw])):
        said = event.json()
        assert event.event == said["type"]
        _EVENT.validate_python(said)
        if "response" in said:
            checked_body(said["response"])
        found.append(said)
    return found


def checked_body(body: Json) -> None:
    """No field of the published schema is missing, and each is of its type."""
    Response.model_validate(body)
    assert set(Response.model_fields) <= set(body), set(Response.model_fields) - set(body)


class Folder:
    """What a client puts together; raises AssertionError where the order is broken."""

    def __init__(self) -> None:
        self.response: Json = {}
        self._items: list[Json] = []
        self._open_items: set[int] = set()
        self._open_parts: dict[int, str] = {}
        self._told: dict[int, str] = {}
        self._next = 0
        self._opening: list[str] = []
        self._ended = False

    def take(self, event: Json) -> None:
        assert not self._ended
        assert event["sequence_number"] == self._next
        kind = event["type"]
        if self._next == 0:
            waits = event["response"]["background"]
            self._opening = ["response.created", *["response.queued"] * waits]
            self._opening.append("response.in_progress")
        if self._next < len(self._opening):
            assert kind == self._opening[self._next]
        self._next += 1
        if "response" in event:
            self._lifecycle(kind, event["response"])
        elif kind.startswith("response.output_item."):
            self._item(kind, event)
        elif "part" in event:
            self._part(kind, event)
        else:
            self._text(kind, event)

    def _lifecycle(self, kind: str, response: Json) -> None:
        if kind in TERMINAL:
            assert kind == f"response.{response['status']}"
            self._end(kind, response)
            return
        waits = response["background"] and kind != "response.in_progress"
        assert response["status"] == ("queued" if waits else "in_progress")
        assert response["output"] == []
        assert response["usage"] is None
        assert response in (self.response, response)
        self.response = response

    def _end(self, kind: str, response: Json) -> None:
        self._ended = True
        if kind == "response.failed":
            for place in self._open_items:
                self._items[place]["status"] = "incomplete"
        else:
            assert not self._open_items
            assert not self._open_parts
        outcome = {name: response[name] for name in response if name != "output"}
        begun = {**self.response, "output": None}
        changed = {name for name, value in outcome.items() if begun.get(name) != value}
        assert changed <= {
            "status",
            "error",
            "incomplete_details",
            "usage",
            "completed_at",
            "system_fingerprint",
            "stopped",
        }
        self.response = {**outcome, "output": self._items}
        assert self.response == response

    def _item(self, kind: str, event: Json) -> None:
        place, item = event["output_index"], event["item"]
        if kind.endswith("added"):
            assert place == len(self._items)
            assert item["status"] == "in_progress"
            assert not any(item.get(name) for name in ("content", "summary", "arguments", "input"))
            self._items.append(json.loads(json.dumps(item)))
            self._open_items.add(place)
            return
        self._open_items.remove(place)
        assert place not in self._open_parts
        if item["type"] in _CALLS:
            assert self._told.pop(place) == "done"
        self._items[place]["status"] = item["status"]
        if item["type"] == "reasoning":
            self._items[place]["encrypted_content"] = item["encrypted_content"]
        assert item["status"] in ("completed", "incomplete")
        assert self._items[place] == item

    def _part(self, kind: str, event: Json) -> None:
        place, part = event["output_index"], event["part"]
        field, index, _, family = _PARTS[part["type"]]
        item = self._owner(event)
        parts = item["summary" if part["type"] == "summary_text" else "content"]
        if kind == f"response.{family}.added":
            assert place not in self._open_parts
            assert event[index] == len(parts)
            assert part[field] == ""
            parts.append(json.loads(json.dumps(part)))
            self._open_parts[place] = "growing"
            return
        assert kind == f"response.{family}.done"
        assert self._open_parts.pop(place) == "told"
        assert event[index] == len(parts) - 1
        assert parts[-1] == part

    def _text(self, kind: str, event: Json) -> None:
        place = event["output_index"]
        item = self._owner(event)
        if item["type"] in _CALLS:
            field, family = _CALLS[item["type"]]
            assert self._told.get(place) != "done"
            if kind == f"{family}.delta":
                assert event["delta"]
                item[field] += event["delta"]
            else:
                assert kind == f"{family}.done"
                assert event[field] == item[field]
                self._told[place] = "done"
            return
        part = (item["summary"] if "summary_index" in event else item["content"])[-1]
        field, index, family, _ = _PARTS[part["type"]]
        assert event[index] == len(item["summary" if index == "summary_index" else "content"]) - 1
        assert self._open_parts[place] == "growing"
        if kind == f"{family}.delta":
            part[field] += event["delta"]
            if part["type"] == "output_text":
                part["logprobs"] += event["logprobs"]
            return
        assert kind == f"{family}.done"
        assert event[field] == part[field]
        assert event.get("logprobs", []) == part.get("logprobs", [])
        self._open_parts[place] = "told"

    def _owner(self, event: Json) -> Json:
        place = event["output_index"]
        assert place in self._open_items
        assert self._items[place]["id"] == event["item_id"]
        item: Json = self._items[place]
        return item


def folded(found: Iterable[Json]) -> Json:
    """The response that the events add up to."""
    folder = Folder()
    for event in found:
        folder.take(event)
    assert folder._ended
    return folder.response
