"""Which upgrades lead to a WebSocket, and how the others are answered."""

import asyncio
import json

import pytest
from websockets.frames import Frame, Opcode

from tests.support.front import hello, in_loop
from tests.support.sockets import PATH, Peer
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.edge.routes import Route

KEY = "c2l4dGVlbiBieXRlcyEhIQ=="
SHAKE = (
    f"GET {PATH} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    f"sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n\r\n"
)


def test_what_comes_behind_the_handshake_is_heard():
    async def scenario():
        peer = Peer()
        early = Frame(Opcode.TEXT, b"early").serialize(mask=True)
        peer.line.send(peer.asked() + early[:4])
        assert not peer.link.reading
        peer.link.protocol.data_received(early[4:])
        assert peer.link.written == b""
        await peer.settled()
        assert peer.answer.status_code == 101
        assert peer.endpoint.texts == [b"early"]

    in_loop(scenario)


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        (PATH, "/other"),
        ("GET", "POST"),
        ("\r\nhost", "\r\ncontent-length: 2\r\nhost"),
        ("\r\nhost", "\r\ntransfer-encoding: chunked\r\nhost"),
        ("websocket\r\n", "h2c\r\n"),
    ],
)
def test_any_other_upgrade_is_declined_by_serving_the_call(said, instead):
    async def scenario():
        routes = [Route(m, p, hello) for m in ("GET", "POST") for p in (PATH, "/other")]
        peer = Peer(None, *routes)
        chunked = "transfer-encoding" in instead
        behind = "2\r\n{}\r\n0\r\n\r\n" if chunked else "{}" if "length" in instead else ""
        peer.line.send((SHAKE.replace(said, instead, 1) + behind).encode())
        assert (await peer.line.answered()).startswith(b"HTTP/1.1 200")
        assert peer.endpoint.talk is None

    in_loop(scenario)


def test_an_upgrade_behind_a_running_call_is_declined():
    async def scenario():
        peer = Peer(None, Route("GET", PATH, hello))
        peer.line.send(b"GET /talk HTTP/1.1\r\nhost: x\r\n\r\n" + SHAKE.encode())
        assert (await peer.line.answered()).count(b"HTTP/1.1 200") == 2

    in_loop(scenario)


def test_an_upgrade_with_a_head_that_is_too_large_is_refused_as_any():
    async def scenario():
        peer = Peer()
        peer.line.send(SHAKE.replace("host: x", "host: x\r\nx-more: " + "a" * 33_000).encode())
        assert (await peer.line.answered()).startswith(b"HTTP/1.1 413")
        assert peer.endpoint.talk is None

    in_loop(scenario)


@pytest.mark.parametrize(
    ("said", "instead"),
    [(KEY, "short"), ("sec-websocket-key", "x-key"), ("version: 13", "version: 8")],
)
def test_a_broken_handshake_is_refused_by_name(said, instead):
    async def scenario():
        peer = Peer()
        peer.line.send(SHAKE.replace(said, instead).encode())
        head, _, body = (await peer.line.answered()).decode().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 400")
        assert "sec-websocket-version: 13" in head
        assert json.loads(body)["error"]["code"] == "malformed_http"
        assert peer.link.fate == "closing"

    in_loop(scenario)


def test_what_the_endpoint_refuses_is_answered_before_the_upgrade():
    async def refusing(op, head, talk, calls):
        raise Problem(Code.INVALID_KEY, "Not that one.")

    async def scenario():
        peer = Peer(refusing)
        peer.line.send(peer.asked())
        written = (await peer.line.answered()).decode()
        assert written.startswith("HTTP/1.1 401")
        body = written.partition("\r\n\r\n")[2]
        assert f"content-length: {len(body)}\r\n" in written
        assert "connection: close" in written
        peer.line.lose()
        assert len(peer.line.all) == 0

    in_loop(scenario)


def test_a_peer_that_leaves_before_the_answer_is_nobody():
    go = asyncio.Event()

    async def slow(op, head, talk, calls):
        await go.wait()
        if head.headers.get("x-open"):
            talk.open(())
            assert await talk.hear() is None
            talk.say(b"lost")
        else:
            raise Problem(Code.INVALID_KEY, "Not that one.")

    async def scenario():
        for more in ({}, {"x_open": "1"}):
            go.clear()
            peer = Peer(slow)
            peer.line.send(peer.asked(**more))
            await peer.settled()
            peer.link.fate = "closing"
            peer.line.lose()
            go.set()
            assert await peer.line.answered() == b""

    in_loop(scenario)


def test_a_server_that_stops_opens_none():
    async def scenario():
        peer = Peer()
        peer.front.draining = True
        peer.line.send(peer.asked())
        assert (await peer.line.answered()).startswith(b"HTTP/1.1 503")

    in_loop(scenario)
