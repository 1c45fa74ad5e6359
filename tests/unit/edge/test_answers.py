"""What a connection sends, to whom that takes it and to whom that does not."""

import asyncio

import pytest

from tests.support.calls import ECHO, GET, Held, refused, routes
from tests.support.front import hello, in_loop
from tests.support.link import Line
from tokenbooth.edge.routes import Route


def test_an_answer_has_its_id_its_date_and_its_length():
    async def scenario():
        line = Line(*routes(hello))
        line.send(GET)
        assert (await line.answered()).split(b"\r\n") == [
            b"HTTP/1.1 200 OK",
            b"content-type: text/plain",
            b"x-request-id: req_1",
            b"request-id: req_1",
            b"content-length: 5",
            b"date: Mon, 21 Sep 2026 14:13:20 GMT",
            b"",
            b"hello",
        ]
        assert len(line.link.pieces) == 1
        assert line.link.fate == "open"

    in_loop(scenario)


def test_head_gets_the_head_and_no_body():
    async def scenario():
        line = Line(*routes(hello))
        line.send(GET.replace(b"GET", b"HEAD"))
        written = await line.answered()
        assert b"content-length: 5\r\n" in written
        assert written.endswith(b"\r\n\r\n")

    in_loop(scenario)


def test_a_header_value_begins_no_other_line():
    async def echoing(op, head, body, sink):
        sink.start(200, (("x-note", "a\r\nset-cookie: b\0"), ("x-other", "c")))
        sink.end()

    async def scenario():
        line = Line(*routes(echoing))
        line.send(GET)
        written = await line.answered()
        assert b"\r\nx-note: a  set-cookie: b \r\nx-other: c\r\n" in written

    in_loop(scenario)


def test_an_answer_without_a_body_has_no_length():
    async def nothing(op, head, body, sink):
        sink.start(204, ())
        sink.write(b"")

    async def scenario():
        line = Line(*routes(nothing))
        line.send(GET)
        written = await line.answered()
        assert written.startswith(b"HTTP/1.1 204 No Content\r\n")
        assert b"content-length" not in written

    in_loop(scenario)


@pytest.mark.parametrize("kind", ["text/event-stream", "text/csv"])
def test_what_is_written_bit_by_bit_is_sent_in_chunks(kind):
    async def bits(op, head, body, sink):
        sink.start(299, (("content-type", kind),))
        for bit in (b"one", b"", b"x" * 17):
            sink.write(bit)
            await asyncio.sleep(0)
        sink.end()
        sink.end()

    async def scenario():
        line = Line(*routes(bits))
        line.send(GET)
        head, _, body = (await line.answered()).partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        assert b"content-length" not in head
        assert body == b"3\r\none\r\n11\r\n" + b"x" * 17 + b"\r\n0\r\n\r\n"

    in_loop(scenario)


def test_head_of_a_stream_has_no_chunks():
    async def scenario():
        held = Held()
        line = Line(Route("GET", "/a", held))
        line.send(GET.replace(b"GET", b"HEAD"))
        await held.begun.wait()
        held.sink.write(b"two")
        held.go.set()
        assert (await line.answered()).endswith(b"\r\n\r\n")

    in_loop(scenario)


