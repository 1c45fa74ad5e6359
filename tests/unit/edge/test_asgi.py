"""The ASGI front: an id on everything, problems in the dialect, ends that are always told."""

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.support.asgi import Peer
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.problem import Problem
from tokenbooth.edge.asgi import AsgiFront
from tokenbooth.edge.options import EdgeOptions
from tokenbooth.edge.routes import Route
from tokenbooth.protocols.problems import openai_refusal


class Notes:
    """A log that remembers."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def event(self, name: str, **fields: object) -> None:
        """Normal events do not matter here."""

    def fault(self, name: str, error: BaseException | None = None, **fields: object) -> None:
        self.faults.append(name)


class Counter:
    def __init__(self) -> None:
        self.made = 0

    def new(self, prefix: str) -> str:
        self.made += 1
        return f"{prefix}_{self.made}"


LOG = Notes()


def front(*routes: Route, log: Notes = LOG, **options: int) -> AsgiFront:
    def new_op(request_id: str) -> Op:
        return Op(request_id=request_id, now=lambda: 0, log=log)

    return AsgiFront(
        routes,
        new_op=new_op,
        ids=Counter(),
        refusal=openai_refusal,
        options=EdgeOptions(**options),
    )


def in_loop(scenario: Callable[[], object]) -> None:
    """Run an async scenario with a bound, so that a hang is a failure."""

    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scenario()  # type: ignore[misc]

    asyncio.run(bounded())


async def hello(op, head, body, sink):
    sink.start(200, (("content-type", "text/plain"),))
    sink.write(b"hello")
    sink.end()


def test_an_answer_has_its_id_its_length_and_its_body():
    async def scenario():
        peer = Peer(path="/hello")
        await front(Route("GET", "/hello", hello))(peer.scope, peer.receive, peer.send)
        assert (peer.status, peer.answer) == (200, b"hello")
        assert peer.answer_headers["x-request-id"] == "req_1"
        assert peer.answer_headers["content-length"] == "5"
        assert peer.complete

    in_loop(scenario)


def test_head_gets_the_head_and_no_body():
    async def scenario():
        peer = Peer(method="HEAD", path="/hello")
        await front(Route("GET", "/hello", hello))(peer.scope, peer.receive, peer.send)
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
        await front(Route("GET", "/hello", hello))(peer.scope, peer.receive, peer.send)
        error = json.loads(peer.answer)["error"]
        assert (peer.status, error["code"]) == (status, code)
        assert peer.answer_headers["x-request-id"] == error["request_id"]
        assert len(peer.answer) < 1000

    in_loop(scenario)


def test_405_names_the_allowed_methods():
    async def scenario():
        peer = Peer(method="DELETE", path="/hello")
        await front(Route("GET", "/hello", hello))(peer.scope, peer.receive, peer.send)
        assert peer.answer_headers["allow"] == "GET, HEAD"

    in_loop(scenario)


def test_a_fault_of_ours_is_an_internal_error_without_a_trace():
    async def broken(op, head, body, sink):
        raise RuntimeError("secret detail")

    async def scenario():
        log = Notes()
        peer = Peer(path="/broken")
        await front(Route("GET", "/broken", broken), log=log)(peer.scope, peer.receive, peer.send)
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
        await front(Route("GET", "/broken", broken))(peer.scope, peer.receive, peer.send)
        assert (peer.status, peer.answer) == (200, b"part")
        assert peer.complete

    in_loop(scenario)


def test_a_route_for_this_machine_is_hidden_from_others():
    routes = (Route("GET", "/metrics", hello, loopback_only=True),)

    async def scenario():
        for client, status in (
            (("127.0.0.1", 1), 200),
            (("::1", 1), 200),
            (("10.0.0.7", 1), 404),
            (None, 404),
        ):
            peer = Peer(path="/metrics", client=client)
            await front(*routes)(peer.scope, peer.receive, peer.send)
            assert peer.status == status

    in_loop(scenario)


def test_a_draining_front_refuses_with_retry_advice():
    async def scenario():
        app = front(Route("GET", "/hello", hello))
        app.draining = True
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

        app = front(Route("GET", "/slow", slow), calls_max=1)
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
        await front(Route("GET", "/", look))(peer.scope, peer.receive, peer.send)
        assert seen == {"x-a": "1, 2", "x-b": "\xff"}

    in_loop(scenario)


def test_query_fields_are_decoded_and_bounded():
    seen = {}

    async def look(op, head, body, sink):
        seen.update(head.query)
        await hello(op, head, body, sink)

    async def scenario():
        app = front(Route("GET", "/", look))
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
        await front(Route("POST", "/", stream))(peer.scope, peer.receive, peer.send)
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

        app = front(Route("GET", "/", slow))
        peer = Peer(path="/")
        connection = asyncio.create_task(app(peer.scope, peer.receive, peer.send))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        connection.cancel()
        await asyncio.gather(connection, return_exceptions=True)
        assert done == []
        release.set()
        await app.idle()
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
        app = front(Route("GET", "/", flood), pressure_high_bytes=500, pressure_low_bytes=100)
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
        await front(Route("GET", "/", stream), stall_max_s=0)(peer.scope, peer.receive, peer.send)
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
        await front(Route("POST", "/", late))(peer.scope, peer.receive, peer.send)
        assert ear.heard == ["gone"]

    in_loop(scenario)


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_a_body_arrives_whole_in_any_pieces(pieces):
    async def scenario():
        got = []

        async def echo(op, head, body, sink):
            got.append(await body.read(1000))
            await hello(op, head, body, sink)

        peer = Peer(method="POST", path="/", body=b"abcdefg" * 20, body_pieces=pieces)
        await front(Route("POST", "/", echo))(peer.scope, peer.receive, peer.send)
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
        await front(Route("POST", "/", echo))(peer.scope, peer.receive, peer.send)
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
        await front(Route("POST", "/", echo))(peer.scope, peer.receive, peer.send)
        assert peer.status == 200

    in_loop(scenario)


def test_a_body_that_never_ends_is_a_clients_fault():
    async def scenario():
        async def echo(op, head, body, sink):
            await body.read(10)

        peer = Peer(method="POST", path="/", hold_body=True)
        await front(Route("POST", "/", echo), body_wait_max_s=0)(
            peer.scope, peer.receive, peer.send
        )
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
        await front(Route("POST", "/", echo), log=log)(peer.scope, peer.receive, peer.send)
        assert log.faults == []
        assert peer.status == 400

    in_loop(scenario)


def test_a_problem_of_an_endpoint_is_answered_in_the_dialect():
    async def refuse(op, head, body, sink):
        raise Problem(Code.MODEL_NOT_FOUND, "no such model", param="model")

    async def scenario():
        peer = Peer(path="/")
        await front(Route("GET", "/", refuse))(peer.scope, peer.receive, peer.send)
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

        app = front()
        await app({"type": "lifespan"}, receive, send)
        await app({"type": "websocket"}, receive, send)
        assert [m["type"] for m in sent] == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
            "websocket.close",
        ]

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
        await front(Route("POST", "/", refuse))(peer.scope, watched, peer.send)
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
        await front(Route("POST", "/", refuse))(peer.scope, endless, peer.send)
        assert peer.complete
        assert len(pieces) == 8

    in_loop(scenario)


def test_a_refused_peer_that_stops_sending_is_waited_for_only_a_while(monkeypatch):
    monkeypatch.setattr("tokenbooth.edge.asgi_body.LINGER_MAX_S", 0)

    async def scenario():
        async def refuse(op, head, body, sink):
            raise Problem(Code.MISSING_KEY, "no key")

        peer = Peer(method="POST", path="/", hold_body=True)
        await front(Route("POST", "/", refuse))(peer.scope, peer.receive, peer.send)
        assert peer.complete

    in_loop(scenario)
