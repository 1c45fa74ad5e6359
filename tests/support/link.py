"""A connection of the listening side without a socket: its bytes, its clock and its end."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tests.support.front import front
from tokenbooth.edge.front import Front
from tokenbooth.edge.http1.connections import Connections
from tokenbooth.edge.routes import Route, TalkRoute

NOON_US = 1_790_000_000_000_000


class ManualLoop:
    """Callbacks run on the real loop; its clock moves when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def time(self) -> float:
        return self.now_s

    def call_soon(self, act: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(act)

    def create_task(self, work: Coroutine[Any, Any, Any], **more: Any) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work, **more)


class Link:
    """A transport that keeps what is written; ``fate`` is open, closing or aborted.

    From ``taken`` on nothing leaves it: what is written counts as unsent.
    """

    def __init__(self) -> None:
        self.written, self.fate, self.reading = b"", "open", True
        self.pieces: list[bytes] = []
        self.peer: object = ("127.0.0.1", 5)
        self.high_bytes = self.unsent_bytes = 0
        self.blocked = self.half_closed = False
        self.protocol: Any = None

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        assert not self.half_closed, "ended twice"
        self.half_closed = True

    def write(self, piece: bytes) -> None:
        assert self.fate == "open", "written after the end"
        assert not self.half_closed, "written after its half of the end"
        self.written += piece
        self.pieces.append(piece)
        if self.blocked:
            under = self.unsent_bytes <= self.high_bytes
            self.unsent_bytes += len(piece)
            if under and self.unsent_bytes > self.high_bytes:
                self.protocol.pause_writing()

    def take(self, size_bytes: int, *, low: bool = False) -> None:
        """The peer takes so much; ``low`` when that is enough to go on."""
        self.unsent_bytes -= size_bytes
        if low:
            self.protocol.resume_writing()

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        assert high > low
        self.high_bytes = high

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def close(self) -> None:
        self.fate = "closing" if self.fate == "open" else self.fate

    def abort(self) -> None:
        self.fate = "aborted"

    def is_closing(self) -> bool:
        return self.fate != "open"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.peer if name == "peername" else default

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "resumed twice"
        self.reading = True


class Line:
    """One accepted connection in front of ``routes``; made inside a running loop."""

    def __init__(
        self,
        *routes: Route,
        among: Connections | None = None,
        talks: Sequence[TalkRoute] = (),
        **options: int,
    ) -> None:
        connections_max = options.pop("connections_max", 8)
        self.loop = ManualLoop()
        self.front: Front = among.front if among else front(*routes, talks=talks, **options)
        self.all = among or Connections(
            self.front,
            self.loop,  # type: ignore[arg-type]
            connections_max=connections_max,
            now_us=lambda: NOON_US,
        )
        self.link = Link()
        self.connection = self.link.protocol = self.all.accepted()
        self.connection.connection_made(self.link)  # type: ignore[arg-type]

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.link.protocol.data_received(piece)

    def later(self, seconds: float) -> None:
        """The clock moves on, and everything that is late is judged."""
        self.loop.now_s += seconds
        self.all.tick()

    def lose(self) -> None:
        self.link.protocol.connection_lost(None)

    async def answered(self) -> bytes:
        """What was written once every call has ended."""
        await asyncio.sleep(0)
        await self.front.idle()
        return self.link.written
