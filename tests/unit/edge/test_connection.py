"""An accepted connection: heads in time and within a size, no call lost, nobody waited for."""

import asyncio
import json

import pytest

from tests.support.front import Notes, front, hello, in_loop
from tests.support.link import Line
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.edge.http1.body import AHEAD_BYTES_MAX, UNREAD_BYTES_MAX
from tokenbooth.edge.http1.connection import HEAD_BYTES_MAX, PIPELINED_MAX, UNREAD_MAX_S
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


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00",
        b"HELLO\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET /a HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n",
        b"GET nothing HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n-5\r\nhello",
        HEAD + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_not_http_is_named_and_has_an_id(raw):
    async def scenario():
        line = Line(*ECHO)
        line.send(raw)
        assert refused(await line.answered()) == (400, "malformed_http")
        assert line.link.fate == "closing"

    in_loop(scenario)


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


def test_targets_are_read_in_their_forms():
    async def scenario():
        line = Line(*routes(echo, "/a", "/a b", "/"))
        for target, path, query in (
            (b"/a?x=1&y=%20", "/a", {"x": "1", "y": " "}),
            (b"/a%20b", "/a b", {}),
            (b"http://host/a?x=2", "/a", {"x": "2"}),
            (b"http://host", "/", {}),
            (b"/a?x=3#part", "/a", {"x": "3"}),
        ):
            line.link.written = b""
            line.send(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % target)
            found = said(await line.answered())
            assert [found[1], found[4]] == [path, query]

    in_loop(scenario)


def test_a_peer_elsewhere_does_not_see_what_is_for_this_machine():
    async def scenario():
        for peer, status in (
            (("127.0.0.1", 1), b"200"),
            (("::1", 1, 0, 0), b"200"),
            (("10.0.0.7", 1), b"404"),
            ("", b"404"),
            (None, b"404"),
        ):
            line = Line(Route("GET", "/a", hello, loopback_only=True))
            line.link.peer = peer
            line.send(GET)
            assert (await line.answered())[9:12] == status

    in_loop(scenario)


