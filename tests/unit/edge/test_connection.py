"""An accepted connection: heads in time and within a size, no call lost, nobody waited for."""

import asyncio
import json

import pytest
from uvicorn.server import ServerState

from tests.support.front import in_loop
from tests.support.link import Line
from tokenbooth.edge.connection import HEAD_BYTES_MAX, PIPELINED_MAX

GET = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"
HEAD = b"POST /a HTTP/1.1\r\nhost: x\r\n"


async def echo(scope, receive, send):
    """Answers with the whole body and the names of the headers."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    names = [name.decode() for name, _ in scope["headers"]]
    said = json.dumps([scope["method"], scope["path"], body.decode(), names]).encode()
    length = (b"content-length", b"%d" % len(said))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": said})


async def half(scope, receive, send):
    """Begins an answer and gives its peer up."""
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def endless(scope, receive, send):
    """Begins an answer and goes on until it is cancelled."""
    await half(scope, receive, send)
    await asyncio.Event().wait()


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


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00",
        b"HELLO\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n-5\r\nhello",
        HEAD + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_not_http_is_named_and_has_an_id(raw):
    async def scenario():
        line = Line(echo)
        line.send(raw)
        assert refused(await line.answered()) == (400, "malformed_http")
        assert line.link.fate == "closing"

    in_loop(scenario)


def test_nothing_is_said_inside_an_answer_that_has_begun():
    async def scenario():
        line = Line(endless)
        line.send(GET)
        while not line.link.written:
            await asyncio.sleep(0)
        line.send(b"\x00garbage\r\n\r\n")
        assert line.link.fate == "aborted"
        assert line.link.written.count(b"HTTP/1.1") == 1
        (task,) = line.state.tasks
        task.cancel()
        await line.answered()

    in_loop(scenario)


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nx: ", HEAD])
def test_a_head_without_end_is_refused_at_its_bound(start):
    async def scenario():
        line, sent = Line(echo), 0
        line.send(start)
        while not line.link.is_closing():
            piece = b"a" * 1000 if start != HEAD else b"x: " + b"a" * 995 + b"\r\n"
            line.send(piece)
            sent += len(piece)
        assert refused(line.link.written) == (413, "head_too_large")
        assert HEAD_BYTES_MAX - 100 <= sent <= HEAD_BYTES_MAX + 1000

    in_loop(scenario)


def test_trailers_are_dropped_and_bounded():
    async def scenario():
        line = Line(echo)
        line.send(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-late: 1\r\n\r\n")
        assert said(await line.answered())[2:] == ["hi", ["host", "transfer-encoding"]]
        line.send(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n")
        for _ in range(100):
            line.send(b"x: " + b"a" * 995 + b"\r\n")
        assert line.link.is_closing()
        await line.answered()

    in_loop(scenario)


def test_a_body_in_tiny_chunks_is_no_head():
    async def scenario():
        line = Line(echo)
        line.send(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(50_000):
            line.send(b"1\r\na\r\n")
        line.send(b"0\r\n\r\n")
        assert said(await line.answered())[2] == "a" * 50_000

    in_loop(scenario)


def test_a_peer_that_says_nothing_is_let_go():
    async def scenario():
        line = Line(echo, head_wait_max_s=7)
        (timer,) = line.loop.running
        assert timer.delay_s == 7
        timer.fire()
        assert (line.link.fate, line.link.written) == ("aborted", b"")

    in_loop(scenario)


def test_half_a_head_is_told_that_its_time_is_over():
    async def scenario():
        line = Line(echo)
        line.send(b"GET / HT")
        (timer,) = line.loop.running
        timer.fire()
        assert refused(line.link.written) == (400, "head_timeout")

    in_loop(scenario)


def test_bytes_that_trickle_do_not_renew_the_time_of_a_head():
    async def scenario():
        line = Line(echo)
        (timer,) = line.loop.running
        line.send(*(bytes([byte]) for byte in GET[:-1]))
        assert line.loop.running == [timer]
        line.send(GET[-1:])
        assert not timer.open
        assert said(await line.answered())[0] == "GET"

    in_loop(scenario)


def test_blank_lines_between_calls_hold_no_connection():
    async def scenario():
        line = Line(echo)
        line.send(GET)
        await line.answered()
        (keep_alive,) = line.loop.running
        line.send(b"\r\n")
        assert not keep_alive.open
        (head,) = line.loop.running
        line.send(b"\r\n")
        assert line.loop.running == [head]

    in_loop(scenario)


def test_one_connection_too_many_is_told_so():
    async def scenario():
        state = ServerState()
        first = Line(echo, state, connections_max=1)
        second = Line(echo, state, connections_max=1)
        assert refused(second.link.written) == (503, "engine_overloaded")
        assert b"retry-after: 1\r\n" in second.link.written
        second.connection.connection_lost(None)
        assert first.link.fate == "open"
        assert Line(echo, state, connections_max=2).link.fate == "open"

    in_loop(scenario)


def test_pipelined_calls_are_answered_in_order():
    async def scenario():
        line = Line(echo)
        line.send(b"".join(GET.replace(b"/a", b"/%d" % i) for i in range(5)))
        written = await line.answered()
        assert [written.count(b'"/%d"' % i) for i in range(5)] == [1] * 5
        assert sorted(range(5), key=lambda i: written.index(b'"/%d"' % i)) == list(range(5))

    in_loop(scenario)


def test_too_many_pipelined_calls_end_the_connection():
    async def scenario():
        line = Line(echo)
        line.send(GET * (PIPELINED_MAX + 2))
        assert line.link.fate == "aborted"
        assert len(line.connection.pipeline) == PIPELINED_MAX + 1
        line.send(GET)
        line.connection.connection_lost(None)
        await line.answered()

    in_loop(scenario)


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket", b"foo"])
@pytest.mark.parametrize("cut", [None, 60, 125])
def test_an_upgrade_is_declined_by_serving_the_call(upgrade, cut):
    """Java's client asks for h2c with every first call; its body must not be lost."""

    async def scenario():
        line = Line(echo)
        raw = (
            HEAD + b"connection: Upgrade, HTTP2-Settings\r\nupgrade: " + upgrade + b"\r\n"
            b"http2-settings: AAMAAABk\r\ncontent-length: 5\r\n\r\nhello"
        )
        line.send(*((raw,) if cut is None else (raw[:cut], raw[cut:])))
        found = said(await line.answered())
        assert found == ["POST", "/a", "hello", ["host", "content-length"]]

    in_loop(scenario)


