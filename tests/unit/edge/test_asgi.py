"""The ASGI front: an id on everything, problems in the dialect, ends that are always told."""

import asyncio
import json

import pytest

from tests.support.asgi import Peer
from tests.support.front import Notes, asgi, hello, in_loop
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.edge.routes import Route
from tokenbooth.protocols.problems import anthropic_refusal


def test_an_answer_has_its_id_its_length_and_its_body():
    async def scenario():
        peer = Peer(path="/hello")
        await asgi(Route("GET", "/hello", hello))(peer.scope, peer.receive, peer.send)
        assert (peer.status, peer.answer) == (200, b"hello")
        assert peer.answer_headers["x-request-id"] == "req_1"
        assert peer.answer_headers["request-id"] == "req_1"
        assert peer.answer_headers["content-length"] == "5"
        assert peer.complete

    in_loop(scenario)


def test_head_gets_the_head_and_no_body():
    async def scenario():
        peer = Peer(method="HEAD", path="/hello")
        await asgi(Route("GET", "/hello", hello))(peer.scope, peer.receive, peer.send)
        assert (peer.status, peer.answer) == (200, b"")
        assert peer.complete

    in_loop(scenario)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "path_not_found"),
        ("GET", "/" + "x" * 5000, 404, "path_not_found"),
        ("DELETE", "/hello", 405, "method_not_allowed"),
        ("M" * 3000, "/hello", 405, "method_not_allowed"),
    ],
)
def test_unknown_paths_and_methods_answer_in_the_dialect(method, path, status, code):
    async def scenario():
        peer = Peer(method=method, path=path)
        await asgi(Route("GET", "/hello", hello))(peer.scope, peer.receive, peer.send)
        error = json.loads(peer.answer)["error"]
        assert (peer.status, error["code"]) == (status, code)
        assert peer.answer_headers["x-request-id"] == error["request_id"]
        assert len(peer.answer) < 1000

    in_loop(scenario)


def test_a_route_words_what_breaks_around_it_in_its_own_dialect():
    async def broken(op, head, body, sink):
        raise RuntimeError("secret detail")

    async def scenario():
        served = asgi(
            Route("GET", "/theirs", broken, refusal=anthropic_refusal),
            Route("GET", "/ours", broken),
            log=Notes(),
        )
        shapes = {}
        for path in ("/theirs", "/ours"):
            peer = Peer(path=path)
            await served(peer.scope, peer.receive, peer.send)
            shapes[path] = json.loads(peer.answer).get("type"), peer.status
        wrong = Peer(method="DELETE", path="/theirs")
        await served(wrong.scope, wrong.receive, wrong.send)
        assert (wrong.status, json.loads(wrong.answer)["type"]) == (405, "error")
        served.front.draining = True
        late = Peer(path="/theirs")
        await served(late.scope, late.receive, late.send)
        assert (late.status, json.loads(late.answer)["error"]["type"]) == (529, "overloaded_error")
        assert shapes == {"/theirs": ("error", 500), "/ours": (None, 500)}

    in_loop(scenario)


def test_405_names_the_allowed_methods():
    async def scenario():
        peer = Peer(method="DELETE", path="/hello")
        await asgi(Route("GET", "/hello", hello))(peer.scope, peer.receive, peer.send)
        assert peer.answer_headers["allow"] == "GET, HEAD"

    in_loop(scenario)


def test_a_fault_of_ours_is_an_internal_error_without_a_trace():
    async def broken(op, head, body, sink):
        raise RuntimeError("secret detail")

    async def scenario():
        log = Notes()
        peer = Peer(path="/broken")
        await asgi(Route("GET", "/broken", broken), log=log)(peer.scope, peer.receive, peer.send)
        assert peer.status == 500
        assert b"secret" not in peer.answer
        assert json.loads(peer.answer)["error"]["code"] == "internal_error"
        assert log.faults == ["call_broke"]

    in_loop(scenario)


