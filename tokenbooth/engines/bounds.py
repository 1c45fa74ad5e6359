"""The documented upper bound of tokens, for engines that cannot count before dispatch.

A byte-level tokenizer never makes more tokens than there are UTF-8 bytes; a chat template adds a
role line and separators to each message and one opening for the answer.
"""

from tokenbooth.core.delta import Delta
from tokenbooth.core.turn import AudioPart, ImagePart, MediaPart, Message, Turn

TEMPLATE_TOKENS_PER_MESSAGE = 16
TEMPLATE_TOKENS_PER_TURN = 64
# Models that cut an image into tiles, or scale it to a size of their own, make at most so many of
# it; models that keep its size make one of each square with sides of so many pixels, or fewer.
IMAGE_TOKENS_MIN = 4352
IMAGE_SQUARE = 28
AUDIO_TOKENS_PER_S = 50
AUDIO_TOKENS_MIN = 64
# A token that opens a text, and those that tell a suffix from what stands before it.
RAW_TOKENS_PER_TEXT = 4


def text_tokens_max(text: str) -> int:
    """Never fewer than the tokens of ``text`` under a byte-level tokenizer."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def delta_tokens_max(delta: Delta) -> int:
    """Never fewer than the output tokens that ``delta`` stands for."""
    tokens = text_tokens_max(delta.text)
    if delta.reasoning:
        tokens += text_tokens_max(delta.reasoning)
    if delta.refusal:
        tokens += text_tokens_max(delta.refusal)
    if delta.tool_call is not None:
        tokens += text_tokens_max(delta.tool_call.arguments)
    return tokens


def turn_tokens_max(turn: Turn) -> int:
    """Never fewer than the input tokens of ``turn`` under a byte-level tokenizer."""
    if turn.raw:
        texts = [message.text for message in turn.messages] + [turn.suffix or ""]
        return RAW_TOKENS_PER_TEXT * len(texts) + sum(map(text_tokens_max, texts))
    total = TEMPLATE_TOKENS_PER_TURN
    for message in turn.messages:
        total += _message_tokens_max(message)
    for tool in turn.tools:
        total += TEMPLATE_TOKENS_PER_MESSAGE
        total += sum(map(text_tokens_max, (tool.name, tool.description, tool.schema_json)))
    return total + text_tokens_max(turn.output_format.schema_json or "")


def media_tokens_max(part: MediaPart) -> int:
    """The documented bound of a part that was looked at."""
    match part:
        case AudioPart():
            return AUDIO_TOKENS_MIN + AUDIO_TOKENS_PER_S * part.duration_s
        case ImagePart():
            columns, rows = -(-part.width // IMAGE_SQUARE), -(-part.height // IMAGE_SQUARE)
            return max(IMAGE_TOKENS_MIN, (columns + 1) * rows)
    return IMAGE_TOKENS_MIN


def _message_tokens_max(message: Message) -> int:
    total = TEMPLATE_TOKENS_PER_MESSAGE
    for part in message.parts:
        if isinstance(part, MediaPart):
            total += media_tokens_max(part)
        else:
            total += text_tokens_max(part.text)
    for text in (message.reasoning, message.name, message.tool_call_id):
        if text:
            total += text_tokens_max(text)
    for call in message.tool_calls:
        total += TEMPLATE_TOKENS_PER_MESSAGE
        total += sum(map(text_tokens_max, (call.id, call.name, call.arguments)))
    return total
