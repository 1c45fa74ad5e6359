"""One connection: answers cut anywhere, broken ones, and what may be used again."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.memory_loop import (
    DONE,
    STREAM_END,
    STREAM_HEAD,
    FarSide,
    Line,
    chunked,
    http,
    run,
)
from tokenbooth.engines.upstream.wire import HEAD_BYTES_MAX, Broken, Connection

CALL = b"GET /x HTTP/1.1\r\nhost: far\r\n\r\n"


@dataclass
class Heard:
    """An exchange that writes down what it hears."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    ends: list[Broken | None] = field(default_factory=list)
    on_body: Callable[[], None] = lambda: None

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        assert self.status is None
        self.status, self.headers = status, headers

    def body(self, chunk: bytes) -> None:
        self.pieces.append(chunk)
        self.on_body()

    def done(self) -> None:
        self.ends.append(None)

    def broken(self, cause: Broken) -> None:
        self.ends.append(cause)


@dataclass
class Wire:
    """A connection, its line, and which of its callbacks were called."""

    free: list[Connection] = field(default_factory=list)
    lost: list[Connection] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection = Connection(self.free.append, self.lost.append)
        self.line = Line(FarSide(), self.connection)
        self.connection.connection_made(self.line)

    def call(self) -> Heard:
        heard = Heard()
        self.connection.send(CALL, heard)
        return heard


def told(work: Callable[[Wire, Heard], Any]) -> tuple[Wire, Heard]:
    """Make a call, let ``work`` be the far side, and let the loop run dry."""

    async def scene() -> tuple[Wire, Heard]:
        wire = Wire()
        heard = wire.call()
        work(wire, heard)
        for _ in range(3):
            await asyncio.sleep(0)
        return wire, heard

    return run(scene())


def answered(*pieces: bytes) -> tuple[Wire, Heard]:
    return told(lambda wire, _: wire.line.deliver(*pieces))


def test_a_whole_answer_frees_the_connection() -> None:
    wire, heard = answered(http(200, b"body", x_a="1"))
    assert (heard.status, heard.headers["x-a"]) == (200, "1")
    assert heard.pieces == [b"body"]
    assert heard.ends == [None]
    assert wire.free == [wire.connection]
    assert wire.connection.usable


def test_header_names_are_lower_case() -> None:
    _, heard = answered(b"HTTP/1.1 200 OK\r\nContent-LENGTH: 0\r\nRetry-After: 5\r\n\r\n")
    assert heard.headers == {"content-length": "0", "retry-after": "5"}


STREAM = (
    STREAM_HEAD + chunked(b"data: 1\n\n") + chunked(b"data: 2\n\n") + chunked(DONE) + STREAM_END
)


@pytest.mark.parametrize("cut", range(1, len(STREAM)))
def test_an_answer_may_be_cut_at_any_byte(cut: int) -> None:
    wire, heard = answered(STREAM[:cut], STREAM[cut:])
    assert heard.status == 200
    assert b"".join(heard.pieces) == b"data: 1\n\ndata: 2\n\n" + DONE
    assert heard.ends == [None]
    assert wire.free == [wire.connection]


@pytest.mark.parametrize("cut", range(len(STREAM)))
def test_an_answer_that_stops_at_any_byte_is_broken_once(cut: int) -> None:
    def far(wire: Wire, _: Heard) -> None:
        wire.line.deliver(STREAM[:cut])
        wire.line.drop()

    wire, heard = told(far)
    assert heard.ends == [Broken.CLOSED]
    assert wire.free == []
    assert wire.lost == [wire.connection]


def test_the_second_answer_on_one_connection() -> None:
    async def scene() -> None:
        wire = Wire()
        for body in (b"one", b"two"):
            heard = wire.call()
            wire.line.deliver(http(200, body))
            assert heard.pieces == [body]
            assert heard.ends == [None]
        assert wire.free == [wire.connection] * 2

    run(scene())


def test_a_connection_that_the_server_closes_is_not_used_again() -> None:
    wire, heard = answered(http(200, b"x", connection="close"))
    assert heard.ends == [None]
    assert wire.free == []
    assert not wire.connection.usable


def test_http_1_0_is_understood_and_not_kept() -> None:
    wire, heard = answered(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi")
    assert heard.ends == [None]
    assert wire.free == []


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    def far(wire: Wire, _: Heard) -> None:
        wire.line.deliver(b"HTTP/1.1 200 OK\r\n\r\nsome", b"thing")
        wire.line.drop()

    wire, heard = told(far)
    assert b"".join(heard.pieces) == b"something"
    assert heard.ends == [None]
    assert wire.free == []


def test_an_answer_without_a_length_that_is_reset_is_broken() -> None:
    def far(wire: Wire, _: Heard) -> None:
        wire.line.deliver(b"HTTP/1.1 200 OK\r\n\r\nsome")
        wire.line.drop(ConnectionResetError())

    assert told(far)[1].ends == [Broken.CLOSED]


def test_interim_answers_are_skipped() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    wire, heard = answered(b"HTTP/1.1 100 Continue\r\n\r\n" + hint + http(200, b"ok"))
    assert heard.status == 200
    assert "link" not in heard.headers
    assert heard.pieces == [b"ok"]
    assert wire.free == [wire.connection]


@pytest.mark.parametrize(
    "noise",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        http(200, b"a") + http(200, b"b"),
        http(200, b"a") + b"rest",
    ],
)
def test_what_breaks_the_protocol_breaks_the_exchange(noise: bytes) -> None:
    wire, heard = answered(noise)
    assert heard.ends == [Broken.MALFORMED]
    assert wire.free == []
    assert wire.line.aborted


