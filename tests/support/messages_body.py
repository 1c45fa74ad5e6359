"""Bodies of Messages for the tests of that dialect."""

import json
from typing import Any

from tokenbooth.core.turn import Message
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from tokenbooth.protocols.dialect import Parsed

HI = {"role": "user", "content": "hi"}
LOOK = {"name": "look", "input_schema": {"type": "object"}}


def parse(**fields: Any) -> Parsed:
    """A body that says only what it must, and ``fields``."""
    body = {"model": "m", "max_tokens": 64, "messages": [HI], **fields}
    return ANTHROPIC_MESSAGES.parse(json.dumps(body).encode())


def notes(parsed: Parsed) -> dict[str, str]:
    return {note.param: note.what for note in parsed.notes}


def messages(*records: Any) -> tuple[Message, ...]:
    return parse(messages=list(records)).turn.messages


def said(role: str, *blocks: Any) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}
