"""A WebSocket without a network: a peer that speaks frames by the library's own client."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from tests.support.link import Line
from tokenbooth.edge.routes import Endpoint, Route, TalkRoute
from tokenbooth.protocols.problems import openai_refusal

PATH = "/talk"
TEXT_BYTES_MAX = 100_000


class Talker:
    """An endpoint that opens, and keeps what it hears."""

    def __init__(self, *, forgets: bool = True) -> None:
        self.forgets = forgets
        self.talk: Any = None
        self.calls: Any = None
        self.head: Any = None
        self.texts: list[bytes] = []
        self.told: list[object] = []
        self.hears, self.over = asyncio.Event(), asyncio.Event()
        self.hears.set()

    async def __call__(self, op: Any, head: Any, talk: Any, calls: Any) -> None:
        self.head, self.talk, self.calls = head, talk, calls
        talk.open((("x-more", "1"),))
        talk.listen(self)
        await self.hears.wait()
        while (text := await talk.hear()) is not None:
            self.texts.append(text)
            if self.forgets:
                talk.forget(text)
            await self.hears.wait()
        self.over.set()

    def gone(self) -> None:
        self.told.append("gone")

    def pressure(self, high: bool) -> None:
        self.told.append(high)


class Peer:
    """The other end of one line, at ``PATH``; what it gets is read by its ``read``."""

    def __init__(
        self, endpoint: Callable[..., Any] | None = None, *routes: Route, **options: int
    ) -> None:
        self.endpoint: Any = endpoint or Talker()
        route = TalkRoute(PATH, self.endpoint, openai_refusal, TEXT_BYTES_MAX)
        self.line = Line(*routes, talks=[route], **options)
        self.link, self.front = self.line.link, self.line.front
        self.client = ClientProtocol(parse_uri(f"ws://x{PATH}"))
        self.answer: Response | None = None
        self.frames: list[Frame] = []
        self._read_bytes = 0

    def asked(self, **headers: str) -> bytes:
        """The handshake, with more headers."""
        request = self.client.connect()
        for name, value in headers.items():
            request.headers[name.replace("_", "-")] = value
        self.client.send_request(request)
        return self._unsent()

    async def opened(self) -> "Peer":
        self.line.send(self.asked())
        await self.settled()
        assert self.answer is not None
        assert self.answer.status_code == 101, self.answer
        return self

    def say(self, *frames: tuple[Opcode, bytes] | Frame | bytes) -> None:
        """All of it in one piece; bytes as they are."""
        made = [Frame(*each) if isinstance(each, tuple) else each for each in frames]
        self.line.send(
            b"".join(f if isinstance(f, bytes) else f.serialize(mask=True) for f in made)
        )

    def text(self, text: str | bytes) -> None:
        self.say((Opcode.TEXT, text.encode() if isinstance(text, str) else text))

    async def settled(self) -> None:
        """Let everything happen that can, and read what came."""
        for _ in range(12):
            await asyncio.sleep(0)
        self.read()

    def read(self) -> None:
        came = self.link.written[self._read_bytes :]
        self._read_bytes = len(self.link.written)
        if came and self.client.state is not State.CLOSED:
            self.client.receive_data(came)
            for event in self.client.events_received():
                if isinstance(event, Response):
                    self.answer = event
                else:
                    assert isinstance(event, Frame)
                    self.frames.append(event)
            self._unsent()

    @property
    def closed(self) -> tuple[int, str] | None:
        """The code and reason of the other end's close."""
        rcvd = self.client.close_rcvd
        return None if rcvd is None else (rcvd.code, rcvd.reason)

    def heard(self) -> list[Any]:
        """The texts that came, as JSON where they are."""
        return [json.loads(f.data) for f in self.frames if f.opcode is Opcode.TEXT]

    def confirm_close(self) -> None:
        assert self.closed is not None
        self.say((Opcode.CLOSE, self.closed[0].to_bytes(2)))

    def _unsent(self) -> bytes:
        return b"".join(self.client.data_to_send())


def answering(reply: bytes = b'{"well":true}') -> Endpoint:
    """An endpoint of a call."""

    async def endpoint(op: Any, head: Any, body: Any, sink: Any) -> None:
        sink.start(200, ())
        sink.write(reply + await body.read(1000))
        sink.end()

    return endpoint