def test_many_upgrades_in_one_piece_are_served_one_by_one():
    async def scenario():
        line = Line(echo)
        line.send(b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n" * 9)
        written = await line.answered()
        assert written.count(b"HTTP/1.1 200") == 9

    in_loop(scenario)


def test_an_upgrade_that_asks_for_the_end_gets_it():
    async def scenario():
        line = Line(echo)
        line.send(
            b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: close, upgrade\r\nupgrade: h2c\r\n\r\n"
        )
        assert b"connection: close" in await line.answered()
        assert line.link.fate == "closing"

    in_loop(scenario)


def test_a_peer_that_was_given_up_is_cut_off_at_once():
    """A polite close would wait for as long as the peer takes nothing."""

    async def scenario():
        line = Line(half)
        line.send(GET)
        await line.answered()
        assert line.link.fate == "aborted"

    in_loop(scenario)


def test_a_call_that_a_stopping_server_cancels_ends_without_a_word():
    async def scenario():
        line = Line(endless)
        line.send(GET)
        while not line.link.written:
            await asyncio.sleep(0)
        (task,) = line.state.tasks
        task.cancel()
        written = await line.answered()
        assert line.link.fate == "aborted"
        assert b"500" not in written
        assert task.exception() is None

    in_loop(scenario)


def test_last_bytes_get_as_long_as_a_stall_and_no_longer():
    async def scenario():
        line = Line(echo, stall_max_s=9)
        line.send(GET.replace(b"host: x", b"host: x\r\nconnection: close"))
        await line.answered()
        assert line.link.fate == "closing"
        (timer,) = line.loop.running
        assert timer.delay_s == 9
        timer.fire()
        assert line.link.fate == "aborted"

    in_loop(scenario)


@pytest.mark.parametrize("end", ["quiet", "shutdown"])
def test_an_idle_connection_is_closed_and_then_cut_off(end):
    async def scenario():
        line = Line(echo, stall_max_s=9)
        line.send(GET)
        await line.answered()
        (keep_alive,) = line.loop.running
        if end == "quiet":
            keep_alive.fire()
        else:
            line.connection.shutdown()
        assert line.link.fate == "closing"
        next(timer for timer in line.loop.running if timer.delay_s == 9).fire()
        assert line.link.fate == "aborted"

    in_loop(scenario)


def test_a_lost_connection_leaves_no_timer():
    async def scenario():
        line = Line(echo)
        line.connection.connection_lost(None)
        assert line.loop.running == []
        assert line.state.connections == set()

    in_loop(scenario)


def test_the_rest_of_a_refused_body_cannot_be_sent_for_ever():
    async def early(scope, receive, send):
        length = (b"content-length", b"2")
        await send({"type": "http.response.start", "status": 401, "headers": [length]})
        await send({"type": "http.response.body", "body": b"no"})

    async def scenario():
        line = Line(early)
        line.send(HEAD + b"content-length: 1000000\r\n\r\n")
        await line.answered()
        line.send(b"x" * 1000)
        (timer,) = line.loop.running
        line.send(b"x" * 1000)
        assert line.loop.running == [timer]
        timer.fire()
        assert line.link.fate == "aborted"

    in_loop(scenario)
