"""The input of a response: the shapes of its items, and how they become Messages.

Calls of tools, what an assistant said and what it thought stand in items of their own here; engines
want them in one message, so neighbours are joined.
"""

from collections.abc import Sequence
from dataclasses import replace

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
    WEB_URL,
    source_of,
)
from tokenbooth.protocols.notes import Notes
from tokenbooth.protocols.openai_responses.shapes import SKIPPED, Anything, Kinds
from tokenbooth.protocols.shape import (
    Either,
    Field,
    Json,
    Listed,
    Record,
    Text,
    tagged,
    unsupported,
)

ITEMS_MAX = 4096
PARTS_MAX = 1024
NAME_CHARS_MAX = 256
ID_CHARS_MAX = 256
REASONING_ID = "rs_"
COMPACTION = "compaction"

_THOUGHT = "input[].type=reasoning"
_SEALED = "skipped: it holds no text"
_UNANSWERED = "skipped where nothing of the assistant follows"
_NOT_FOUND = "skipped: no such reasoning is stored"
_ANY = Field(Anything())
_FILE_ID = Field(Text(pattern=FILE_ID))
_TEXT = Record(
    {
        "text": Field(Text(), required=True),
        "annotations": _ANY,
        "logprobs": _ANY,
        "parsed": _ANY,
        "prompt_cache_breakpoint": _ANY,
    }
)
_PART = tagged(
    "type",
    {
        "input_text": _TEXT,
        "output_text": _TEXT,
        "text": _TEXT,
        "refusal": Record({"refusal": Field(Text(), required=True)}),
        "input_image": Record(
            {
                "image_url": Field(Text(pattern=IMAGE_URL)),
                "file_id": _FILE_ID,
                "detail": Field(Text(choices=("auto", "low", "high", "original"))),
                "prompt_cache_breakpoint": _ANY,
            }
        ),
        "input_video": Record(
            {"video_url": Field(Text(pattern=VIDEO_URL)), "file_id": _FILE_ID},
        ),
        "input_file": Record(
            {
                "file_data": Field(Text(pattern=FILE_CONTENT)),
                "file_url": Field(Text(pattern=WEB_URL)),
                "file_id": _FILE_ID,
                "filename": Field(Text()),
                "detail": _ANY,
                "prompt_cache_breakpoint": _ANY,
            }
        ),
        "input_audio": Record(
            {
                "input_audio": Field(
                    Record(
                        {
                            "data": Field(Text(pattern=BASE64), required=True),
                            "format": Field(Text(choices=AUDIO_FORMATS), required=True),
                        }
                    ),
                    required=True,
                )
            }
        ),
    },
)
_PARTS = Field(Either(Text(), Listed(_PART, 0, PARTS_MAX)), required=True)
_THOUGHTS = Field(Listed(Record({"type": _ANY, "text": Field(Text())}), 0, PARTS_MAX))
_ID = Field(Text(low=1, high=ID_CHARS_MAX), required=True)
_NAME = Field(Text(low=1, high=NAME_CHARS_MAX), required=True)
# What comes back of an answer, as clients dump it, and says nothing to an engine.
_RETURNED = {
    **dict.fromkeys(("id", "status", "caller", "async", "async_", "parsed_arguments"), _ANY),
    "namespace": Field(Text(high=NAME_CHARS_MAX)),
}

ITEM = Kinds(
    {
        "message": Record(
            {
                "role": Field(
                    Text(choices=("user", "assistant", "system", "developer")), required=True
                ),
                "content": _PARTS,
                "phase": _ANY,
                "id": _ANY,
                "status": _ANY,
            }
        ),
        "function_call": Record(
            {"call_id": _ID, "name": _NAME, "arguments": Field(Text(), required=True), **_RETURNED}
        ),
        "function_call_output": Record(
            {"call_id": _ID, "output": _PARTS, "name": _ANY, **_RETURNED}
        ),
        "custom_tool_call": Record(
            {"call_id": _ID, "name": _NAME, "input": Field(Text(), required=True), **_RETURNED}
        ),
        "custom_tool_call_output": Record({"call_id": _ID, "output": _PARTS, **_RETURNED}),
        "reasoning": Record(
            {
                **dict.fromkeys(("id", "status", "encrypted_content"), _ANY),
                **dict.fromkeys(("content", "summary"), _THOUGHTS),
            }
        ),
        COMPACTION: Record(
            {
                "encrypted_content": Field(Text(low=1), required=True),
                **dict.fromkeys(("id", "status", "created_by"), _ANY),
            }
        ),
        "item_reference": Record({"id": _ID}),
    },
    refused={},
    untyped={"role": "message", "id": "item_reference"},
)
INPUT = Either(Text(), Listed(ITEM, 1, ITEMS_MAX))


