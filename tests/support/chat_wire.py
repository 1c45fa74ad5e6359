"""A server of Chat Completions that keeps its connections, and plays written bytes on them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.wire_server import LAST_CHUNK, STREAM_HEAD, closed, event_chunk

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Asked:
    """One call as it came; ``line`` counts connections from 0."""

    line: int
    first: str
    headers: dict[str, str]
    body: Any


@dataclass
class ChatWire:
    """``answer`` is played to each call; ``hangs_up`` closes after each one."""

    answer: Answer
    hangs_up: bool = False
    asked: list[Asked] = field(default_factory=list)
    lines: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    base_url: str = ""

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, self.lines = self.lines, self.lines + 1
        with contextlib.suppress(ConnectionError, EOFError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                pairs = (each.partition(": ") for each in head[1:] if each)
                headers = {name: value for name, _, value in pairs}
                body = await reader.readexactly(int(headers["content-length"]))
                self.asked.append(Asked(line, head[0], headers, json.loads(body)))
                await self.answer(writer)
                await writer.drain()
                if self.hangs_up:
                    break
        self.gone.set()
        writer.close()


@contextlib.asynccontextmanager
async def chat_wire(answer: Answer, *, hangs_up: bool = False) -> AsyncIterator[ChatWire]:
    """``base_url`` of what is given ends in ``/v1``."""
    wire = ChatWire(answer, hangs_up)
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writers.append(writer)
        with contextlib.suppress(asyncio.CancelledError):  # the only end of some answers
            await wire.hear(reader, writer)

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    wire.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield wire
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await closed(writers)


def says(*raw: bytes) -> Answer:
    """The same bytes to everybody, each in a write of its own."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        for piece in raw:
            writer.write(piece)
            await writer.drain()

    return answer


def in_turn(*answers: Answer) -> Answer:
    """One answer after the other; the last one for ever."""
    left = list(answers)

    async def answer(writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(writer)

    return answer


def delta(finish: str | None = None, more: dict[str, Any] | None = None, **said: Any) -> bytes:
    """One event with one choice; ``more`` stands beside the choices."""
    choice = {"index": 0, "delta": said, "finish_reason": finish}
    return event_chunk(json.dumps({"choices": [choice], **(more or {})}))


def stream(*events: bytes) -> bytes:
    """A whole stream with its end."""
    return b"".join((STREAM_HEAD, *events, event_chunk("[DONE]"), LAST_CHUNK))


def spoken(*words: str) -> Answer:
    """A right and whole answer of these words."""
    return says(stream(*(delta(content=word) for word in words), delta("stop")))
