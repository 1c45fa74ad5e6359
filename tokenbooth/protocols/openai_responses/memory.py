"""What a response remembers: its input as items with ids, and what it goes on from."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Message, Role, TextPart
from tokenbooth.protocols.dialect import Memory, Parsed
from tokenbooth.protocols.notes import Notes
from tokenbooth.protocols.openai_responses.body import RESPONSE_ID, response_id
from tokenbooth.protocols.openai_responses.items import (
    COMPACTION,
    ITEM,
    REASONING_ID,
    messages_of,
)
from tokenbooth.protocols.openai_responses.output import RUNNING
from tokenbooth.protocols.openai_responses.shapes import SKIPPED
from tokenbooth.protocols.shape import Json, Strangers, bad_value
from tokenbooth.protocols.wire_json import encode

REFERENCE = "item_reference"
DONE = "completed"
FAILED = "failed"
REASONING_INCLUDED = "reasoning.encrypted_content"
NOTHING_OPENED: Mapping[str, str] = MappingProxyType({})
_OURS = re.compile(r"[a-z]{2,4}_([0-9a-f]+)_i?\d+")
_GIVEN = re.compile(r"[A-Za-z0-9_-]{1,128}")
_PREFIXES: Mapping[str, str] = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
    COMPACTION: "cmp",
}
# Stands before a summary where a compaction stood, in the words of the assistant that wrote it.
SUMMARY_HEAD = "What came before, in short:\n"
_TEXTS = frozenset({"input_text", "output_text", "text"})


def memory_of(fields: Json) -> Memory:
    """What a checked body says of storage; its input as items."""
    said = fields["input"]
    items = (
        ({"type": "message", "role": "user", "content": said},) if isinstance(said, str) else said
    )
    return Memory(
        store=fields.get("store", True),
        background=fields.get("background", False),
        streams=fields.get("stream", False),
        previous_id=fields.get("previous_response_id"),
        references=tuple(item["id"] for item in items if item.get("type") == REFERENCE),
        items=tuple(items),
        thoughts=sealed_in(items),
        seals=REASONING_INCLUDED in fields.get("include", ()),
    )


def sealed_in(items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """What only the booth can open in these items: summaries, and reasoning without words."""
    return tuple(item["encrypted_content"] for item in items if is_folded(item) or is_sealed(item))


def is_folded(item: Mapping[str, Any]) -> bool:
    """Whether a summary stands in place of what came before."""
    return item.get("type") == COMPACTION


def is_sealed(item: Mapping[str, Any]) -> bool:
    """Whether an item is reasoning without a word that can be read."""
    if item.get("type") != "reasoning" or not isinstance(item.get("encrypted_content"), str):
        return False
    return not any(
        part.get("text") for part in (*item.get("content", ()), *item.get("summary", ()))
    )


def owner_of(item_id: str) -> str | None:
    """The id of the response that has the item, where the id is one of ours."""
    found = _OURS.fullmatch(item_id)
    return None if found is None else RESPONSE_ID + found[1]


def completed(
    parsed: Parsed,
    earlier: Sequence[Json],
    found: Mapping[str, Json],
    opened: Mapping[str, str] = NOTHING_OPENED,
    kept_with: Sequence[Json] = (),
) -> Parsed:
    """The question with what it refers to: ``earlier`` are the items of the conversation so far,
    ``found`` the items referred to, by id, all as they were stored; ``opened`` are the words of
    sealed reasoning and summaries. ``kept_with`` are those of the earlier items that no stored
    response holds.

    Raises Problem RESPONSE_NOT_FOUND for a reference to what is not there, INVALID_VALUE for a
    summary that cannot be opened, and what reading the input raises.
    """
    memory = parsed.memory
    assert memory is not None, "only what remembers is completed"
    notes = Notes()
    known = tuple(_resolved(item, place, found) for place, item in enumerate(memory.items))
    items = tuple(_opened(item, opened) for item in known)
    before = [_checked(item) for item in earlier]
    told = [*before, *map(dict, items)]
    unfolded = [_unfolded(item, place - len(before), opened) for place, item in enumerate(told)]
    messages = messages_of(unfolded, notes, earlier=len(before))
    instructions = parsed.echo.get("instructions")
    turn = replace(parsed.turn, messages=instructed(instructions, messages))
    noted = tuple(note for note in notes.finished(Strangers()) if note not in parsed.notes)
    kept = replace(memory, items=(*kept_with, *items), references=(), thoughts=())
    return replace(parsed, turn=turn, memory=kept, notes=(*parsed.notes, *noted))


def instructed(instructions: object, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages after their instructions. Raises INVALID_VALUE for no messages at all."""
    if not messages:
        bad_value("input", "holds nothing that a model could answer")
    if not isinstance(instructions, str):
        return messages
    return (Message(Role.SYSTEM, (TextPart(instructions),)), *messages)


