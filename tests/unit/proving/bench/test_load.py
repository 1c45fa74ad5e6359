"""The load client against small servers that answer, cut, refuse or fall silent for a moment."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.support.wire_server import closed
from tokenbooth.proving.bench.load import LoadClient, LoadSeen, kept_bytes
from tokenbooth.proving.client import Address, Ask

STREAM = b"data: {}\n\ndata: [DONE]\n\n"
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def whole(body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


def saying(*answers: bytes) -> Answer:
    """Each call gets the next of them, over and over."""
    turns = itertools.cycle(answers)

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(next(turns))

    return answer


@asynccontextmanager
async def server(answer: Answer):
    """Answers every head with ``answer``; yields its address and the heads that it got."""
    heads: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                await answer(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    served = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with served:
        yield Address("127.0.0.1", served.sockets[0].getsockname()[1]), heads
    await closed(writers)


class Ticking:
    """A clock that goes on by a microsecond at each look, so that loads end by count."""

    def __init__(self) -> None:
        self.us = 0

    def __call__(self) -> int:
        self.us += 1
        return self.us


def play(answer: Answer, load: Callable[[LoadClient], Awaitable[LoadSeen]], lines: int = 2):
    """What was seen, and the heads that the server got."""

    async def scene():
        async with asyncio.timeout(20), server(answer) as (address, heads):
            ask = Ask("GET", "/")
            sent = kept_bytes(ask, address)
            async with LoadClient((address,), lambda _: sent, lines, Ticking()) as client:
                return await load(client), heads

    return asyncio.run(scene())


def test_a_connection_stays_open_for_the_next_call() -> None:
    assert b"connection: close" in Ask("GET", "/").encoded(Address("h", 1))
    assert b"connection" not in kept_bytes(Ask("GET", "/"), Address("h", 1))


def test_a_closed_loop_keeps_so_many_calls_going_until_its_time_is_over() -> None:
    seen, heads = play(saying(whole(STREAM)), lambda c: c.closed_loop(2, 0.0001))
    assert seen.good == len(heads) > 2
    assert (seen.failed, seen.unsent) == (0, 0)
    assert all(first <= end for first, end in zip(seen.first_us, seen.whole_us, strict=True))


def test_a_fixed_rate_makes_as_many_calls_as_it_says() -> None:
    seen, heads = play(saying(whole(STREAM)), lambda c: c.at_rate(1000, 0.02), lines=20)
    assert (seen.good, seen.unsent, len(heads)) == (20, 0, 20)


def test_a_call_without_a_free_line_is_unsent_and_no_failure() -> None:
    gate = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        writer.write(whole(STREAM))

    async def load(client: LoadClient) -> LoadSeen:
        asyncio.get_running_loop().call_later(0.1, gate.set)
        return await client.at_rate(1000, 0.01)

    seen, _ = play(late, load, lines=3)
    assert (seen.good, seen.failed, seen.unsent) == (3, 0, 7)


@pytest.mark.parametrize(
    "bad",
    [
        whole(b"{}", 429),
        whole(b"data: {}\n\n"),
        b"HTTP/1.1 200 X\r\ncontent-length: nonsense\r\n\r\n",
        b"not http at all\r\n\r\n",
    ],
)
def test_what_is_no_whole_answer_is_a_failure(bad: bytes) -> None:
    seen, _ = play(saying(bad), lambda c: c.at_rate(1000, 0.002), lines=2)
    assert (seen.good, seen.failed) == (0, 2)


def test_a_whole_document_needs_no_done() -> None:
    seen, _ = play(saying(whole(b'{"a":1}')), lambda c: c.at_rate(1000, 0.002), lines=2)
    assert (seen.good, seen.failed) == (2, 0)


def test_a_line_that_is_cut_is_a_failure_and_is_opened_again() -> None:
    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async def load(client: LoadClient) -> LoadSeen:
        first = await client.at_rate(1000, 0.002)
        second = await client.at_rate(1000, 0.002)
        assert second.unsent == 0
        return first

    seen, heads = play(cut, load, lines=2)
    assert (seen.good, seen.failed, len(heads)) == (0, 2, 4)


def test_calls_are_spread_over_all_addresses() -> None:
    async def scene() -> list[int]:
        answer = saying(whole(STREAM))
        async with server(answer) as (one, heads), server(answer) as (two, others):
            sent = {each: kept_bytes(Ask("GET", "/"), each) for each in (one, two)}
            async with LoadClient((one, two), sent.__getitem__, 4, Ticking()) as client:
                await client.at_rate(1000, 0.004)
            return [len(heads), len(others)]

    assert asyncio.run(scene()) == [2, 2]
