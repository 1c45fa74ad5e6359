"""The messages of a chat: their shapes, and how each becomes a Message."""

from collections.abc import Sequence
from typing import Any

from tokenbooth.core.turn import ImagePart, Message, Part, Role, TextPart, ToolCall
from tokenbooth.protocols.custom_tools import custom_arguments
from tokenbooth.protocols.notes import Notes
from tokenbooth.protocols.shape import (
    Either,
    Field,
    Json,
    Listed,
    Record,
    Refused,
    Shape,
    Text,
    missing,
    tagged,
)

MESSAGES_MAX = 4096
PARTS_MAX = 1024
TOOL_CALLS_MAX = 128
NAME_CHARS_MAX = 256
ID_CHARS_MAX = 256
FUNCTION_NAME = r"^[a-zA-Z0-9_-]{1,64}$"
IMAGE_URL = r"^(https://|data:image/)[^\x00-\x20]+$"

_TEXT_PART = Record({"text": Field(Text(), required=True)})
_IMAGE = Record(
    {
        "url": Field(Text(pattern=IMAGE_URL), required=True),
        "detail": Field(Text(choices=("auto", "low", "high", "original"))),
    }
)
_NO_AUDIO = "audio input is not served here"
_NO_FILES = "file input is not served here; put the text into the message"


def _parts(*tags: str) -> Either:
    cases = {
        "text": _TEXT_PART,
        "image_url": Record({"image_url": Field(_IMAGE, required=True)}),
        "refusal": Record({"refusal": Field(Text(), required=True)}),
    }
    part = tagged(
        "type",
        {tag: cases[tag] for tag in tags},
        {"input_audio": _NO_AUDIO, "file": _NO_FILES},
    )
    return Either(Text(), Listed(part, 1, PARTS_MAX))


_NAME = Field(Text(high=NAME_CHARS_MAX))
_CALLED = Record(
    {
        "name": Field(Text(low=1, high=NAME_CHARS_MAX), required=True),
        "arguments": Field(Text(), required=True),
    }
)
_CUSTOM_CALLED = Record(
    {
        "name": Field(Text(low=1, high=NAME_CHARS_MAX), required=True),
        "input": Field(Text(), required=True),
    }
)
_TOOL_CALL = tagged(
    "type",
    {
        "function": Record(
            {
                "id": Field(Text(low=1, high=ID_CHARS_MAX), required=True),
                "function": Field(_CALLED, required=True),
            }
        ),
        "custom": Record(
            {
                "id": Field(Text(low=1, high=ID_CHARS_MAX), required=True),
                "custom": Field(_CUSTOM_CALLED, required=True),
            }
        ),
    },
)
_ASSISTANT = Record(
    {
        "content": Field(_parts("text", "refusal")),
        "name": _NAME,
        "refusal": Field(Text()),
        "tool_calls": Field(Listed(_TOOL_CALL, 1, TOOL_CALLS_MAX)),
        "function_call": Field(_CALLED),
        "audio": Field(Refused(_NO_AUDIO)),
        "reasoning_content": Field(Text()),
    },
    {
        "anyOf": [
            {"required": [name], "properties": {name: {"not": {"type": "null"}}}}
            for name in ("content", "refusal", "tool_calls", "function_call")
        ]
    },
)
_CONTENT = Field(_parts("text"), required=True)

MESSAGE: Shape = tagged(
    "role",
    {
        "system": Record({"content": _CONTENT, "name": _NAME}),
        "developer": Record({"content": _CONTENT, "name": _NAME}),
        "user": Record(
            {"content": Field(_parts("text", "image_url"), required=True), "name": _NAME}
        ),
        "assistant": _ASSISTANT,
        "tool": Record(
            {
                "content": _CONTENT,
                "tool_call_id": Field(Text(low=1, high=ID_CHARS_MAX), required=True),
            }
        ),
        "function": Record(
            {
                "content": Field(Text()),
                "name": Field(Text(low=1, high=NAME_CHARS_MAX), required=True),
            }
        ),
    },
)


def messages_of(records: Sequence[Json], notes: Notes) -> tuple[Message, ...]:
    """Checked records to Messages.

    A legacy ``function_call`` becomes a tool call with a made-up id, which the next ``function``
    message of the same name answers.
    """
    legacy_ids: dict[str, str] = {}
    made = []
    for place, record in enumerate(records):
        role = record["role"]
        if role == "assistant":
            made.append(_assistant(record, f"messages[{place}]", legacy_ids, notes))
        elif role == "function":
            notes.add("messages[].role=function", "translated to role tool")
            content = record.get("content", "")
            name = record["name"]
            answered = legacy_ids.get(name, f"call_{name}")
            made.append(Message(Role.TOOL, (TextPart(content),), name, tool_call_id=answered))
        else:
            parts = _parts_of(record["content"], notes)
            call_id = record.get("tool_call_id")
            made.append(Message(Role(role), parts, record.get("name"), tool_call_id=call_id))
    return tuple(made)


def _assistant(record: Json, path: str, legacy_ids: dict[str, str], notes: Notes) -> Message:
    parts = _parts_of(record["content"], notes) if "content" in record else ()
    if "refusal" in record:
        notes.add("messages[].refusal", "translated to text")
        parts = (*parts, TextPart(record["refusal"]))
    calls = [_call(call) for call in record.get("tool_calls", ())]
    if "function_call" in record:
        notes.add("messages[].function_call", "translated to tool_calls")
        called = record["function_call"]
        call_id = f"call_{called['name']}_{len(legacy_ids)}"
        legacy_ids[called["name"]] = call_id
        calls.append(ToolCall(call_id, called["name"], called["arguments"]))
    if not parts and not calls:
        missing(f"{path}.content")
    thought = record.get("reasoning_content", "")
    if thought:
        notes.add("messages[].reasoning_content", "a hint; the engine may ignore it")
    name = record.get("name")
    return Message(Role.ASSISTANT, parts, name, tuple(calls), reasoning=thought)


def _call(call: Json) -> ToolCall:
    if call["type"] == "custom":
        called = call["custom"]
        return ToolCall(call["id"], called["name"], custom_arguments(called["input"]))
    return ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])


def _parts_of(content: str | Sequence[Json], notes: Notes) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (TextPart(content),)
    return tuple(_part(part, notes) for part in content)


def _part(part: dict[str, Any], notes: Notes) -> Part:
    if part["type"] == "text":
        return TextPart(part["text"])
    if part["type"] == "refusal":
        notes.add("messages[].content[].refusal", "translated to text")
        return TextPart(part["refusal"])
    if part["image_url"].get("detail", "auto") != "auto":
        notes.add("messages[].content[].image_url.detail", "ignored: the engine decides")
    return ImagePart(part["image_url"]["url"])
