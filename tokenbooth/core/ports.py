"""Ports that the outside fills in: clock, ids, randomness, and the two ends of a call."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from tokenbooth.core.noun import noun
from tokenbooth.core.op import Op

T = TypeVar("T")


class Clock(Protocol):
    def now_us(self) -> int:
        """Unix time in microseconds."""

    def monotonic_us(self) -> int:
        """A clock that never runs backwards, in microseconds."""


class Ids(Protocol):
    def new(self, prefix: str) -> str:
        """A fresh, time-ordered id such as ``req_…``: prefix, underscore, 32 hex digits."""


class Randomness(Protocol):
    def token_bytes(self, count: int) -> bytes:
        """Bytes fit for secrets."""


class Tx(Protocol):
    """An open transaction; only ``sql.py`` files call it, everybody else hands it on."""

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Run one SQLAlchemy Core statement; returns its cursor result."""


class Store(Protocol):
    """The database; verbs are plain functions, run away from the event loop.

    A verb may be run again after a serialization conflict, so it must act on its ``Tx`` alone.
    A raised exception rolls everything back and reaches the caller. Raises Problem
    LEDGER_UNAVAILABLE when the database cannot be reached or its queue is full.
    """

    async def read(self, verb: Callable[[Tx], T]) -> T: ...

    async def write(self, verb: Callable[[Tx], T]) -> T: ...


@noun
class CallHead:
    """The first lines of a call. ``headers`` has lower-case names; a repeated header is joined
    with ``", "``. ``query`` keeps the last value of a repeated name, percent-decoded."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    path_values: Mapping[str, str]


class Body(Protocol):
    async def read(self, bytes_max: int) -> bytes:
        """The whole body.

        Raises Problem BODY_TOO_LARGE as soon as more than ``bytes_max`` is announced or seen, and
        BODY_TIMEOUT when it does not arrive in time.
        """


class SinkListener(Protocol):
    """What the writer of a sink wants to hear; each is called on the event loop."""

    def gone(self) -> None:
        """The reader hung up; nothing written from now on arrives."""

    def pressure(self, high: bool) -> None:
        """The reader is slower than the writer (``True``), or has caught up (``False``)."""


class Sink(Protocol):
    """The way back to the caller; all methods are synchronous and never block.

    Order: ``start`` once, ``write`` any number of times, ``end`` once. Calls after ``gone`` are
    allowed and do nothing.
    """

    @property
    def started(self) -> bool: ...

    def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None: ...

    def write(self, chunk: bytes) -> None: ...

    def end(self) -> None: ...

    def listen(self, listener: SinkListener) -> None:
        """Replace the listener; if the reader is already gone, ``gone`` is called at once."""


class Talk(Protocol):
    """A connection on which both ends say texts when they like; no method but ``hear`` waits.

    Order: ``open`` once, ``hear`` and ``say`` any number of times, ``close`` once. A Problem raised
    before ``open`` refuses the connection. Calls after the end of either side do nothing.
    """

    def open(self, headers: Sequence[tuple[str, str]]) -> None: ...

    async def hear(self) -> bytes | None:
        """The next text, in UTF-8; ``None`` when no more will come: the other end is gone, or this
        server stops and wants what runs to come to its end. May be cancelled and asked again."""

    def forget(self, text: bytes) -> None:
        """A text that was heard is needed no more, and counts no more as held in memory."""

    def say(self, text: bytes) -> None: ...

    def close(self, code: int, reason: str) -> None:
        """End it with a code of RFC 6455 7.4; a ``reason`` has at most 123 bytes."""

    def listen(self, listener: SinkListener) -> None:
        """As that of a sink."""


class Calls(Protocol):
    """Begins calls that did not come as calls."""

    def begin(
        self,
        answer: Callable[[Op, CallHead, Body, Sink], Awaitable[None]],
        head: CallHead,
        raw: bytes,
        sink: Sink,
    ) -> Awaitable[None]:
        """As if it had come alone: with a request id of its own, counted, refused by a server that
        stops, and cancelled by nobody. It runs without being awaited, and is over when the sink has
        ended."""
