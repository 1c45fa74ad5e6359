"""Endpoints and calls for connections in tests."""

import asyncio
import json

from tokenbooth.edge.routes import Route

GET = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"
HEAD = b"POST /a HTTP/1.1\r\nhost: x\r\n"


async def echo(op, head, body, sink):
    """Answers with the whole body and the names of the headers."""
    raw = await body.read(1_000_000)
    said = [head.method, head.path, raw.decode(), [*head.headers], dict(head.query)]
    sink.start(200, ())
    sink.write(json.dumps(said).encode())
    sink.end()


def routes(endpoint, *paths):
    return [
        Route(method, path, endpoint) for method in ("GET", "POST") for path in (paths or ("/a",))
    ]


ECHO = routes(echo)


class Held:
    """An endpoint that begins a stream and waits to be let go."""

    def __init__(self) -> None:
        self.go, self.begun = asyncio.Event(), asyncio.Event()
        self.heard: list[object] = []
        self.sink = None

    async def __call__(self, op, head, body, sink):
        await body.read(1000)
        self.sink = sink
        sink.listen(self)
        sink.start(200, (("content-type", "text/event-stream"),))
        sink.write(b"one")
        self.begun.set()
        await self.go.wait()
        sink.end()

    def gone(self) -> None:
        self.heard.append("gone")

    def pressure(self, high: bool) -> None:
        self.heard.append(high)


def refused(written: bytes) -> tuple[int, str]:
    head, _, body = written.partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    error = json.loads(body)["error"]
    assert lines["x-request-id"] == error["request_id"]
    assert int(lines["content-length"]) == len(body)
    assert lines["connection"] == "close"
    return int(head.split()[1]), error["code"]


def said(written: bytes) -> list[object]:
    document = json.loads(written.partition(b"\r\n\r\n")[2])
    assert isinstance(document, list)
    return document
