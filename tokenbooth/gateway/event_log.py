"""The sink of a background call: what it says is kept by number, for whoever reads it and when."""

import asyncio
from collections.abc import Sequence

from tokenbooth.core.ports import Sink, SinkListener
from tokenbooth.gateway.tee import AnswerSpace
from tokenbooth.protocols.openai_responses.standing import split

EVENTS_BYTES_MAX = 16 * 1024 * 1024
STREAM = (("content-type", "text/event-stream"),)
JSON_ANSWER = (("content-type", "application/json"),)
Headers = Sequence[tuple[str, str]]


class Nobody:
    """Listens to the sink of a caller whom the call does not wait for."""

    def gone(self) -> None:
        """The call goes on."""

    def pressure(self, high: bool) -> None:
        """The events are kept; nobody has to read them in time."""


class EventLog:
    """``events[n]`` has the sequence number n. The caller's own ``sink`` gets the first answer, or
    with ``streams`` every event as it comes."""

    def __init__(self, sink: Sink, space: AnswerSpace, *, streams: bool) -> None:
        self.events: list[bytes] = []
        self.over = False
        self.full = False
        self.status: int | None = None
        self.refusal = b""
        self.words: bytes | None = None
        self._sink = sink
        self._space = space
        self._streams = streams
        self._answered = False
        self._size_bytes = 0
        self._listener: SinkListener | None = None
        self._changed = asyncio.Event()
        sink.listen(Nobody())

    # What the call writes to.

    @property
    def started(self) -> bool:
        return self.status is not None

    def start(self, status: int, headers: Headers) -> None:
        self.status = status
        if self._heard:
            self._sink.start(status, headers)

    def write(self, chunk: bytes) -> None:
        if self.status != 200:
            self.refusal += chunk
            self._pass_on(chunk)
        elif self.words is not None:
            self.words += chunk
        else:
            self._tell(chunk)

    def end(self) -> None:
        if self.words is None:
            self._close()

    def listen(self, listener: SinkListener) -> None:
        self._listener = listener

    # What its keeper does.

    def answer(self, body: bytes, headers: Headers) -> None:
        """Tell a caller who does not listen that the call runs; nothing more reaches it."""
        if not self._streams:
            self._sink.start(200, (*JSON_ANSWER, *headers))
            self._sink.write(body)
            self._sink.end()
            self._answered = True

    def hold_back(self) -> None:
        """The last words wait in ``words`` until ``let_go``."""
        self.words = b""

    def let_go(self) -> None:
        words, self.words = self.words or b"", None
        if self.status is None:
            self.start(200, STREAM)
        for event in split(words):
            self._keep(event, last=True)
        if self.status == 200:
            self._pass_on(words)
        self._close()

    def cut(self) -> None:
        """End the call, as a caller does who hangs up."""
        if self._listener is not None:
            self._listener.gone()

    def close(self) -> None:
        """The call is over in every way; who still reads has all there is."""
        self._space.give_back(self._size_bytes)
        self._size_bytes = 0
        self._close()

    # What its readers ask.

    async def grown(self, number: int) -> None:
        """Wait until there is an event with that number, or there will be none."""
        while len(self.events) <= number and not self.over:
            self._changed.clear()
            await self._changed.wait()

    @property
    def _heard(self) -> bool:
        """Whether the caller's own connection waits for what is written."""
        return not self._answered

    def _tell(self, chunk: bytes) -> None:
        for event in split(chunk):
            self._keep(event)
        if not self.full:
            self._pass_on(chunk)

    def _keep(self, event: bytes, *, last: bool = False) -> None:
        if not last and not self._room(len(event)):
            self.full = True
            self.cut()
            return
        self.events.append(event)
        self._changed.set()

    def _room(self, size_bytes: int) -> bool:
        if self.full or self._size_bytes + size_bytes > EVENTS_BYTES_MAX:
            return False
        if not self._space.take(size_bytes):
            return False
        self._size_bytes += size_bytes
        return True

    def _pass_on(self, chunk: bytes) -> None:
        if self._heard:
            self._sink.write(chunk)

    def _close(self) -> None:
        if not self.over:
            self.over = True
            self._changed.set()
            if self._heard:
                self._sink.end()
