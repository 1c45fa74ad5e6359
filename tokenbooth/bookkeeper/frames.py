"""What a gateway and its bookkeeper say to each other: one question, one answer, in turn.

A frame is four bytes of big-endian length and one msgpack value.
"""

import asyncio
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.money.leases.service import Answer, LeaseLine, LevelKey, RoundAsk, RoundDone

HEADER_BYTES = 4
FRAME_BYTES_MAX = 64 * 1024 * 1024


class Round(msgspec.Struct, tag="round", array_like=True, frozen=True):
    """Book this."""

    ask: RoundAsk


class Look(msgspec.Struct, tag="look", array_like=True, frozen=True):
    """Which recalls has this replica not answered?"""

    replica_id: str


Question: TypeAlias = Round | Look


class Done(msgspec.Struct, tag="done", array_like=True, frozen=True):
    """A ``RoundDone``; ``wanted`` in pairs, because a level is no key of a map on the wire."""

    number: int
    lines: Mapping[str, LeaseLine]
    wanted: tuple[tuple[LevelKey, str], ...]
    answers: tuple[Answer, ...]


class Recalls(msgspec.Struct, tag="recalls", array_like=True, frozen=True):
    by_limit: dict[str, int]


class Refused(msgspec.Struct, tag="refused", array_like=True, frozen=True):
    """``code`` is the name of a ``Code``; ``None`` where the database itself refused."""

    code: str | None
    public: str
    detail: str = ""
    retry_after_s: int | None = None


Reply: TypeAlias = Done | Recalls | Refused

_encoder = msgspec.msgpack.Encoder()
question_decoder: "msgspec.msgpack.Decoder[Question]" = msgspec.msgpack.Decoder(Question)
reply_decoder: "msgspec.msgpack.Decoder[Reply]" = msgspec.msgpack.Decoder(Reply)


class RoundRefusedError(Exception):
    """The database refused a round as it stands."""


def encode(message: Question | Reply) -> bytes:
    """One frame with its length in front."""
    body = _encoder.encode(message)
    assert len(body) <= FRAME_BYTES_MAX, "a round is bounded far below a frame"
    return len(body).to_bytes(HEADER_BYTES, "big") + body


async def read_body(reader: asyncio.StreamReader) -> bytes:
    """The next frame's body. Raises EOFError when the other end is gone."""
    size_bytes = int.from_bytes(await reader.readexactly(HEADER_BYTES), "big")
    if size_bytes > FRAME_BYTES_MAX:
        raise EOFError(f"a frame of {size_bytes} bytes")
    return await reader.readexactly(size_bytes)


def done_of(done: RoundDone) -> Done:
    return Done(done.number, done.lines, tuple(done.wanted.items()), done.answers)


def round_done(done: Done) -> RoundDone:
    return RoundDone(done.number, done.lines, dict(done.wanted), done.answers)


def refused_of(error: Exception) -> Refused:
    if isinstance(error, Problem):
        return Refused(error.code.name, error.public, error.detail, error.retry_after_s)
    return Refused(None, repr(error))


def error_of(refused: Refused) -> Exception:
    """What the same question would have raised in the gateway itself."""
    if refused.code is None:
        return RoundRefusedError(refused.public)
    return Problem(
        Code[refused.code],
        refused.public,
        detail=refused.detail,
        retry_after_s=refused.retry_after_s,
    )
