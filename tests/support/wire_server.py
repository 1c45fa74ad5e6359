"""A server that plays written bytes, for tests of what hears them."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

from tokenbooth.proving.client import Address

Play = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def wire_server(play: Play) -> AsyncIterator[Address]:
    """``play`` gets the bytes of one call, head and body, and writes what it likes."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writers.append(writer)
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, EOFError):
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = (
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            length = next(lengths, 0)
            body = await reader.readexactly(length) if length < 2**20 else b""
            await play(head + body, writer)
            await writer.drain()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()[:2]
        yield Address(host, port)
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await closed(writers)


async def closed(writers: Iterable[asyncio.StreamWriter]) -> None:
    """Let go of connections before their loop ends."""
    for writer in writers:
        writer.transport.abort()
    for _ in range(2):  # the loop closes a transport in its next round
        await asyncio.sleep(0)


@contextlib.contextmanager
def threaded(play: Play) -> Iterator[Address]:
    """A server in another thread, for clients that block."""
    found: list[Address] = []
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def scene() -> None:
        async with wire_server(play) as address:
            found.append(address)
            ready.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(scene()))
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def answers(*raw: bytes) -> Play:
    """Play the same bytes to everybody, each in a write of its own."""

    async def play(_asked: bytes, writer: asyncio.StreamWriter) -> None:
        for piece in raw:
            writer.write(piece)
            await writer.drain()

    return play


def body_answer(body: bytes, status: int = 200, headers: tuple[str, ...] = ()) -> bytes:
    """A whole answer of JSON."""
    head = [f"HTTP/1.1 {status} X", "content-type: application/json", *headers]
    head.append(f"content-length: {len(body)}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_1\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"


def event_chunk(data: str) -> bytes:
    return chunk(f"data: {data}\n\n".encode())
