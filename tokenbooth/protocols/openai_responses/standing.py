"""The events of a stream that stopped somewhere, folded into the response as far as it was told."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tokenbooth.core.delta import RunEnd
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Receipt
from tokenbooth.protocols.dialect import AnswerFrame, Parsed
from tokenbooth.protocols.openai_responses.body import failed_json, response_json, usage_json
from tokenbooth.protocols.openai_responses.output import INCOMPLETE, RUNNING
from tokenbooth.protocols.openai_responses.renamed import renamed
from tokenbooth.protocols.wire_json import encode

Json = dict[str, Any]
CANCELLED = "cancelled"
# The ends of a stream whose response is not told by its own name.
_LAST = {CANCELLED: "response.incomplete"}
# Where the text of a delta belongs, by the end of the event's name.
_TEXTS: Mapping[str, str] = {
    "output_text.delta": "text",
    "reasoning_text.delta": "text",
    "reasoning_summary_text.delta": "text",
    "refusal.delta": "refusal",
    "function_call_arguments.delta": "arguments",
    "custom_tool_call_input.delta": "input",
}


def split(chunk: bytes) -> list[bytes]:
    """The events in a piece of a stream, each with its end; comments are left out."""
    found = (event for event in chunk.split(b"\n\n") if event.startswith(b"event: "))
    return [event + b"\n\n" for event in found]


def standing(begun: Json, events: Iterable[bytes]) -> Json:
    """The response as it stands after these events; what is not over in it is incomplete."""
    response = begun
    items: dict[int, Json] = {}
    for event in events:
        said: Json = json.loads(event.partition(b"\ndata: ")[2])
        if "response" in said:
            response = said["response"]
        else:
            _take(items, said)
    output = [items[place] for place in sorted(items)] or response["output"]
    for item in output:
        if item["status"] == RUNNING:
            item["status"] = INCOMPLETE
    return {**response, "output": output}


def cancelled(response: Json, receipt: Receipt | None) -> Json:
    """The end of a response whose caller wanted no more of it."""
    usage = usage_json(RunEnd(usage=None), receipt)
    return {**response, "status": CANCELLED, "usage": usage}


def failed(response: Json, problem: Problem, request_id: str) -> Json:
    """The end of a response that nobody could tell of itself."""
    return {**response, **failed_json(renamed(problem), request_id)}


def refused(response: Json, status: int, body: bytes) -> Json:
    """The end of a response whose call was refused before it said a word; ``body`` is the error as
    a caller would have got it."""
    error: Json = json.loads(body)["error"]
    code = "invalid_prompt" if status < 500 else "server_error"
    told = {**error, "code": code, "tokenbooth_code": error["code"]}
    return {**response, "status": "failed", "error": told}


def cut(response: Json, receipt: Receipt | None) -> Json:
    """The end of a response that said more than is kept."""
    usage = usage_json(RunEnd(usage=None), receipt)
    details = {"reason": "max_output_tokens"}
    return {**response, "status": INCOMPLETE, "incomplete_details": details, "usage": usage}


def begun(parsed: Parsed, request_id: str, created_s: int) -> Json:
    """The response before it runs."""
    frame = AnswerFrame(request_id, created_s, parsed.turn.model)
    return {**response_json(parsed, frame), "status": "queued"}


def terminal_event(response: Json, number: int) -> bytes:
    """The last event of a stream, where its writer did not come to say one."""
    status = response["status"]
    kind = _LAST.get(status, f"response.{status}")
    body = encode({"type": kind, "response": response, "sequence_number": number})
    return b"event: " + kind.encode() + b"\ndata: " + body + b"\n\n"


def _take(items: dict[int, Json], said: Json) -> None:
    kind, place = said["type"].removeprefix("response."), said["output_index"]
    if kind.startswith("output_item."):
        items[place] = said["item"]
    elif "part" in said:
        parts, at = _parts(items[place], said)
        parts[at:] = [said["part"]]
    elif kind in _TEXTS:
        field = _TEXTS[kind]
        if field in items[place]:
            items[place][field] += said["delta"]
            return
        parts, at = _parts(items[place], said)
        parts[at][field] += said["delta"]
        if "logprobs" in said:
            parts[at]["logprobs"] += said["logprobs"]


def _parts(item: Json, said: Json) -> tuple[list[Json], int]:
    name = "summary" if "summary_index" in said else "content"
    return item[name], said[f"{name}_index"]