def test_a_peer_of_http_1_0_gets_no_chunks_and_the_end():
    async def scenario():
        held = Held()
        line = Line(Route("GET", "/a", held))
        line.send(b"GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        await held.begun.wait()
        held.sink.write(b"two")
        held.go.set()
        head, _, body = (await line.answered()).partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert b"connection: close" in head
        assert body == b"onetwo"
        assert line.link.fate == "closing"

    in_loop(scenario)


def test_nothing_is_said_inside_an_answer_that_has_begun():
    async def scenario():
        held = Held()
        line = Line(Route("GET", "/a", held))
        line.send(GET)
        await held.begun.wait()
        line.send(b"\x00garbage\r\n\r\n")
        assert line.link.fate == "aborted"
        assert line.link.written.count(b"HTTP/1.1") == 1
        line.lose()
        assert held.heard == ["gone"]
        held.go.set()
        await line.answered()

    in_loop(scenario)


def test_garbage_before_an_answer_is_refused_and_the_call_hears_that_nobody_reads():
    async def scenario():
        go, heard = asyncio.Event(), Held()

        async def slow(op, head, body, sink):
            sink.listen(heard)
            await go.wait()
            await hello(op, head, body, sink)

        line = Line(*routes(slow))
        line.send(GET)
        await asyncio.sleep(0)
        line.send(b"\x00garbage\r\n\r\n")
        assert refused(line.link.written) == (400, "malformed_http")
        assert heard.heard == ["gone"]
        go.set()
        assert b"HTTP/1.1 200" not in await line.answered()

    in_loop(scenario)


def test_who_does_not_take_an_answer_gets_no_further_one():
    """Or a peer could fill the memory with answers that it never reads."""

    async def scenario():
        line = Line(*ECHO, pressure_high_bytes=300, pressure_low_bytes=100, stall_max_s=9)
        line.link.blocked = True
        for _ in range(8):
            line.send(GET)
            await line.answered()
        held = line.link.written.count(b"HTTP/1.1")
        assert 1 < held < 8
        assert not line.link.reading
        line.link.blocked = False
        line.link.take(line.link.unsent_bytes, low=True)
        for _ in range(20):
            await line.answered()
        assert line.link.written.count(b"HTTP/1.1") == 8
        assert line.link.reading

    in_loop(scenario)


def test_a_peer_that_hangs_up_is_heard_and_does_not_cancel_the_call():
    async def scenario():
        held = Held()
        line = Line(Route("GET", "/a", held))
        line.send(GET)
        await held.begun.wait()
        line.lose()
        assert held.heard == ["gone"]
        assert len(line.all) == 0
        held.sink.write(b"two")
        held.go.set()
        assert b"two" not in await line.answered()

    in_loop(scenario)


def test_a_listener_that_comes_after_the_hang_up_is_told_at_once():
    async def scenario():
        go, late = asyncio.Event(), Held()

        async def slow(op, head, body, sink):
            await go.wait()
            sink.listen(late)
            await hello(op, head, body, sink)

        line = Line(*routes(slow))
        line.send(GET)
        await asyncio.sleep(0)
        line.lose()
        go.set()
        assert await line.answered() == b""
        assert late.heard == ["gone"]

    in_loop(scenario)


async def unread():
    """A stream whose peer takes nothing, just over the mark at which it is told to pause."""
    held = Held()
    line = Line(
        Route("GET", "/a", held), pressure_high_bytes=500, pressure_low_bytes=100, stall_max_s=9
    )
    line.link.blocked = True
    line.send(GET)
    await held.begun.wait()
    held.sink.write(b"x" * 600)
    return held, line


def test_a_slow_peer_presses_and_releases():
    async def scenario():
        held, line = await unread()
        assert held.heard == [True]
        line.link.take(400)
        line.later(9)
        assert line.link.fate == "open"  # slow, and not gone
        line.link.take(350, low=True)
        assert held.heard == [True, False]
        line.later(9)
        assert line.link.fate == "open"
        held.go.set()
        await line.answered()

    in_loop(scenario)


def test_a_peer_that_takes_nothing_is_cut_off():
    async def scenario():
        held, line = await unread()
        line.later(8)
        assert line.link.fate == "open"
        line.later(1)
        assert line.link.fate == "aborted"
        line.lose()
        assert held.heard == [True, "gone"]
        held.go.set()
        await line.answered()

    in_loop(scenario)


def test_last_bytes_get_as_long_as_a_stall_and_no_longer():
    async def scenario():
        line = Line(*ECHO, stall_max_s=9)
        line.send(GET.replace(b"host: x", b"host: x\r\nconnection: close"))
        await line.answered()
        assert line.link.fate == "closing"
        line.later(8)
        assert line.link.fate == "closing"
        line.later(1)
        assert line.link.fate == "aborted"

    in_loop(scenario)


@pytest.mark.parametrize("end", ["quiet", "drain"])
def test_an_idle_connection_is_closed_and_then_cut_off(end):
    async def scenario():
        line = Line(*ECHO, stall_max_s=9, keep_alive_s=70)
        line.send(GET)
        await line.answered()
        if end == "quiet":
            line.later(70)
        else:
            line.all.drain()
        assert line.link.fate == "closing"
        line.later(9)
        assert line.link.fate == "aborted"

    in_loop(scenario)


def test_a_busy_connection_outlives_a_drain_by_its_answer():
    async def scenario():
        held = Held()
        line = Line(Route("GET", "/a", held))
        line.send(GET)
        await held.begun.wait()
        line.all.drain()
        assert line.link.fate == "open"
        held.go.set()
        await line.answered()
        assert line.link.fate == "closing"
        gone = asyncio.create_task(line.all.gone())
        await asyncio.sleep(0)
        assert not gone.done()
        line.lose()
        await gone

    in_loop(scenario)


def test_an_answer_of_a_draining_server_says_that_it_is_the_last():
    async def scenario():
        go = asyncio.Event()

        async def slow(op, head, body, sink):
            await go.wait()
            await hello(op, head, body, sink)

        line = Line(*routes(slow))
        line.send(GET)
        await asyncio.sleep(0)
        line.all.drain()
        go.set()
        assert b"connection: close\r\n" in await line.answered()

    in_loop(scenario)


def test_what_is_left_at_the_end_is_cut_off():
    async def scenario():
        line = Line(*ECHO)
        line.all.abort()
        assert line.link.fate == "aborted"

    in_loop(scenario)


def test_a_lost_connection_is_judged_no_more():
    async def scenario():
        line = Line(*ECHO)
        line.lose()
        line.later(1000)
        assert line.link.fate == "open"
        assert len(line.all) == 0

    in_loop(scenario)
