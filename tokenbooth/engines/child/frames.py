"""What the gateway and an engine's child say to each other over their socket.

A frame is four bytes of big-endian length and one msgpack value. The child sends one ``Step`` for
each step of its engine, carrying the output of all runs.
"""

from typing import TypeAlias

import msgspec

HEADER_BYTES = 4
FRAME_BYTES_MAX = 64 * 1024 * 1024
Words: TypeAlias = tuple[tuple[str, str], ...]


class Load(msgspec.Struct, tag="load", array_like=True, frozen=True):
    """First frame of all: the engine's options as a JSON object."""

    options_json: bytes


class Begin(msgspec.Struct, tag="begin", array_like=True, frozen=True, kw_only=True):
    """Start run ``run``: ``input_ids`` (little-endian uint32), ``template_json`` or ``messages``.

    ``messages`` are (role, text) pairs. ``template_json`` is what the model's own template gets
    where these do not say it all: an object of ``messages``, ``tools`` and ``variables``. ``None``
    leaves the engine's default. ``images`` are base64; a NUL stands in the messages for each.
    """

    run: int
    input_ids: bytes | None
    messages: Words
    output_tokens_max: int | None
    choices: int
    temperature: float | None
    top_p: float | None
    presence_penalty: float
    frequency_penalty: float
    seed: int | None
    stop: tuple[str, ...]
    logit_bias: tuple[tuple[int, float], ...]
    logprobs: int | None
    grammar: str | None
    template_json: str = ""
    images: tuple[str, ...] = ()


class Cancel(msgspec.Struct, tag="cancel", array_like=True, frozen=True):
    run: int


class Count(msgspec.Struct, tag="count", array_like=True, frozen=True):
    """How many tokens do these messages make, template included? As with ``Begin``."""

    ask: int
    messages: Words
    template_json: str = ""


ToChild: TypeAlias = Load | Begin | Cancel | Count


class Logprob(msgspec.Struct, array_like=True, frozen=True):
    text: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...] = ()


class Piece(msgspec.Struct, array_like=True, frozen=True):
    """Output of one choice in one step; ``output_tokens`` are those whose text is out."""

    run: int
    choice: int
    text: str
    output_tokens: int
    logprobs: tuple[Logprob, ...] = ()
    finish: str | None = None


class Over(msgspec.Struct, array_like=True, frozen=True):
    """A run ended; the counts are the engine's own."""

    run: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int | None = None
    cancelled: bool = False


class Refused(msgspec.Struct, array_like=True, frozen=True):
    """A run, or a count of that number, failed; ``code`` is the name of a ``Code``."""

    run: int
    code: str
    public: str
    param: str | None = None
    input_tokens: int | None = None


class Counted(msgspec.Struct, array_like=True, frozen=True):
    """``in_thought``: the prompt ends inside of a thought that the model goes on with."""

    ask: int
    tokens: int
    in_thought: bool = False


class Ready(msgspec.Struct, tag="ready", array_like=True, frozen=True):
    """The engine is loaded; ``context_tokens`` is what one run may use, prompt and output."""

    context_tokens: int | None
    fingerprint: str


class Broken(msgspec.Struct, tag="broken", array_like=True, frozen=True):
    """The engine could not be loaded; the child exits. ``code`` is the name of a ``Code``."""

    code: str
    public: str


class Step(msgspec.Struct, tag="step", array_like=True, frozen=True):
    """Everything that one step brought; empty ones are the child's heartbeat."""

    pieces: tuple[Piece, ...] = ()
    over: tuple[Over, ...] = ()
    refused: tuple[Refused, ...] = ()
    counted: tuple[Counted, ...] = ()


FromChild: TypeAlias = Ready | Broken | Step

_encoder = msgspec.msgpack.Encoder()
to_child_decoder: "msgspec.msgpack.Decoder[ToChild]" = msgspec.msgpack.Decoder(ToChild)
from_child_decoder: "msgspec.msgpack.Decoder[FromChild]" = msgspec.msgpack.Decoder(FromChild)


class FrameTooLargeError(Exception):
    """The other end announced, or this end tried to send, a frame over the bound."""


def encode(message: ToChild | FromChild) -> bytes:
    """One frame with its length in front. Raises FrameTooLargeError."""
    body = _encoder.encode(message)
    if len(body) > FRAME_BYTES_MAX:
        raise FrameTooLargeError(f"a frame of {len(body)} bytes")
    return len(body).to_bytes(HEADER_BYTES, "big") + body


class FrameReader:
    """Cuts a byte stream into frame bodies; holds at most one unfinished frame."""

    def __init__(self, bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._held = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The bodies completed by ``chunk``. Raises FrameTooLargeError."""
        held = self._held
        held += chunk
        bodies = []
        start = 0
        while len(held) - start >= HEADER_BYTES:
            body_start = start + HEADER_BYTES
            length = int.from_bytes(held[start:body_start], "big")
            if length > self._bytes_max:
                raise FrameTooLargeError(f"a frame of {length} bytes")
            if len(held) - body_start < length:
                break
            start = body_start + length
            bodies.append(bytes(held[body_start:start]))
        del held[:start]
        return bodies
