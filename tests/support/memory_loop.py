"""An event loop whose time jumps when nothing is left to do, and whose network is in memory.

``FarSide`` is the other end of every connection: it records the calls and answers as it is told.
"""

import asyncio
import json
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: a wait that nothing would end moves the clock instead."""

    jump: Callable[[float], None]

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout:
            self.jump(timeout)
        return ready


class MemoryLoop(asyncio.SelectorEventLoop):
    def __init__(self, far: "FarSide | None" = None) -> None:
        selector = _JumpingSelector()
        selector.jump = self._jump
        self._now_s = 0.0
        self._far = far or FarSide()
        super().__init__(selector)

    def time(self) -> float:
        return self._now_s

    def _jump(self, by_s: float) -> None:
        # A little further than asked, so that a timer set by rounding is surely due.
        self._now_s += by_s + 1e-6

    async def create_connection(self, factory: Any, *args: Any, **kwargs: Any) -> Any:
        line = await self._far.accept(factory(), args, kwargs)
        return line, line.protocol


def run(work: Coroutine[Any, Any, T], far: "FarSide | None" = None) -> T:
    """``asyncio.run`` on a MemoryLoop."""
    with asyncio.Runner(loop_factory=lambda: MemoryLoop(far)) as runner:
        return runner.run(work)


async def passing(seconds: float) -> None:
    """Let so much of the loop's own time pass; on a MemoryLoop that takes none of ours."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MemoryLoop)
    passed = loop.create_future()
    loop.call_later(seconds, passed.set_result, None)
    await passed


@dataclass
class Call:
    """One HTTP call as the far side saw it."""

    line: "Line"
    start: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Line(asyncio.Transport):
    """One connection in memory; the methods in the second half belong to the far side."""

    def __init__(self, far: "FarSide", protocol: Any) -> None:
        super().__init__()
        self._far = far
        self.protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._written = bytearray()
        self._unread: list[bytes] = []
        self._closing = False
        self._lost = False
        self.reading = True
        self.aborted = False
        self.lost = asyncio.Event()

    def write(self, data: Any) -> None:
        assert not self._closing
        self._written += data
        while (call := self._whole_call()) is not None:
            self._far.calls.append(call)
            self._loop.call_soon(self._far.answer, call)

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True
        self._loop.call_soon(self._read)

    def abort(self) -> None:
        self.aborted = True
        self.drop(None)

    def close(self) -> None:
        self.drop(None)

    @property
    def unread_count(self) -> int:
        """How many reads of the near side are still to come."""
        return len(self._unread)

    def _whole_call(self) -> Call | None:
        head, found, rest = bytes(self._written).partition(b"\r\n\r\n")
        if not found:
            return None
        start, *lines = head.decode("ascii").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return None
        self._written = bytearray(rest[length:])
        return Call(self, start, headers, rest[:length])

    def _read(self) -> None:
        while self._unread and self.reading and not self._lost:
            self.protocol.data_received(self._unread.pop(0))

    def deliver(self, *pieces: bytes) -> None:
        """Each piece is one read of the near side."""
        if not self._closing:
            self._unread += pieces
            self._read()

    def drop(self, error: Exception | None = None) -> None:
        """The connection is gone, for whatever reason."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._say_lost, error)

    def _say_lost(self, error: Exception | None) -> None:
        self._lost = True
        self.protocol.connection_lost(error)
        self.lost.set()


@dataclass
class FarSide:
    """``answer`` hears each call; ``refuse`` is raised by a connect; ``accept_s`` is its delay."""

    answer: Callable[[Call], None] = lambda call: None
    refuse: BaseException | None = None
    accept_s: float = 0.0
    calls: list[Call] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    async def accept(self, protocol: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Line:
        self.asked.append((args, kwargs))
        if self.accept_s:
            await passing(self.accept_s)
        if self.refuse is not None:
            raise self.refuse
        line = Line(self, protocol)
        self.lines.append(line)
        protocol.connection_made(line)
        return line


def http(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer with a length; underscores in header names become hyphens."""
    named = {"content_length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} Any\r\n{lines}\r\n".encode() + body


def http_json(status: int, value: object, **headers: str) -> bytes:
    return http(status, json.dumps(value).encode(), content_type="application/json", **headers)


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
STREAM_END = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(value: object) -> bytes:
    """A server-sent event in a chunk of its own."""
    return chunked(b"data: " + json.dumps(value).encode() + b"\n\n")


def says(text: str, finish: str | None = None, index: int = 0) -> bytes:
    return event({"choices": [choice(text, finish, index)]})


def choice(text: str, finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"index": index, "delta": {"content": text}, "finish_reason": finish}


def counted(prompt: int, completion: int, **more: object) -> bytes:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, **more}
    return event({"choices": [], "usage": usage})


def whole_stream(*texts: str, finish: str = "stop", usage: tuple[int, int] = (5, 3)) -> bytes:
    """A stream as a good server sends it."""
    pieces = [says(text) for text in texts]
    ending = [says("", finish), counted(*usage), chunked(DONE), STREAM_END]
    return b"".join([STREAM_HEAD, *pieces, *ending])
