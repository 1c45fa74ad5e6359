"""The scripted engine's own tokenizer: a word, a sign or a blank is one token.

Every token holds at least one character, so there are never more tokens than UTF-8 bytes.
"""

import re

from tokenbooth.core.turn import MediaPart, Message, Turn

TOKENS_PER_MESSAGE = 4
TOKENS_PER_TURN = 3
# Of a part that is not text.
TOKENS_PER_PART = 85
_TOKEN = re.compile(r" ?\w+| ?[^\w\s]|\s")


def tokens_of(text: str) -> list[str]:
    """The tokens of ``text``; joined they give ``text`` again."""
    return _TOKEN.findall(text)


def input_tokens_of(turn: Turn) -> int:
    """Exactly the input tokens that a run of ``turn`` reports."""
    if turn.raw:
        return sum(_length(message.text) for message in turn.messages)
    total = TOKENS_PER_TURN + sum(map(_message_tokens, turn.messages))
    for tool in turn.tools:
        total += TOKENS_PER_MESSAGE
        total += sum(map(_length, (tool.name, tool.description, tool.schema_json)))
    return total + _length(turn.output_format.schema_json or "")


def _message_tokens(message: Message) -> int:
    texts = [message.text, message.name or "", message.tool_call_id or ""]
    for call in message.tool_calls:
        texts += [call.id, call.name, call.arguments]
    media = sum(isinstance(part, MediaPart) for part in message.parts)
    return TOKENS_PER_MESSAGE + TOKENS_PER_PART * media + sum(map(_length, texts))


def _length(text: str) -> int:
    return len(tokens_of(text))
