"""Finds an operator's phrases in what a turn says."""

from collections.abc import Iterator

from tokenbooth.core.turn import Message, Turn
from tokenbooth.safety.screening.values import Policy, Verdict, normalised

ALLOWED = Verdict(allowed=True)
BLOCKED = Verdict(
    allowed=False, reason="The content holds a phrase that this server's operator does not allow."
)


def screen(policy: Policy, turn: Turn) -> Verdict:
    """Blocked when a phrase stands anywhere in a text of the turn, inside a word too."""
    if not policy.blocked_phrases:
        return ALLOWED
    for text in _texts(turn):
        plain = normalised(text)
        if any(phrase in plain for phrase in policy.blocked_phrases):
            return BLOCKED
    return ALLOWED


def _texts(turn: Turn) -> Iterator[str]:
    """Every text that can reach the model. Images are not read."""
    for message in turn.messages:
        yield from _message_texts(message)
    for tool in turn.tools:
        yield from (tool.name, tool.description, tool.schema_json)
    yield turn.suffix or ""
    yield turn.output_format.name or ""
    yield turn.output_format.schema_json or ""


def _message_texts(message: Message) -> Iterator[str]:
    yield message.text
    yield message.reasoning
    yield message.name or ""
    for call in message.tool_calls:
        yield from (call.name, call.arguments)
