"""The caller of the overload run against a little server: what it takes for an answer."""

import asyncio

import pytest

from tokenbooth.proving.bench.overload import Heard, _Caller
from tokenbooth.proving.client import Address

EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
REFUSAL = b"HTTP/1.1 503 Busy\r\nretry-after: %s\r\ncontent-length: 0\r\n\r\n"


def asked_of(answer: bytes) -> Heard:
    """One call, which the server answers so and then hangs up."""

    async def scene() -> Heard:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await _Caller(Address("127.0.0.1", port), "tb-secret")._call()

    return asyncio.run(scene())


def test_a_stream_to_its_end_is_an_answer_and_its_pieces_are_counted() -> None:
    heard = asked_of(EVENTS + b"data: {}\n\ndata: {}\n\ndata: [DONE]\n\n")
    assert (heard.status, heard.chunks) == (200, 2)
    assert 0 < heard.first_us <= heard.end_us


@pytest.mark.parametrize(
    "answer",
    [
        EVENTS,
        EVENTS + b"data: [DONE]\n\n",
        EVENTS + b"data: {}\n\n",
        b"",
        b"no HTTP\r\n\r\n",
    ],
)
def test_an_empty_or_cut_answer_is_none(answer: bytes) -> None:
    assert asked_of(answer).status == 0


@pytest.mark.parametrize(
    ("told", "retry_after_s"),
    [(b"7", 7), (b"Wed, 21 Oct 2026 07:28:00 GMT", 0), (b"-1", 0), (b"", 0)],
)
def test_a_refusal_is_heard_whatever_it_tells_about_coming_back(
    told: bytes, retry_after_s: int
) -> None:
    heard = asked_of(REFUSAL % told)
    assert (heard.status, heard.retry_after_s) == (503, retry_after_s)
