"""A Sink over ASGI's ``send``: synchronous to write, drained by the front, bounded by pressure."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tokenbooth.core.ports import SinkListener
from tokenbooth.edge.options import EdgeOptions

Send = Callable[[dict[str, Any]], Awaitable[None]]


class AsgiSink:
    """What is written waits here until the peer takes it; ``pressure`` tells the writer to pause.

    A peer that takes nothing for ``stall_max_s`` is given up as gone.
    """

    def __init__(
        self, send: Send, request_id: str, options: EdgeOptions, *, head_only: bool
    ) -> None:
        self._send = send
        self._request_id = request_id
        self._options = options
        self._head_only = head_only
        self._listener: SinkListener | None = None
        self._head: dict[str, Any] | None = None
        self._chunks: deque[bytes] = deque()
        self._queued_bytes = 0
        self._pressed = False
        self._gone = False
        self._ended = False
        self._wake = asyncio.Event()

    @property
    def started(self) -> bool:
        return self._head is not None

    @property
    def ended(self) -> bool:
        return self._ended

    def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        assert self._head is None, "an answer is started once"
        # The second name is the one that the clients of Anthropic read.
        named = [(name, self._request_id) for name in ("x-request-id", "request-id")]
        pairs = [*headers, *named]
        self._head = {
            "type": "http.response.start",
            "status": status,
            "headers": [(k.encode("latin-1"), v.encode("latin-1", "replace")) for k, v in pairs],
        }
        self._wake.set()

    def write(self, chunk: bytes) -> None:
        if self._gone or self._head_only or not chunk:
            return
        self._chunks.append(chunk)
        self._queued_bytes += len(chunk)
        self._wake.set()
        if not self._pressed and self._queued_bytes > self._options.pressure_high_bytes:
            self._press(high=True)

    def end(self) -> None:
        self._ended = True
        self._wake.set()

    def listen(self, listener: SinkListener) -> None:
        self._listener = listener
        if self._gone:
            listener.gone()

    def gone(self) -> None:
        """The peer hung up: drop what it will never read, and tell the writer."""
        if self._gone:
            return
        self._gone = True
        self._chunks.clear()
        self._queued_bytes = 0
        self._wake.set()
        if self._listener is not None and not self._ended:
            self._listener.gone()

    async def drain(self, before_close: Callable[[], Awaitable[None]]) -> None:
        """Pass on what is written until ``end``; returns when the peer has it or is gone.

        ``before_close`` runs when the answer is out and the connection may still close.
        """
        await self._wake.wait()
        while self._head is None and not self._ended:
            self._wake.clear()
            await self._wake.wait()
        if self._head is None:
            return
        if self._ended and not self._head_only:
            length = str(self._queued_bytes).encode()
            self._head["headers"].append((b"content-length", length))
        await self._pass_on(self._head)
        while not (self._ended and not self._chunks):
            self._wake.clear()
            if self._chunks:
                await self._pass_on_chunks()
            elif not self._ended:
                await self._wake.wait()
        if not self._gone:
            await before_close()
        await self._pass_on({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pass_on_chunks(self) -> None:
        chunk = b"".join(self._chunks)
        self._chunks.clear()
        await self._pass_on({"type": "http.response.body", "body": chunk, "more_body": True})
        self._queued_bytes = sum(map(len, self._chunks))
        if self._pressed and self._queued_bytes < self._options.pressure_low_bytes:
            self._press(high=False)

    async def _pass_on(self, message: dict[str, Any]) -> None:
        if self._gone:
            return
        try:
            async with asyncio.timeout(self._options.stall_max_s):
                await self._send(message)
        except (TimeoutError, OSError):
            self.gone()

    def _press(self, *, high: bool) -> None:
        self._pressed = high
        if self._listener is not None:
            self._listener.pressure(high)