def messages_of(
    said: str | Sequence[Json], notes: Notes, *, earlier: int = 0
) -> tuple[Message, ...]:
    """Checked input to Messages; what is left out gets a note.

    The first ``earlier`` items are not of this body. Raises Problem UNSUPPORTED_FEATURE for
    media that is neither a user's nor a tool's, and what ``source_of`` raises.
    """
    if isinstance(said, str):
        return (Message(Role.USER, (TextPart(said),)),)
    made: list[Message] = []
    thoughts: list[str] = []
    for place, item in enumerate(said):
        if item.get("type") == "reasoning":
            thoughts += _thoughts(item, notes)
            continue
        message = _message(item, f"input[{place - earlier}]", notes)
        if message is None:
            continue
        if message.role is Role.ASSISTANT:
            message = replace(message, reasoning="\n".join(thoughts))
        elif thoughts:
            notes.replace(_THOUGHT, _UNANSWERED)
        thoughts.clear()
        joined = _joined(made[-1], message) if made else None
        if joined is None:
            made.append(message)
        else:
            made[-1] = joined
    if thoughts:
        notes.replace(_THOUGHT, _UNANSWERED)
    return tuple(made)


def joined_name(namespace: str, name: str) -> str:
    """The name that the model knows for a tool of a namespace."""
    return f"{namespace}{name}" if namespace.endswith("_") else f"{namespace}__{name}"


def _name(item: Json) -> str:
    namespace, name = item.get("namespace"), str(item["name"])
    return joined_name(namespace, name) if namespace else name


def _joined(last: Message, message: Message) -> Message | None:
    """One message of both where an assistant goes on after a call, or calls after it spoke."""
    if last.role is not Role.ASSISTANT or message.role is not Role.ASSISTANT:
        return None
    if not last.tool_calls and not message.tool_calls:
        return None
    return replace(
        last,
        parts=last.parts + message.parts,
        tool_calls=last.tool_calls + message.tool_calls,
        reasoning="\n".join(filter(None, (last.reasoning, message.reasoning))),
    )


def _thoughts(item: Json, notes: Notes) -> list[str]:
    """What an assistant thought before it spoke, as far as it stands there in clear."""
    parts = item.get("content") or item.get("summary") or ()
    found = [part["text"] for part in parts if part.get("text")]
    notes.add(_THOUGHT, "a hint; the engine may ignore it" if found else _SEALED)
    return found


def _message(item: Json, path: str, notes: Notes) -> Message | None:
    """None for what is left out."""
    if SKIPPED in item:
        notes.add(f"input[].type={item[SKIPPED]}", "skipped: such items are not served here")
        return None
    match item["type"]:
        case "message":
            if "phase" in item:
                notes.add("input[].phase", "ignored: engines take none")
            role = Role(item["role"])
            return Message(role, _parts(item["content"], f"{path}.content", role, notes))
        case "function_call":
            call = ToolCall(item["call_id"], _name(item), item["arguments"])
            return Message(Role.ASSISTANT, (), tool_calls=(call,))
        case "custom_tool_call":
            call = ToolCall(item["call_id"], _name(item), custom_arguments(item["input"]))
            return Message(Role.ASSISTANT, (), tool_calls=(call,))
        case "function_call_output" | "custom_tool_call_output":
            parts = _parts(item["output"], f"{path}.output", Role.TOOL, notes)
            return Message(Role.TOOL, parts, tool_call_id=item["call_id"])
    notes.add("input[].type=item_reference", _NOT_FOUND)
    return None


def _parts(content: str | Sequence[Json], path: str, role: Role, notes: Notes) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (TextPart(content),)
    return tuple(_part(part, f"{path}[{place}]", role, notes) for place, part in enumerate(content))


def _part(part: Json, path: str, role: Role, notes: Notes) -> Part:
    kind = part["type"]
    if kind == "refusal":
        notes.add("input[].content[].refusal", "translated to text")
        return TextPart(part["refusal"])
    if "prompt_cache_breakpoint" in part:
        notes.add("input[].content[].prompt_cache_breakpoint", "ignored: the engine decides")
    if "text" in part:
        return TextPart(part["text"])
    if role not in (Role.USER, Role.TOOL):
        unsupported(path, "media is served in messages of the user and outputs of tools")
    if part.get("detail", "auto") != "auto":
        notes.add("input[].content[].detail", "ignored: the engine decides")
    match kind:
        case "input_image":
            return ImagePart(*source_of(part, path, "image_url", "file_id"))
        case "input_video":
            return VideoPart(*source_of(part, path, "video_url", "file_id"))
        case "input_audio":
            return AudioPart(*source_of(part["input_audio"], f"{path}.input_audio", "data"))
    return DocumentPart(*source_of(part, path, "file_data", "file_id", "file_url"))
