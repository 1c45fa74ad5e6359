"""Decisions about stored responses, and the form in which they are kept."""

import zlib
from collections.abc import Sequence

import msgspec

from tokenbooth.content.responses.values import Content
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

CHAIN_MAX = 1024


def packed(content: Content) -> bytes:
    """The content as bytes (MessagePack)."""
    return msgspec.msgpack.encode((content.items, content.response))


def unpacked(packed_content: bytes) -> Content:
    """What was packed. Raises ``msgspec.DecodeError`` for anything else."""
    items, response = msgspec.msgpack.decode(packed_content, type=tuple[bytes, bytes])
    return Content(items, response)


def packed_events(events: Sequence[bytes]) -> bytes:
    """Events as bytes; they say nearly the same again and again, so they are compressed."""
    return zlib.compress(msgspec.msgpack.encode(list(events)))


def unpacked_events(packed_events: bytes) -> tuple[bytes, ...]:
    """What was packed. Raises ``zlib.error`` or ``msgspec.DecodeError`` for anything else."""
    return msgspec.msgpack.decode(zlib.decompress(packed_events), type=tuple[bytes, ...])


def not_found(response_id: str, param: str | None = None) -> Problem:
    """What a caller is told of a response that it cannot have, whatever the reason."""
    return Problem(
        Code.RESPONSE_NOT_FOUND,
        f"No response {response_id[:200]!r} is stored for this project; it was never stored, or is"
        " deleted or expired.",
        param=param,
    )


def previous_not_found(previous_id: str, missing_id: str) -> Problem:
    """What a caller is told who wants to go on from what is not all there any more."""
    of = "" if missing_id == previous_id else f", which {previous_id[:200]!r} goes on from,"
    return Problem(
        Code.PREVIOUS_RESPONSE_NOT_FOUND,
        f"The response {missing_id[:200]!r}{of} is not stored for this project; it was never"
        " stored, or is deleted or expired. Send the items of the conversation instead.",
        param="previous_response_id",
    )


def chain_too_long(previous_id: str, bytes_max: int) -> Problem:
    """What a caller is told whose conversation is larger than what is read for one call."""
    return Problem(
        Code.INVALID_VALUE,
        f"The conversation that ends with {previous_id[:200]!r} has more than {CHAIN_MAX}"
        f" responses or {bytes_max} bytes. Send the items that still matter instead.",
        param="previous_response_id",
    )


def still_running(response_id: str, param: str | None) -> Problem:
    """What a caller is told who wants to go on from, or delete, what is not over yet."""
    return Problem(
        Code.STATE_CONFLICT,
        f"The response {response_id[:200]!r} is not over yet; wait for it, or cancel it.",
        param=param,
        retry_after_s=1,
    )
