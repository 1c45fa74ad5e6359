"""The messages of Messages, with its system prompt, and how each becomes Messages of a Turn."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tokenbooth.core.turn import (
    DocumentPart,
    ImagePart,
    MediaPart,
    Message,
    Part,
    Role,
    TextPart,
    ToolCall,
    VideoPart,
)
from tokenbooth.protocols.anthropic_messages.blocks import ASSISTANT, SYSTEM, USER
from tokenbooth.protocols.notes import Notes
from tokenbooth.protocols.shape import Field, Json, Record, Shape, tagged

MESSAGES_MAX = 100_000
BILLING_LINE = "x-anthropic-billing-header:"

MESSAGE: Shape = tagged(
    "role",
    {
        "user": Record({"content": Field(USER, required=True)}),
        "assistant": Record({"content": Field(ASSISTANT, required=True)}),
        "system": Record({"content": Field(SYSTEM, required=True)}),
    },
)

_AT = "messages[].content[]"
_ENGINE_CACHES = "ignored: the engine decides what is cached"
# What is said of a field that a block of the path may carry.
_UNUSED = {
    "cache_control": _ENGINE_CACHES,
    "citations": "ignored: answers cite nothing",
    "transformations": "ignored: the engine decides",
    "caller": "ignored: every tool is called directly",
    "is_error": "ignored: the content of the result says it",
}


def system_of(content: str | Sequence[Json], notes: Notes) -> tuple[Message, ...]:
    """The system prompt as the first message.

    A client's line about its own billing changes with each call and tells the model nothing; it
    is left out, because no prefix of the prompt could be cached behind it.
    """
    parts = _texts(content, "system[]", notes)
    kept = tuple(part for part in parts if not part.text.startswith(BILLING_LINE))
    if len(kept) < len(parts):
        notes.add("system", "translated: the client's billing line is left out")
    return (Message(Role.SYSTEM, kept),) if kept else ()


def messages_of(records: Iterable[Json], notes: Notes) -> tuple[Message, ...]:
    """Checked records to Messages; a message that says nothing is left out."""
    made: list[Message] = []
    for place, record in enumerate(records):
        path = f"messages[{place}].content"
        found = tuple(_BY_ROLE[record["role"]](record["content"], path, notes))
        if not found:
            notes.add("messages[]", "ignored: a message without content")
        made += found
    return tuple(made)


def say_unused(holder: Json, path: str, notes: Notes) -> None:
    """A note for each field of ``holder`` that is taken and has no effect here."""
    for name, what in _UNUSED.items():
        if holder.get(name) not in (None, False):
            notes.add(f"{path}.{name}", what)


def _system(content: str | Sequence[Json], path: str, notes: Notes) -> Iterator[Message]:
    parts = _texts(content, _AT, notes)
    if parts:
        yield Message(Role.SYSTEM, parts)


def _user(content: str | Sequence[Json], path: str, notes: Notes) -> Iterator[Message]:
    """Results of tools come first, as engines want them right behind the calls; the media that
    they hold follows in the message of the user, because a tool speaks in text."""
    if isinstance(content, str):
        yield Message(Role.USER, (TextPart(content),))
        return
    said: list[Part] = []
    for place, block in enumerate(content):
        say_unused(block, _AT, notes)
        at = f"{path}[{place}]"
        if block["type"] != "tool_result":
            said += _shown(block, at, notes)
            continue
        found = list(_result_parts(block.get("content", ""), f"{at}.content", notes))
        media = [part for part in found if isinstance(part, MediaPart)]
        if media:
            notes.add(f"{_AT}.content[].source", "translated to a message of the user")
            said += media
        texts = tuple(part for part in found if isinstance(part, TextPart))
        yield Message(Role.TOOL, texts or (TextPart(""),), tool_call_id=block["tool_use_id"])
    if said:
        yield Message(Role.USER, tuple(said))


def _assistant(content: str | Sequence[Json], path: str, notes: Notes) -> Iterator[Message]:
    if isinstance(content, str):
        yield Message(Role.ASSISTANT, (TextPart(content),))
        return
    texts: list[Part] = []
    calls: list[ToolCall] = []
    thoughts: list[str] = []
    for block in content:
        say_unused(block, _AT, notes)
        match block["type"]:
            case "text":
                texts.append(TextPart(block["text"]))
            case "tool_use":
                calls.append(ToolCall(block["id"], block["name"], block["input"]))
            case "thinking":
                notes.add(f"{_AT}.thinking", "a hint; the engine may ignore it")
                thoughts.append(block["thinking"])
            case "redacted_thinking":
                notes.add(f"{_AT}.redacted_thinking", "ignored: no engine can read it")
    if texts or calls or thoughts:
        reasoning = "\n".join(thoughts)
        yield Message(Role.ASSISTANT, tuple(texts), tool_calls=tuple(calls), reasoning=reasoning)


_BY_ROLE = {"system": _system, "user": _user, "assistant": _assistant}


def _result_parts(content: str | Sequence[Json], path: str, notes: Notes) -> Iterator[Part]:
    if isinstance(content, str):
        yield TextPart(content)
        return
    for place, block in enumerate(content):
        say_unused(block, f"{_AT}.content[]", notes)
        yield from _shown(block, f"{path}[{place}]", notes)


def _shown(block: dict[str, Any], path: str, notes: Notes) -> Iterator[Part]:
    """What the model sees of a block; nothing of one whose kind is unknown, which is noted."""
    match block["type"]:
        case "text":
            yield TextPart(block["text"])
        case "image":
            yield ImagePart(*_source(block["source"], f"{path}.source"))
        case "video":
            yield VideoPart(*_source(block["source"], f"{path}.source"))
        case "document":
            yield from _document(block, path, notes)
        case "search_result":
            notes.add(f"{_AT}.search_result", "translated to text")
            body = _joined(block["content"], notes)
            yield TextPart("\n".join([block["title"], block["source"], body]))


def _document(block: dict[str, Any], path: str, notes: Notes) -> Iterator[Part]:
    source = block["source"]
    head = [block[name] for name in ("title", "context") if name in block]
    if source["type"] not in ("text", "content"):
        if head:
            notes.add(f"{_AT}.document.title", "translated to text before the document")
            yield TextPart("\n".join([*head, ""]))
        yield DocumentPart(*_source(source, f"{path}.source"))
        return
    notes.add(f"{_AT}.document", "translated to text")
    plain = source["type"] == "text"
    body = source["data"] if plain else _joined(source["content"], notes)
    yield TextPart("\n".join([*head, body]))


def _source(source: Json, path: str) -> tuple[str, str]:
    """The ``url`` and ``param`` of a part."""
    match source["type"]:
        case "base64":
            return f"data:{source['media_type']};base64,{source['data']}", f"{path}.data"
        case "file":
            return f"file:{source['file_id']}", f"{path}.file_id"
    return source["url"], f"{path}.url"


def _joined(content: str | Sequence[Json], notes: Notes) -> str:
    return "\n".join(part.text for part in _texts(content, f"{_AT}.content[]", notes))


def _texts(content: str | Sequence[Json], path: str, notes: Notes) -> tuple[TextPart, ...]:
    """The text of blocks; a block of an unknown kind has none."""
    if isinstance(content, str):
        return (TextPart(content),)
    for block in content:
        say_unused(block, path, notes)
    return tuple(TextPart(block["text"]) for block in content if "text" in block)
