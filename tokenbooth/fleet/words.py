"""What a worker and the control process say to each other.

A frame is four bytes of big-endian length and one msgpack value. Each end answers a question by its
number; what has number 0 was not asked for.
"""

from typing import TypeAlias

import msgspec

from tokenbooth.admission.shares.service import Grant, Limited

HEADER_BYTES = 4
FRAME_BYTES_MAX = 16 * 1024 * 1024


class Hello(msgspec.Struct, tag="hello", array_like=True, frozen=True):
    """First of all: who it is, and limit and part of everything it has some of."""

    worker: str
    held: tuple[tuple[Limited, int, int], ...]


class Ask(msgspec.Struct, tag="ask", array_like=True, frozen=True):
    number: int
    limited: Limited
    limit: int
    need: int


class Give(msgspec.Struct, tag="give", array_like=True, frozen=True):
    limited: Limited
    amount: int


class Spared(msgspec.Struct, tag="spared", array_like=True, frozen=True):
    """The answer to ``Recall``; ``wait_s`` as in ``Answer``."""

    number: int
    limited: Limited
    amount: int
    wait_s: int


class Told(msgspec.Struct, tag="told", array_like=True, frozen=True):
    """The answer to ``Tell`` and ``Flush``."""

    number: int
    text: bytes


class Granted(msgspec.Struct, tag="granted", array_like=True, frozen=True):
    number: int
    limited: Limited
    limit: int
    grant: Grant
    wait_s: int = 0


class Recall(msgspec.Struct, tag="recall", array_like=True, frozen=True):
    number: int
    limited: Limited
    need: int
    urgent: bool


class Tell(msgspec.Struct, tag="tell", array_like=True, frozen=True):
    """What are your metrics?"""

    number: int


class Flush(msgspec.Struct, tag="flush", array_like=True, frozen=True):
    """Answer when the ledger knows what you have charged."""

    number: int


ToControl: TypeAlias = Hello | Ask | Give | Spared | Told
ToWorker: TypeAlias = Granted | Recall | Tell | Flush

_encoder = msgspec.msgpack.Encoder()
control_decoder: "msgspec.msgpack.Decoder[ToControl]" = msgspec.msgpack.Decoder(ToControl)
worker_decoder: "msgspec.msgpack.Decoder[ToWorker]" = msgspec.msgpack.Decoder(ToWorker)


def encode(message: ToControl | ToWorker) -> bytes:
    """One frame with its length in front."""
    body = _encoder.encode(message)
    return len(body).to_bytes(HEADER_BYTES, "big") + body
