"""A connection after its upgrade: a Talk with a peer.

What is held of the peer is bounded, its silence too, and a peer that takes nothing is cut off.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from tokenbooth.core.ports import SinkListener
from tokenbooth.core.problem import Problem
from tokenbooth.edge.front import Asked, Front
from tokenbooth.edge.http1.frames import Frames
from tokenbooth.edge.http1.handshake import acceptance, rejection
from tokenbooth.edge.http1.patience import NEVER_S, Patience, Wait
from tokenbooth.edge.options import EdgeOptions
from tokenbooth.edge.routes import TalkRoute
from tokenbooth.edge.space import SpaceShare
from tokenbooth.protocols.dialect import Answer

PING_EVERY_S = 30
SILENT_MAX_S = 120
CLOSE_WAIT_S = 5
TRY_AGAIN = 1013  # RFC 6455 7.4.1 and its registry


class Home(Protocol):
    """What all connections of a server share."""

    front: Front
    options: EdgeOptions
    date_line: str

    def discard(self, connection: "WebSocket") -> None:
        """It is lost."""


class WebSocket(asyncio.Protocol):
    """``_held_bytes`` are those of texts that are not forgotten yet."""

    __slots__ = (
        "_asked", "_connections", "_deaf", "_early", "_frames", "_gone", "_heard", "_heard_s",
        "_held_bytes", "_listener", "_loop", "_patience", "_ping_s", "_reading", "_route",
        "_share", "_transport", "_wait", "opened",
    )  # fmt: skip

    def __init__(
        self,
        connections: Home,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        asked: Asked,
        route: TalkRoute,
    ) -> None:
        self._connections, self._loop, self._transport = connections, loop, transport
        self._asked, self._route = asked, route
        self._frames = Frames(route.text_bytes_max)
        self._early = b""
        self._heard: deque[bytes] = deque()
        self._wait: asyncio.Future[None] | None = None
        self._listener: SinkListener | None = None
        self._share = SpaceShare(connections.front.space)
        self._patience = Patience(loop.time, connections.options.stall_max_s)
        self._held_bytes = 0
        self._heard_s = self._ping_s = NEVER_S
        self._deaf = self._gone = self.opened = False
        self._reading = True

    def begin(self, early: bytes) -> None:
        """Take the transport over; ``early`` came behind the head, and is read when opened."""
        self._early = early
        self._transport.set_protocol(self)
        self._read(wanted=False)
        self._connections.front.begin_talk(self._asked, self._route, self)

    # What the transport tells.

    def data_received(self, piece: bytes) -> None:
        if not self.opened:
            self._early += piece
            return
        self._heard_s = self._loop.time()
        texts = self._frames.fed(piece)
        if texts and not self._deaf:
            self._heard.extend(texts)
            self._held_bytes += sum(map(len, texts))
            self._read(wanted=False)
            self._wake()
        self._weigh()
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._end()

    def pause_writing(self) -> None:
        self._patience.press(self._transport.get_write_buffer_size())
        self._press(high=True)

    def resume_writing(self) -> None:
        self._patience.ease()
        self._press(high=False)

    # What the talk asks for.

    def open(self, headers: Sequence[tuple[str, str]]) -> None:
        """Raises MALFORMED_HTTP."""
        accepted = acceptance(self._asked, headers, self._connections.date_line)
        self.opened = True
        if not self._transport.is_closing():
            self._transport.write(accepted)
            self._ping_s = self._loop.time() + PING_EVERY_S
            self.data_received(self._early)

    async def hear(self) -> bytes | None:
        while not self._heard:
            if self._deaf or self._gone:
                return None
            self._read(wanted=True)
            self._wait = asyncio.get_running_loop().create_future()
            try:
                await self._wait
            finally:
                self._wait = None
        return self._heard.popleft()

    def forget(self, text: bytes) -> None:
        self._held_bytes -= len(text)
        self._weigh()

    def say(self, text: bytes) -> None:
        piece = self._frames.text(text)
        if piece and not self._transport.is_closing():
            self._transport.write(piece)

    def close(self, code: int, reason: str) -> None:
        self._frames.close(code, reason)
        self._settle()

    def listen(self, listener: SinkListener) -> None:
        self._listener = listener
        if self._gone:
            listener.gone()

    def refuse(self, answer: Answer) -> None:
        """The peer gets an answer instead, after which nothing is read."""
        if not self._transport.is_closing():
            self._transport.write(rejection(self._asked, answer, self._connections.date_line))
            self._finish()

    # What the clock and the server tell.

    def tick(self, now_s: float) -> None:
        stalled = self._patience.stalled(now_s, self._transport.get_write_buffer_size)
        if stalled or self._patience.over(now_s):
            self.abort()
        elif now_s >= self._ping_s and not self._patience.pressed:
            # Who is not read cannot answer.
            if self._reading and now_s - self._heard_s >= SILENT_MAX_S:
                self.abort()
            else:
                self._ping_s = now_s + PING_EVERY_S
                self._frames.ping()
                self._flush()

    def drain(self) -> None:
        """Nothing more is heard; what was heard comes to its end."""
        self._deaf = True
        self._wake()

    def abort(self) -> None:
        self._transport.abort()

    # How it goes on.

    def _settle(self) -> None:
        """Send what there is, and see to the end if this is one."""
        last = self._flush()
        if self._frames.over:
            self._end()
        if self._frames.open or self._transport.is_closing():
            return
        if last and not self._frames.answered and self._transport.can_write_eof():
            # Closing on unread bytes would reset the connection, and hide the reason.
            self._transport.write_eof()
        elif last:
            self._finish()
        if self._patience.wait is not Wait.LAST:
            pressed, options = self._patience.pressed, self._connections.options
            self._patience.begin(Wait.LAST, options.stall_max_s if pressed else CLOSE_WAIT_S)
        self._read(wanted=True)

    def _flush(self) -> bool:
        """Whether the peer is to get nothing after it."""
        piece, last = self._frames.unsent()
        if piece and not self._transport.is_closing():
            self._transport.write(piece)
        return last

    def _finish(self) -> None:
        """Close; what is still unsent gets as long as a stalled reader is borne."""
        self._transport.close()
        self._patience.begin(Wait.LAST, self._connections.options.stall_max_s)

    def _end(self) -> None:
        """The peer says nothing more, and hears nothing more."""
        if not self._gone:
            self._gone = True
            self._held_bytes -= sum(map(len, self._heard))
            self._heard.clear()
            self._weigh()
            if self._listener is not None:
                self._listener.gone()
            self._wake()

    def _wake(self) -> None:
        if self._wait is not None and not self._wait.done():
            self._wait.set_result(None)

    def _read(self, *, wanted: bool) -> None:
        """Read on, or leave what comes in the kernel."""
        if wanted != self._reading and not self._transport.is_closing():
            self._reading = wanted
            turn = self._transport.resume_reading if wanted else self._transport.pause_reading
            turn()

    def _press(self, *, high: bool) -> None:
        if self._listener is not None and not self._gone:
            self._listener.pressure(high)

    def _weigh(self) -> None:
        """Keep the account of what is held of this peer; end it where there is no room."""
        try:
            self._share.hold(self._held_bytes + (0 if self._gone else self._frames.held_bytes))
        except Problem as problem:
            self._frames.fail(TRY_AGAIN, problem.public)