def test_an_endless_head_is_refused() -> None:
    _, heard = answered(b"HTTP/1.1 200 OK\r\n", *[b"x: " + b"y" * 4096 + b"\r\n"] * 20)
    assert heard.ends == [Broken.MALFORMED]
    assert heard.status is None
    assert HEAD_BYTES_MAX < 20 * 4096


def test_a_large_body_in_the_first_read_is_no_large_head() -> None:
    _, heard = answered(http(200, b"x" * (2 * HEAD_BYTES_MAX)))
    assert heard.ends == [None]


def test_bytes_that_nobody_asked_for_close_the_connection() -> None:
    wire, heard = answered(http(200, b"a"), http(200, b"b"))
    assert heard.ends == [None]
    assert heard.pieces == [b"a"]
    assert wire.line.aborted
    assert not wire.connection.usable


def test_a_kept_connection_that_closes_before_any_byte_is_stale() -> None:
    async def scene() -> None:
        wire = Wire()
        wire.call()
        wire.line.deliver(http(200))
        again = wire.call()
        wire.line.drop()
        await wire.line.lost.wait()
        assert again.ends == [Broken.STALE]

    run(scene())


def test_a_kept_connection_that_closes_within_an_answer_is_not_stale() -> None:
    async def scene() -> None:
        wire = Wire()
        wire.call()
        wire.line.deliver(http(200))
        again = wire.call()
        wire.line.deliver(b"H")
        wire.line.drop()
        await wire.line.lost.wait()
        assert again.ends == [Broken.CLOSED]

    run(scene())


def test_a_fresh_connection_that_closes_is_not_stale() -> None:
    _, heard = told(lambda wire, _: wire.line.drop())
    assert heard.ends == [Broken.CLOSED]


def test_abort_is_silent_and_final() -> None:
    def far(wire: Wire, _: Heard) -> None:
        wire.connection.abort()
        wire.line.deliver(http(200))

    wire, heard = told(far)
    assert heard.ends == []
    assert heard.status is None
    assert wire.lost == [wire.connection]
    assert wire.line.aborted


def test_an_abort_within_a_body_stops_the_rest_of_the_same_read() -> None:
    def far(wire: Wire, heard: Heard) -> None:
        heard.on_body = wire.connection.abort
        wire.line.deliver(STREAM)

    wire, heard = told(far)
    assert len(heard.pieces) == 1
    assert heard.ends == []
    assert wire.free == []


def test_close_tells_the_exchange() -> None:
    wire, heard = told(lambda wire, _: wire.connection.close())
    assert heard.ends == [Broken.CLOSED]
    assert wire.lost == [wire.connection]


def test_close_of_a_free_connection_is_quiet() -> None:
    async def scene() -> None:
        wire = Wire()
        wire.connection.close()
        await wire.line.lost.wait()
        assert wire.lost == [wire.connection]

    run(scene())


def test_pause_and_resume_reach_the_socket_once_each() -> None:
    def far(wire: Wire, _: Heard) -> None:
        wire.connection.pause()
        wire.connection.pause()
        assert not wire.line.reading
        wire.connection.resume()
        wire.connection.resume()
        assert wire.line.reading

    told(far)


def test_pause_of_a_closed_connection_does_nothing() -> None:
    def far(wire: Wire, _: Heard) -> None:
        wire.connection.pause()
        wire.line.drop()
        wire.connection.resume()
        wire.connection.pause()

    wire, heard = told(far)
    assert heard.ends == [Broken.CLOSED]
    assert not wire.line.reading


def test_a_freed_connection_reads_again() -> None:
    def far(wire: Wire, heard: Heard) -> None:
        heard.on_body = wire.connection.pause
        wire.line.deliver(http(200, b"x"))

    wire, heard = told(far)
    assert heard.ends == [None]
    assert wire.line.reading


def test_a_connection_that_was_never_made_is_not_usable() -> None:
    connection = Connection(lambda _: None, lambda _: None)
    assert not connection.usable
    connection.abort()
    connection.pause()
    connection.resume()


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_end_in_at_most_one_ending(noise: bytes, size: int) -> None:
    def far(wire: Wire, _: Heard) -> None:
        wire.line.deliver(*(noise[at : at + size] for at in range(0, len(noise), size)))
        wire.line.drop()

    _, heard = told(far)
    assert len(heard.ends) == 1
