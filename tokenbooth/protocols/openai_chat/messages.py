"""The messages of a chat: their shapes, and how each becomes a Message."""

from collections.abc import Sequence
from typing import Any

from tokenbooth.core.turn import (
    AudioPart,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ToolCall,
    VideoPart,
)
from tokenbooth.protocols.custom_tools import custom_arguments
from tokenbooth.protocols.media import (
    AUDIO_FORMATS,
    BASE64,
    FILE_CONTENT,
    FILE_ID,
    IMAGE_URL,
    VIDEO_URL,
    source_of,
)
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

_TEXT_PART = Record({"text": Field(Text(), required=True)})
_IMAGE = Record(
    {
        "url": Field(Text(pattern=IMAGE_URL), required=True),
        "detail": Field(Text(choices=("auto", "low", "high", "original"))),
    }
)
_VIDEO = Record({"url": Field(Text(pattern=VIDEO_URL), required=True)})
_AUDIO = Record(
    {
        "data": Field(Text(pattern=BASE64), required=True),
        "format": Field(Text(choices=AUDIO_FORMATS), required=True),
    }
)
_FILE = Record(
    {
        "file_data": Field(Text(pattern=FILE_CONTENT)),
        "file_id": Field(Text(pattern=FILE_ID)),
        "filename": Field(Text()),
    }
)
_MEDIA = ("image_url", "file", "input_audio", "video_url")
_NO_AUDIO = "what a model said in audio is not stored here; send its text"
_NOT_OF_THIS_ROLE = "media is served in messages of the user"


def _parts(*tags: str) -> Either:
    cases = {
        "text": _TEXT_PART,
        "image_url": Record({"image_url": Field(_IMAGE, required=True)}),
        "video_url": Record({"video_url": Field(_VIDEO, required=True)}),
        "input_audio": Record({"input_audio": Field(_AUDIO, required=True)}),
        "file": Record({"file": Field(_FILE, required=True)}),
        "refusal": Record({"refusal": Field(Text(), required=True)}),
    }
    others = dict.fromkeys((tag for tag in _MEDIA if tag not in tags), _NOT_OF_THIS_ROLE)
    part = tagged("type", {tag: cases[tag] for tag in tags}, others)
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
        "user": Record({"content": Field(_parts("text", *_MEDIA), required=True), "name": _NAME}),
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
            parts = _parts_of(record["content"], f"messages[{place}].content", notes)
            call_id = record.get("tool_call_id")
            made.append(Message(Role(role), parts, record.get("name"), tool_call_id=call_id))
    return tuple(made)


def _assistant(record: Json, path: str, legacy_ids: dict[str, str], notes: Notes) -> Message:
    parts = _parts_of(record["content"], f"{path}.content", notes) if "content" in record else ()
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


def _parts_of(content: str | Sequence[Json], path: str, notes: Notes) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (TextPart(content),)
    return tuple(_part(part, f"{path}[{place}]", notes) for place, part in enumerate(content))


def _part(part: dict[str, Any], path: str, notes: Notes) -> Part:
    kind = part["type"]
    held = part[kind]
    match kind:
        case "refusal":
            notes.add("messages[].content[].refusal", "translated to text")
        case "image_url":
            if held.get("detail", "auto") != "auto":
                notes.add("messages[].content[].image_url.detail", "ignored: the engine decides")
            return ImagePart(held["url"], f"{path}.image_url.url")
        case "video_url":
            return VideoPart(held["url"], f"{path}.video_url.url")
        case "input_audio":
            return AudioPart(*source_of(held, f"{path}.input_audio", "data"))
        case "file":
            return DocumentPart(*source_of(held, f"{path}.file", "file_data", "file_id"))
    return TextPart(held)
