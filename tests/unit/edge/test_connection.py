"""An accepted connection: heads in time and within a size, no call lost, nobody waited for."""

import pytest

from tests.support.calls import ECHO, GET, HEAD, echo, refused, routes, said
from tests.support.front import hello, in_loop
from tests.support.link import Line
from tokenbooth.edge.http1.connection import PIPELINED_MAX
from tokenbooth.edge.http1.reading import HEAD_BYTES_MAX, HEADERS_MAX
from tokenbooth.edge.routes import Route


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


@pytest.mark.parametrize(
    "lines",
    [b"x: " + b"a" * HEAD_BYTES_MAX + b"\r\n", b"x: y\r\n" * HEADERS_MAX],
    ids=["bytes", "headers"],
)
def test_a_head_over_its_bound_is_refused_in_one_piece_too(lines):
    async def scenario():
        line = Line(*ECHO)
        line.send(GET[:-2] + lines + b"\r\n" + GET)
        assert refused(line.link.written) == (413, "head_too_large")
        assert line.front.ids.made == 1

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
