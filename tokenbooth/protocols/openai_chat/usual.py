"""The body that nearly every call sends, read by its type at once.

``usual`` knows the plain fields and messages of plain text. What it takes, the table of all
parameters would read just so; of anything else, wrong or only rarer, it says nothing.
"""

import re
from typing import Annotated, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from tokenbooth.core.turn import Message, Role, Sampling, TextPart, Turn
from tokenbooth.protocols.dialect import Parsed
from tokenbooth.protocols.openai_chat.messages import MESSAGES_MAX
from tokenbooth.protocols.openai_chat.parameters import (
    END_CUSTOMER_CHARS_MAX,
    MODEL_CHARS_MAX,
    OUTPUT_TOKENS_MAX,
)
from tokenbooth.protocols.strict_json import NUMBER_CHARS_MAX, is_suspect

T = TypeVar("T")

_OutputLimit: TypeAlias = Annotated[int, Meta(ge=1, le=OUTPUT_TOKENS_MAX)] | UnsetType


class _Said(Struct, forbid_unknown_fields=True):
    role: Literal["system", "developer", "user", "assistant"]
    content: str


class _StreamOptions(Struct, forbid_unknown_fields=True):
    include_usage: bool


class _Body(Struct, forbid_unknown_fields=True):
    model: Annotated[str, Meta(min_length=1, max_length=MODEL_CHARS_MAX)]
    messages: Annotated[list[_Said], Meta(min_length=1, max_length=MESSAGES_MAX)]
    stream: bool | UnsetType = UNSET
    stream_options: _StreamOptions | UnsetType = UNSET
    max_completion_tokens: _OutputLimit = UNSET
    max_tokens: _OutputLimit = UNSET
    temperature: Annotated[float, Meta(ge=0, le=2)] | UnsetType = UNSET
    top_p: Annotated[float, Meta(gt=0, le=1)] | UnsetType = UNSET
    user: Annotated[str, Meta(max_length=END_CUSTOMER_CHARS_MAX)] | UnsetType = UNSET


_BODIES = msgspec.json.Decoder(_Body)
_ROLES = {role.value: role for role in Role}
_NUMBERS = ("max_completion_tokens", "max_tokens", "temperature", "top_p")
_OTHERS = ("stream", "user")
# A key that is not followed by its colon at once cannot be counted.
_SPACED_KEY = re.compile(rb'"[ \t\r\n]+:')


def usual(raw: bytes) -> Parsed | None:
    """``None`` for whatever is not certain here."""
    try:
        body = _BODIES.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    limit = body.max_tokens if body.max_completion_tokens is UNSET else body.max_completion_tokens
    twice = body.max_completion_tokens is not UNSET and body.max_tokens is not UNSET
    streams = body.stream is True
    noted = twice or (body.stream_options is not UNSET and not streams)
    if noted or not _keys_differ(body, raw) or is_suspect(raw):
        return None
    turn = Turn(
        model=body.model,
        messages=tuple([Message(_ROLES[m.role], (TextPart(m.content),)) for m in body.messages]),
        output_tokens_max=_known(limit),
        sampling=Sampling(temperature=_known(body.temperature), top_p=_known(body.top_p)),
        end_customer=_known(body.user) or None,
    )
    include_usage = body.stream_options is not UNSET and body.stream_options.include_usage
    return Parsed(turn, streams, include_usage)


def _known(value: T | UnsetType) -> T | None:
    return None if value is UNSET else value


def _keys_differ(body: _Body, raw: bytes) -> bool:
    """Whether no key stands twice, and no number is longer than one may be.

    The type takes the last of two equal keys. There are as many keys in the text as colons behind a
    quotation mark that is not itself quoted; a text that begins with a colon only makes it more.
    """
    keys = 2 + 2 * len(body.messages)
    for name in _OTHERS:
        keys += getattr(body, name) is not UNSET
    keys += 0 if body.stream_options is UNSET else 2
    for name in _NUMBERS:
        if getattr(body, name) is not UNSET:
            keys += 1
            if not _is_short(raw, name):
                return False
    return keys == raw.count(b'":') - raw.count(b'\\":') and not _SPACED_KEY.search(raw)


def _is_short(raw: bytes, name: str) -> bool:
    """Whether the number under this key, of which nothing else can look like it, ends soon."""
    begin = raw.rfind(b'"%s":' % name.encode()) + len(name) + 3
    near = raw[begin : begin + NUMBER_CHARS_MAX]
    return b"," in near or b"}" in near