def test_repeated_headers_are_joined_and_names_lowered():
    seen = {}

    async def look(op, head, body, sink):
        seen.update(head.headers)
        await hello(op, head, body, sink)

    async def scenario():
        line = Line(*routes(look))
        line.send(b"GET /a HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a: 2\r\nx-b: \xff\r\n\r\n")
        await line.answered()
        assert seen == {"host": "x", "x-a": "1, 2", "x-b": "\xff"}

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


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nx: ", HEAD])
def test_a_head_without_end_is_refused_at_its_bound(start):
    async def scenario():
        line, sent = Line(*ECHO), 0
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
        line = Line(*ECHO)
        line.send(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-late: 1\r\n\r\n")
        assert said(await line.answered())[2:4] == ["hi", ["host", "transfer-encoding"]]
        line.send(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n")
        for _ in range(100):
            line.send(b"x: " + b"a" * 995 + b"\r\n")
        assert line.link.is_closing()
        await line.answered()

    in_loop(scenario)


def test_a_body_in_tiny_chunks_is_no_head():
    async def scenario():
        line = Line(*ECHO)
        line.send(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(50_000):
            line.send(b"1\r\na\r\n")
        line.send(b"0\r\n\r\n")
        assert said(await line.answered())[2] == "a" * 50_000

    in_loop(scenario)


def test_a_peer_that_says_nothing_is_let_go():
    async def scenario():
        line = Line(*ECHO, head_wait_max_s=7)
        line.later(6)
        assert line.link.fate == "open"
        line.later(1)
        assert (line.link.fate, line.link.written) == ("aborted", b"")

    in_loop(scenario)


def test_half_a_head_is_told_that_its_time_is_over():
    async def scenario():
        line = Line(*ECHO, head_wait_max_s=7)
        line.send(b"GET / HT")
        line.later(7)
        assert refused(line.link.written) == (400, "head_timeout")

    in_loop(scenario)


def test_bytes_that_trickle_do_not_renew_the_time_of_a_head():
    async def scenario():
        line = Line(*ECHO, head_wait_max_s=60)
        for byte in GET[:-1]:
            line.send(bytes([byte]))
            line.later(1)
        line.later(60 - len(GET))
        line.send(GET[-1:])
        assert said(await line.answered())[0] == "GET"
        line = Line(*ECHO, head_wait_max_s=60)
        for byte in GET * 3:
            if not line.link.is_closing():
                line.send(bytes([byte]))
                line.later(2.9)
        assert line.link.fate == "closing"
        await line.answered()

    in_loop(scenario)


def test_blank_lines_between_calls_hold_no_connection():
    async def scenario():
        line = Line(*ECHO, head_wait_max_s=7, keep_alive_s=70)
        line.send(GET)
        await line.answered()
        line.later(69)
        line.send(b"\r\n")
        line.later(6)
        line.send(b"\r\n")
        assert line.link.fate == "open"
        line.later(1)
        assert refused(line.link.written[line.link.written.rindex(b"HTTP/") :])[0] == 400

    in_loop(scenario)


def test_one_connection_too_many_is_told_so():
    async def scenario():
        first = Line(*ECHO, connections_max=1)
        second = Line(among=first.all)
        assert refused(second.link.written) == (503, "engine_overloaded")
        assert b"retry-after: 1\r\n" in second.link.written
        second.lose()
        assert first.link.fate == "open"
        first.lose()
        assert Line(among=first.all).link.fate == "open"

    in_loop(scenario)


def test_pipelined_calls_are_answered_in_order():
    async def scenario():
        line = Line(*routes(echo, *(f"/{i}" for i in range(5))))
        line.send(b"".join(GET.replace(b"/a", b"/%d" % i) for i in range(5)))
        assert not line.link.reading
        written = await line.answered()
        assert [written.count(b'"/%d"' % i) for i in range(5)] == [1] * 5
        assert sorted(range(5), key=lambda i: written.index(b'"/%d"' % i)) == list(range(5))
        assert line.link.reading

    in_loop(scenario)


def test_too_many_pipelined_calls_end_the_connection():
    async def scenario():
        line = Line(*ECHO)
        line.send(GET * (PIPELINED_MAX + 2))
        assert line.link.fate == "aborted"
        line.lose()
        assert await line.answered() == b""

    in_loop(scenario)


def test_nothing_is_read_behind_the_call_that_wants_the_end():
    async def scenario():
        line = Line(*ECHO)
        line.send(GET.replace(b"host: x", b"host: x\r\nconnection: close") + GET)
        assert (await line.answered()).count(b"HTTP/1.1 200") == 1
        assert line.link.fate == "closing"

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


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket", b"foo"])
@pytest.mark.parametrize("cut", [None, 60, 125])
def test_an_upgrade_is_declined_by_serving_the_call(upgrade, cut):
    """Java's client asks for h2c with every first call; its body must not be lost."""

    async def scenario():
        line = Line(*ECHO)
        raw = (
            HEAD + b"connection: Upgrade, HTTP2-Settings\r\nupgrade: " + upgrade + b"\r\n"
            b"http2-settings: AAMAAABk\r\ncontent-length: 5\r\n\r\nhello"
        )
        line.send(*((raw,) if cut is None else (raw[:cut], raw[cut:])))
        found = said(await line.answered())
        assert found[:4] == ["POST", "/a", "hello", ["host", "content-length"]]

    in_loop(scenario)


def test_many_upgrades_in_one_piece_are_served_one_by_one():
    async def scenario():
        line = Line(*ECHO)
        line.send(b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n" * 9)
        written = await line.answered()
        assert written.count(b"HTTP/1.1 200") == 9

    in_loop(scenario)


def test_an_upgrade_that_asks_for_the_end_gets_it():
    async def scenario():
        line = Line(*ECHO)
        line.send(
            b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: close, upgrade\r\nupgrade: h2c\r\n\r\n"
        )
        assert b"connection: close" in await line.answered()
        assert line.link.fate == "closing"

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


def test_a_slow_peer_presses_and_releases():
    async def scenario():
        held = Held()
        line = Line(
            Route("GET", "/a", held), pressure_high_bytes=500, pressure_low_bytes=100, stall_max_s=9
        )
        line.link.blocked = True
        line.send(GET)
        await held.begun.wait()
        held.sink.write(b"x" * 600)
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
        held = Held()
        line = Line(
            Route("GET", "/a", held), pressure_high_bytes=500, pressure_low_bytes=100, stall_max_s=9
        )
        line.link.blocked = True
        line.send(GET)
        await held.begun.wait()
        held.sink.write(b"x" * 600)
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


# Bodies.


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