def kept_items(memory: Memory, request_id: str) -> bytes:
    """The input in the form in which it is stored and listed: a JSON list of items with ids."""
    made: list[Json] = []
    taken: set[str] = set()
    for place, item in enumerate(memory.items):
        if SKIPPED in item or item["type"] == REFERENCE:
            continue
        given = item.get("id")
        if not isinstance(given, str) or given in taken or _GIVEN.fullmatch(given) is None:
            core = response_id(request_id).removeprefix(RESPONSE_ID)
            given = f"{_PREFIXES[item['type']]}_{core}_i{place}"
        taken.add(given)
        made.append({**_listed(item), "id": given})
    return encode(made)


def conversation(items: bytes, response: bytes) -> list[Json]:
    """The items of a stored response: what it was asked, and what it answered."""
    answered: Json = json.loads(response)
    return [*json.loads(items), *answered["output"]]


def listed_items(items: bytes) -> list[Json]:
    """Stored input items."""
    found: list[Json] = json.loads(items)
    return found


def running(response: bytes) -> bytes:
    """A stored response that is not over."""
    return encode({**json.loads(response), "status": RUNNING})


def final_of(said: bytes) -> Json | None:
    """The response in the last words of an answer, a body or a stream; ``None`` for none."""
    head, _, last = said.rpartition(b"\ndata: ")
    try:
        found = json.loads(last)
    except ValueError:
        return None
    response = found.get("response") if head else found
    return response if isinstance(response, dict) and response.get("object") == "response" else None


def unstored(said: bytes) -> bytes:
    """The last words of an answer that could not be stored, saying so."""
    head, between, last = said.rpartition(b"\ndata: ")
    found: Json = json.loads(last)
    response: dict[str, Any] = found["response"] if head else found
    response["store"] = False
    return head + between + encode(found) + (b"\n\n" if head else b"")


def _resolved(item: Mapping[str, Any], place: int, found: Mapping[str, Json]) -> Mapping[str, Any]:
    if item.get("type") != REFERENCE or item["id"] not in found:
        if item.get("type") == REFERENCE and not item["id"].startswith(REASONING_ID):
            public = f"No item {item['id'][:200]!r} is stored for this project; send it itself."
            raise Problem(Code.RESPONSE_NOT_FOUND, public, param=f"input[{place}].id")
        return item
    return _checked(found[item["id"]])


def _opened(item: Mapping[str, Any], opened: Mapping[str, str]) -> Mapping[str, Any]:
    words = opened.get(item["encrypted_content"]) if is_sealed(item) else None
    if words is None:
        return item
    return {**item, "content": [{"type": "reasoning_text", "text": words}]}


def _unfolded(item: Json, place: int, opened: Mapping[str, str]) -> Json:
    """A summary as a message. Raises INVALID_VALUE where nobody here can open it: without it the
    answer would be to another conversation."""
    if not is_folded(item):
        return item
    summary = opened.get(item["encrypted_content"])
    if summary is None:
        bad_value(
            f"input[{place}].encrypted_content",
            "cannot be opened: only the project in which a conversation was compacted can go on"
            " from it",
        )
    return {"type": "message", "role": Role.ASSISTANT.value, "content": SUMMARY_HEAD + summary}


def _checked(stored: Json) -> Json:
    """A stored item as it would have been read from a body."""
    read: Json = ITEM.read(stored, "", Strangers())
    return read


def _listed(item: Mapping[str, Any]) -> Json:
    """As the published schema lists an item, every field there."""
    made = {**item, "status": DONE}
    match item["type"]:
        case "compaction":
            return {"created_by": None, **item}
        case "message":
            made["content"] = _parts(item["content"], answered=item["role"] == Role.ASSISTANT)
        case "reasoning":
            made["summary"] = list(item.get("summary", ()))
    return made


def _parts(content: str | Sequence[Json], *, answered: bool) -> list[Json]:
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    return [_part(part, answered=answered) for part in parts]


def _part(part: Json, *, answered: bool) -> Json:
    if part["type"] in _TEXTS:
        if not answered:
            return {"type": "input_text", "text": part["text"]}
        return {
            "type": "output_text",
            "text": part["text"],
            "annotations": part.get("annotations", []),
            "logprobs": part.get("logprobs", []),
        }
    if part["type"] == "input_image":
        return {"detail": "auto", **part}
    return part