def test_a_fault_after_the_answer_began_ends_the_answer():
    async def broken(op, head, body, sink):
        sink.start(200, ())
        sink.write(b"part")
        raise RuntimeError("late")

    async def scenario():
        peer = Peer(path="/broken")
        await asgi(Route("GET", "/broken", broken))(peer.scope, peer.receive, peer.send)
        assert (peer.status, peer.answer) == (200, b"part")
        assert peer.complete

    in_loop(scenario)


def test_a_route_for_this_machine_is_hidden_from_others():
    routes = (Route("GET", "/metrics", hello, loopback_only=True),)

    async def scenario():
        for client, status in (
            (("127.0.0.1", 1), 200),
            (("::1", 1), 200),
            (("127.9.9.9", 1), 200),
            (("::ffff:127.0.0.1", 1), 200),
            (("::1f", 1), 404),
            (("::ffff:10.0.0.7", 1), 404),
            (("127.evil", 1), 404),
            (("10.0.0.7", 1), 404),
            (None, 404),
        ):
            peer = Peer(path="/metrics", client=client)
            await asgi(*routes)(peer.scope, peer.receive, peer.send)
            assert peer.status == status

    in_loop(scenario)


def test_a_draining_front_refuses_with_retry_advice():
    async def scenario():
        app = asgi(Route("GET", "/hello", hello))
        app.front.draining = True
        peer = Peer(path="/hello")
        await app(peer.scope, peer.receive, peer.send)
        assert peer.status == 503
        assert peer.answer_headers["retry-after"] == "5"

    in_loop(scenario)


def test_more_calls_than_allowed_are_refused_not_queued():
    async def scenario():
        release = asyncio.Event()

        async def slow(op, head, body, sink):
            await release.wait()
            await hello(op, head, body, sink)

        app = asgi(Route("GET", "/slow", slow), calls_max=1)
        first, second = Peer(path="/slow"), Peer(path="/slow")
        running = asyncio.create_task(app(first.scope, first.receive, first.send))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await app(second.scope, second.receive, second.send)
        assert second.status == 503
        release.set()
        await running
        assert first.status == 200

    in_loop(scenario)


def test_repeated_headers_are_joined_and_names_lowered():
    seen = {}

    async def look(op, head, body, sink):
        seen.update(head.headers)
        await hello(op, head, body, sink)

    async def scenario():
        peer = Peer(path="/", headers=[(b"X-A", b"1"), (b"x-a", b"2"), (b"x-b", b"\xff")])
        await asgi(Route("GET", "/", look))(peer.scope, peer.receive, peer.send)
        assert seen == {"x-a": "1, 2", "x-b": "\xff"}

    in_loop(scenario)


def test_query_fields_are_decoded_and_bounded():
    seen = {}

    async def look(op, head, body, sink):
        seen.update(head.query)
        await hello(op, head, body, sink)

    async def scenario():
        app = asgi(Route("GET", "/", look))
        peer = Peer(query=b"a=1&a=2&b=%20&c")
        await app(peer.scope, peer.receive, peer.send)
        assert seen == {"a": "2", "b": " ", "c": ""}
        flood = Peer(query=b"&".join(b"a=1" for _ in range(100)))
        await app(flood.scope, flood.receive, flood.send)
        assert flood.status == 400

    in_loop(scenario)


class Ear:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def gone(self) -> None:
        self.heard.append("gone")

    def pressure(self, high: bool) -> None:
        self.heard.append(high)


