"""Bodies: whole in any pieces, bounded in bytes and time, and taken in before a refusal closes."""

import asyncio
import json

import pytest

from tests.support.asgi import Peer
from tests.support.front import Notes, asgi, hello, in_loop
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.edge.routes import Route


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_a_body_arrives_whole_in_any_pieces(pieces):
    async def scenario():
        got = []

        async def echo(op, head, body, sink):
            got.append(await body.read(1000))
            await hello(op, head, body, sink)

        peer = Peer(method="POST", path="/", body=b"abcdefg" * 20, body_pieces=pieces)
        await asgi(Route("POST", "/", echo))(peer.scope, peer.receive, peer.send)
        assert got == [b"abcdefg" * 20]

    in_loop(scenario)


@pytest.mark.parametrize("announced", [None, b"11", b"9" * 30])
def test_a_body_over_the_bound_is_refused_as_soon_as_it_is_known(announced):
    async def scenario():
        async def echo(op, head, body, sink):
            await body.read(10)
            raise AssertionError("must be refused")

        headers = [] if announced is None else [(b"content-length", announced)]
        peer = Peer(method="POST", path="/", body=b"x" * 11, body_pieces=3, headers=headers)
        await asgi(Route("POST", "/", echo))(peer.scope, peer.receive, peer.send)
        assert peer.status == 413
        assert json.loads(peer.answer)["error"]["body_bytes_max"] == 10

    in_loop(scenario)


@pytest.mark.parametrize("announced", [b"-1", b"abc", b"\xb2", b"", b"1" * 60])
def test_a_strange_length_is_not_believed(announced):
    async def scenario():
        async def echo(op, head, body, sink):
            assert await body.read(10) == b"x"
            await hello(op, head, body, sink)

        peer = Peer(method="POST", path="/", body=b"x", headers=[(b"content-length", announced)])
        await asgi(Route("POST", "/", echo))(peer.scope, peer.receive, peer.send)
        assert peer.status == 200

    in_loop(scenario)


def test_a_body_that_never_ends_is_a_clients_fault():
    async def scenario():
        async def echo(op, head, body, sink):
            await body.read(10)

        peer = Peer(method="POST", path="/", hold_body=True)
        await asgi(Route("POST", "/", echo), body_wait_max_s=0)(peer.scope, peer.receive, peer.send)
        assert peer.status == 400
        assert json.loads(peer.answer)["error"]["code"] == "body_timeout"

    in_loop(scenario)


def test_a_peer_that_hangs_up_inside_its_body_leaves_no_fault():
    async def scenario():
        log = Notes()

        async def echo(op, head, body, sink):
            await body.read(10)

        peer = Peer(method="POST", path="/", hold_body=True)
        peer.hang_up()
        await asgi(Route("POST", "/", echo), log=log)(peer.scope, peer.receive, peer.send)
        assert log.faults == []
        assert peer.status == 400

    in_loop(scenario)


def test_a_refused_peer_may_finish_sending_before_the_connection_closes():
    async def scenario():
        async def refuse(op, head, body, sink):
            raise Problem(Code.MISSING_KEY, "no key")

        peer = Peer(method="POST", path="/", body=b"x" * 100, body_pieces=5)
        order: list[str] = []
        receive = peer.receive

        async def watched():
            message = await receive()
            order.append("body" if message["type"] == "http.request" else "gone")
            return message

        peer.on_message = lambda m: order.append("end" if m.get("more_body") is False else "out")
        await asgi(Route("POST", "/", refuse))(peer.scope, watched, peer.send)
        assert order == ["out", "out", *["body"] * 5, "end"]
        assert peer.status == 401

    in_loop(scenario)


def test_a_refused_peer_that_sends_without_end_is_not_listened_to_for_ever():
    async def scenario():
        async def refuse(op, head, body, sink):
            raise Problem(Code.MISSING_KEY, "no key")

        pieces = []

        async def endless():
            pieces.append(1)
            return {"type": "http.request", "body": b"x" * (8 << 20), "more_body": True}

        peer = Peer(method="POST", path="/")
        await asgi(Route("POST", "/", refuse))(peer.scope, endless, peer.send)
        assert peer.complete
        assert len(pieces) == 8

    in_loop(scenario)


def test_a_refused_peer_that_stops_sending_is_waited_for_only_a_while(monkeypatch):
    monkeypatch.setattr("tokenbooth.edge.asgi_body.LINGER_MAX_S", 0)

    async def scenario():
        async def refuse(op, head, body, sink):
            raise Problem(Code.MISSING_KEY, "no key")

        peer = Peer(method="POST", path="/", hold_body=True)
        await asgi(Route("POST", "/", refuse))(peer.scope, peer.receive, peer.send)
        assert peer.complete

    in_loop(scenario)


@pytest.mark.parametrize("reading", [True, False])
def test_a_stopping_server_waits_for_no_body(reading):
    """Before the read begins as in the middle of it, and only for calls of that front."""

    async def scenario():
        stuck, go = asyncio.Event(), asyncio.Event()

        async def slow(op, head, body, sink):
            stuck.set()
            if not reading:
                await go.wait()
            await body.read(10)
            raise AssertionError("must be cut short")

        app = asgi(Route("POST", "/", slow))
        peer = Peer(method="POST", path="/", body=b"x", hold_body=True)
        running = asyncio.create_task(app(peer.scope, peer.receive, peer.send))
        await stuck.wait()
        await asyncio.sleep(0)
        app.front.cut_short()
        go.set()
        while not peer.messages:
            await asyncio.sleep(0)
        peer.hang_up()
        await running
        assert peer.status == 503
        assert json.loads(peer.answer)["error"]["code"] == "server_shutting_down"
        app.front.cut_short()

    in_loop(scenario)


def test_the_bodies_of_all_open_calls_share_one_room():
    async def scenario():
        go = asyncio.Event()
        reading: list[int] = []

        async def keep(op, head, body, sink):
            reading.append(len(await body.read(1000)))
            await go.wait()
            await hello(op, head, body, sink)

        app = asgi(Route("POST", "/", keep), bodies_bytes_max=250)
        peers = [Peer(method="POST", path="/", body=b"x" * 100, body_pieces=3) for _ in range(4)]
        running = [asyncio.create_task(app(p.scope, p.receive, p.send)) for p in peers[:3]]
        while not peers[2].messages:
            await asyncio.sleep(0)
        assert reading == [100, 100]
        assert peers[2].status == 503
        assert json.loads(peers[2].answer)["error"]["code"] == "engine_overloaded"
        go.set()
        await asyncio.gather(*running)
        await app(peers[3].scope, peers[3].receive, peers[3].send)
        assert [p.status for p in peers] == [200, 200, 503, 200]

    in_loop(scenario)
