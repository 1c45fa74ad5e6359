"""Bodies that a parser fills: whole in any pieces, bounded in bytes and in time."""

import asyncio

import pytest

from tests.support.calls import ECHO, GET, HEAD, echo, routes, said
from tests.support.front import Notes, front, hello, in_loop
from tests.support.link import Line
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.edge.http1.body import AHEAD_BYTES_MAX, UNREAD_BYTES_MAX
from tokenbooth.edge.http1.connection import UNREAD_MAX_S


def test_a_body_arrives_whole_in_any_pieces():
    async def scenario():
        raw = HEAD + b"content-length: 10\r\n\r\n0123456789"
        for cut in range(1, len(raw)):
            line = Line(*ECHO)
            line.send(raw[:cut])
            await asyncio.sleep(0)
            line.send(raw[cut:])
            assert said(await line.answered())[2] == "0123456789"

    in_loop(scenario)


def test_a_peer_that_waits_for_the_go_ahead_gets_it_when_its_body_is_wanted():
    async def scenario():
        line = Line(*ECHO)
        line.send(HEAD + b"content-length: 5\r\nexpect: 100-Continue\r\n\r\n")
        await asyncio.sleep(0)
        assert line.link.written == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.send(b"hello")
        assert b'"hello"' in await line.answered()
        assert line.link.fate == "open"

    in_loop(scenario)


def test_a_peer_that_waits_for_a_go_ahead_that_does_not_come_gets_the_end():
    async def refuse(op, head, body, sink):
        raise Problem(Code.MISSING_KEY, "no key")

    async def scenario():
        line = Line(*routes(refuse))
        line.send(HEAD + b"content-length: 5\r\nexpect: 100-continue\r\n\r\n")
        written = await line.answered()
        assert written.startswith(b"HTTP/1.1 401")
        assert line.link.fate == "closing"

    in_loop(scenario)


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_bound_is_refused_as_soon_as_it_is_known(announced):
    async def small(op, head, body, sink):
        await body.read(10)

    async def scenario():
        line = Line(*routes(small))
        if announced:
            line.send(HEAD + b"content-length: 11\r\n\r\n")
        else:
            line.send(HEAD + b"transfer-encoding: chunked\r\n\r\n8\r\n01234567\r\n")
            await asyncio.sleep(0)
            line.send(b"8\r\n01234567\r\n")
        written = await line.answered()
        assert written.startswith(b"HTTP/1.1 413")
        assert b'"body_bytes_max":10' in written.replace(b" ", b"")

    in_loop(scenario)


def test_a_body_that_does_not_come_is_a_clients_fault():
    async def scenario():
        line = Line(*ECHO, body_wait_max_s=30)
        line.send(HEAD + b"content-length: 5\r\n\r\nhe")
        await asyncio.sleep(0)
        line.later(0)
        line.later(29)
        assert line.link.written == b""
        line.later(1)
        written = await line.answered()
        assert written.startswith(b"HTTP/1.1 400")
        assert b'"body_timeout"' in written

    in_loop(scenario)


@pytest.mark.parametrize("reading", [True, False])
def test_a_peer_that_hangs_up_inside_its_body_leaves_no_fault(reading):
    async def scenario():
        log, go, ended = Notes(), asyncio.Event(), []

        async def slow(op, head, body, sink):
            if not reading:
                await go.wait()
            try:
                await body.read(10)
            except Problem as problem:
                ended.append(problem.code)
                raise

        line = Line(among=None)
        line.front = front(*routes(slow), log=log)
        line.all.front = line.front
        line.send(HEAD + b"content-length: 5\r\n\r\nhe")
        await asyncio.sleep(0)
        line.lose()
        go.set()
        assert await line.answered() == b""
        assert ended == [Code.BODY_TIMEOUT]
        assert log.faults == []

    in_loop(scenario)


@pytest.mark.parametrize("reading", [True, False])
def test_a_stopping_server_waits_for_no_body(reading):
    async def scenario():
        go = asyncio.Event()

        async def slow(op, head, body, sink):
            if not reading:
                await go.wait()
            await body.read(10)

        line = Line(*routes(slow))
        line.send(HEAD + b"content-length: 5\r\n\r\n")
        await asyncio.sleep(0)
        line.front.cut_short()
        line.front.cut_short()
        go.set()
        written = await line.answered()
        assert written.startswith(b"HTTP/1.1 503")
        assert b'"server_shutting_down"' in written

    in_loop(scenario)


def test_little_is_read_ahead_of_a_call_that_does_not_ask():
    async def scenario():
        go = asyncio.Event()

        async def slow(op, head, body, sink):
            await go.wait()
            await echo(op, head, body, sink)

        line = Line(*routes(slow))
        size_bytes = 3 * AHEAD_BYTES_MAX
        line.send(HEAD + b"content-length: %d\r\n\r\n" % size_bytes)
        line.send(b"x" * AHEAD_BYTES_MAX)
        assert line.link.reading
        line.send(b"x")
        assert not line.link.reading
        go.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert line.link.reading
        line.send(b"x" * (size_bytes - AHEAD_BYTES_MAX - 1))
        assert said(await line.answered())[2] == "x" * size_bytes
        assert line.link.reading

    in_loop(scenario)


def test_the_bodies_of_all_open_calls_share_one_room():
    async def scenario():
        go, reading = asyncio.Event(), []

        async def keep(op, head, body, sink):
            reading.append(len(await body.read(1000)))
            await go.wait()
            await hello(op, head, body, sink)

        first = Line(*routes(keep), bodies_bytes_max=250)
        lines = [first, *(Line(among=first.all) for _ in range(3))]
        raw = HEAD + b"content-length: 100\r\n\r\n"
        for line in lines[:3]:
            line.send(raw + b"x" * 40)
            await asyncio.sleep(0)
            line.send(b"x" * 60)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert reading == [100, 100]
        assert b'"engine_overloaded"' in lines[2].link.written
        go.set()
        await first.answered()
        lines[3].send(raw + b"x" * 100)
        await first.answered()
        assert [line.link.written[9:12] for line in lines] == [b"200", b"200", b"503", b"200"]

    in_loop(scenario)


async def refuse_all(op, head, body, sink):
    raise Problem(Code.MISSING_KEY, "no key")


def test_a_refused_peer_may_finish_sending_and_go_on():
    async def scenario():
        line = Line(*routes(refuse_all))
        line.send(HEAD + b"content-length: 1000\r\n\r\n")
        assert (await line.answered()).startswith(b"HTTP/1.1 401")
        line.send(b"x" * 500, b"x" * 500 + GET)
        assert (await line.answered()).count(b"HTTP/1.1 401") == 2
        assert line.link.fate == "open"

    in_loop(scenario)


def test_the_rest_of_a_refused_body_is_waited_for_only_a_while():
    async def scenario():
        line = Line(*routes(refuse_all))
        line.send(HEAD + b"content-length: 1000\r\n\r\n")
        await line.answered()
        line.send(b"x" * 10)
        line.later(UNREAD_MAX_S)
        assert line.link.fate == "closing"

    in_loop(scenario)


def test_the_rest_of_a_refused_body_is_not_taken_without_end():
    async def scenario():
        line = Line(*routes(refuse_all))
        line.send(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        await line.answered()
        piece = b"%x\r\n%b\r\n" % (8 << 20, b"x" * (8 << 20))
        for _ in range(UNREAD_BYTES_MAX // (8 << 20)):
            line.send(piece)
        assert line.link.fate == "open"
        line.send(piece)
        assert line.link.fate == "closing"

    in_loop(scenario)