def test_a_peer_that_hangs_up_is_heard_and_does_not_cancel_the_call():
    async def scenario():
        ear, finished = Ear(), []
        heard = asyncio.Event()
        ear.gone = lambda: (ear.heard.append("gone"), heard.set())

        async def stream(op, head, body, sink):
            await body.read(100)
            sink.listen(ear)
            sink.start(200, ())
            sink.write(b"one")
            await heard.wait()
            finished.append("resolved")
            sink.write(b"two")
            sink.end()

        peer = Peer(method="POST", path="/", body=b"{}")
        peer.on_message = lambda m: peer.hang_up() if m.get("body") == b"one" else None
        await asgi(Route("POST", "/", stream))(peer.scope, peer.receive, peer.send)
        assert ear.heard == ["gone"]
        assert finished == ["resolved"]
        assert b"two" not in peer.answer

    in_loop(scenario)


def test_a_cancelled_connection_leaves_the_call_running_until_idle():
    async def scenario():
        release, done = asyncio.Event(), []

        async def slow(op, head, body, sink):
            await release.wait()
            done.append("resolved")
            await hello(op, head, body, sink)

        app = asgi(Route("GET", "/", slow))
        peer = Peer(path="/")
        connection = asyncio.create_task(app(peer.scope, peer.receive, peer.send))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        connection.cancel()
        await asyncio.gather(connection, return_exceptions=True)
        assert done == []
        release.set()
        await app.front.idle()
        assert done == ["resolved"]

    in_loop(scenario)


def test_a_slow_peer_presses_and_releases():
    async def scenario():
        ear = Ear()

        async def flood(op, head, body, sink):
            sink.listen(ear)
            sink.start(200, ())
            for _ in range(10):
                sink.write(b"x" * 100)
            assert ear.heard == [True]
            peer.takes.set()
            while ear.heard != [True, False]:
                await asyncio.sleep(0)
            sink.end()

        peer = Peer(path="/")
        peer.takes.clear()
        app = asgi(Route("GET", "/", flood), pressure_high_bytes=500, pressure_low_bytes=100)
        await app(peer.scope, peer.receive, peer.send)
        assert peer.answer == b"x" * 1000

    in_loop(scenario)


def test_a_peer_that_takes_nothing_is_given_up():
    async def scenario():
        ear, heard = Ear(), asyncio.Event()
        ear.gone = heard.set

        async def stream(op, head, body, sink):
            sink.listen(ear)
            sink.start(200, ())
            sink.write(b"x")
            await heard.wait()
            sink.end()

        peer = Peer(path="/")
        peer.takes.clear()
        await asgi(Route("GET", "/", stream), stall_max_s=0)(peer.scope, peer.receive, peer.send)
        assert peer.messages == []

    in_loop(scenario)


def test_a_listener_that_comes_after_the_hang_up_is_told_at_once():
    async def scenario():
        ear = Ear()

        async def late(op, head, body, sink):
            await body.read(10)
            peer.hang_up()
            for _ in range(5):
                await asyncio.sleep(0)
            sink.listen(ear)
            sink.end()

        peer = Peer(method="POST", path="/", body=b"1")
        await asgi(Route("POST", "/", late))(peer.scope, peer.receive, peer.send)
        assert ear.heard == ["gone"]

    in_loop(scenario)


def test_a_problem_of_an_endpoint_is_answered_in_the_dialect():
    async def refuse(op, head, body, sink):
        raise Problem(Code.MODEL_NOT_FOUND, "no such model", param="model")

    async def scenario():
        peer = Peer(path="/")
        await asgi(Route("GET", "/", refuse))(peer.scope, peer.receive, peer.send)
        error = json.loads(peer.answer)["error"]
        assert (peer.status, error["param"]) == (404, "model")

    in_loop(scenario)


def test_lifespan_and_websockets_are_answered():
    async def scenario():
        sent: list[dict[str, object]] = []
        incoming = iter(({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}))

        async def receive():
            return next(incoming)

        async def send(message):
            sent.append(message)

        app = asgi()
        await app({"type": "lifespan"}, receive, send)
        await app({"type": "websocket"}, receive, send)
        assert [m["type"] for m in sent] == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
            "websocket.close",
        ]

    in_loop(scenario)
