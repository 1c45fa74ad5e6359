"""Calls that go on to the process behind, over a socket of its own."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.front import front
from tokenbooth.core.op import Op
from tokenbooth.core.problem import Problem
from tokenbooth.edge.front import FORWARDED, Asked, ReadBody
from tokenbooth.edge.http1.connections import Connections
from tokenbooth.edge.routes import Route
from tokenbooth.fleet import forward as module
from tokenbooth.fleet.forward import Forward


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 0, {}, b""
        self.started = self.ended = False
        self.listener = None

    def start(self, status, headers):
        self.started, self.status, self.headers = True, status, dict(headers)

    def write(self, chunk):
        self.body += chunk

    def end(self):
        self.ended = True

    def listen(self, listener):
        self.listener = listener


def asked(method: str = "GET", path: str = "/a b", near: bool = True, **headers: str) -> Asked:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Asked("req_7", method, path, "x=1", {"host": "h", **named}, lambda: near)


def op() -> Op:
    return Op(request_id="req_7", now=lambda: 0, log=None)  # type: ignore[arg-type]


async def tell(op, head, body, sink):
    raw = await body.read(10)
    sink.start(200, (("content-type", "text/plain"), ("x-ratelimit-limit-requests", "9")))
    sink.write(f"{op.request_id} {head.method} {head.path} {dict(head.query)} {raw!r} ".encode())
    sink.write(",".join(sorted(head.headers)).encode())
    sink.end()


ROUTES = [
    Route("GET", "/a b", tell),
    Route("POST", "/a b", tell),
    Route("GET", "/here", tell, loopback_only=True),
]


def behind(tmp_path: Path, scene: Callable[[Forward], Awaitable[None]], *routes: Route) -> None:
    """``scene`` with a server behind, at the other end of a Unix socket."""

    async def scenario() -> None:
        served = front(*(routes or ROUTES))
        served.behind = True
        loop = asyncio.get_running_loop()
        connections = Connections(served, loop, connections_max=10, now_us=lambda: 0)
        path = str(tmp_path / "control")
        server = await loop.create_unix_server(connections.accepted, path)
        forward = Forward(path)
        try:
            async with asyncio.timeout(10):
                await scene(forward)
        finally:
            forward.close()
            connections.abort()
            server.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(connections.gone(), 1)

    asyncio.run(scenario())


def test_a_call_comes_as_it_was_with_its_id_and_only_with_headers_of_its_own(tmp_path):
    async def scene(forward):
        for method, body in (("POST", b"{}"), ("GET", b""), ("HEAD", b"")):
            sink = Kept()
            told = asked(method, connection="keep-alive", te="trailers", accept="*/*")
            told.headers[FORWARDED] = "req_forged near"
            await forward(op(), told, ReadBody(body), sink)
            verb = "GET" if method == "HEAD" else method
            length = ",content-length" if body else ""
            said = f"req_7 {verb} /a b {{'x': '1'}} {body!r} accept{length},host"
            assert (sink.status, sink.body.decode(), sink.ended) == (200, said, True)
            assert sink.headers == {"content-type": "text/plain"}

    behind(tmp_path, scene)


def test_what_is_for_this_machine_stays_hidden_from_others(tmp_path):
    async def scene(forward):
        for near, status in ((True, 200), (False, 404)):
            sink = Kept()
            await forward(op(), asked(path="/here", near=near), ReadBody(b""), sink)
            assert sink.status == status

    behind(tmp_path, scene)


def test_a_stream_goes_on_as_it_comes_and_waits_for_its_reader(tmp_path):
    go = asyncio.Event()

    async def stream(op, head, body, sink):
        sink.start(200, (("content-type", "text/event-stream"),))
        sink.write(b"one")
        await go.wait()
        sink.write(b"two")
        sink.end()

    async def scene(forward):
        sink = Kept()
        task = asyncio.create_task(forward(op(), asked(), ReadBody(b""), sink))
        while not sink.body:
            await asyncio.sleep(0)
        assert (sink.body, sink.ended) == (b"one", False)
        sink.listener.pressure(True)
        go.set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert sink.body == b"one"
        sink.listener.pressure(False)
        await task
        assert (sink.body, sink.ended) == (b"onetwo", True)

    behind(tmp_path, scene, Route("GET", "/a b", stream))


def test_a_caller_that_hangs_up_is_told_to_the_server_behind(tmp_path):
    gone = asyncio.Event()

    class Listening:
        def gone(self):
            gone.set()

        def pressure(self, high):
            """Not here."""

    async def stream(op, head, body, sink):
        sink.listen(Listening())
        sink.start(200, (("content-type", "text/event-stream"),))
        sink.write(b"one")
        await gone.wait()
        sink.end()

    async def scene(forward):
        sink = Kept()
        task = asyncio.create_task(forward(op(), asked(), ReadBody(b""), sink))
        while not sink.body:
            await asyncio.sleep(0)
        sink.listener.gone()
        await gone.wait()
        await task

    behind(tmp_path, scene, Route("GET", "/a b", stream))


def test_a_connection_that_was_let_go_of_is_replaced(tmp_path):
    async def scene(forward):
        await forward(op(), asked(), ReadBody(b""), Kept())
        (connection,) = forward._free
        connection._transport.close()
        sink = Kept()
        await forward(op(), asked(), ReadBody(b""), sink)
        assert sink.status == 200

    behind(tmp_path, scene)


def test_nobody_behind_is_said_so_and_soon_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CONNECT_PAUSE_S", 0)

    async def scenario():
        forward = Forward(str(tmp_path / "nobody"))
        for _ in range(3):
            with pytest.raises(Problem) as caught:
                await forward(op(), asked(), ReadBody(b""), Kept())
            assert (caught.value.code.text, caught.value.retry_after_s) == (
                "server_shutting_down",
                1,
            )

    asyncio.run(scenario())


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"])
def test_an_answer_that_breaks_off_is_an_error(tmp_path, said):
    async def scenario():
        async def hear(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            writer.close()

        path = str(tmp_path / "control")
        server = await asyncio.start_unix_server(hear, path)
        sink = Kept()
        with pytest.raises(Problem):
            await Forward(path)(op(), asked(), ReadBody(b""), sink)
        assert not sink.started
        server.close()

    asyncio.run(scenario())


def test_a_front_that_stands_alone_believes_no_caller():
    headers = {FORWARDED: "req_forged near"}
    alone = front(*ROUTES)
    told = alone.asked("GET", ("/a", ""), headers, lambda: False)
    assert (told.request_id, told.near()) == ("req_1", False)
    alone.behind = True
    told = alone.asked("GET", ("/a", ""), headers, lambda: False)
    assert (told.request_id, told.near(), told.headers) == ("req_forged", True, {})


def nobody(tmp_path, monkeypatch, scene) -> None:
    """``scene`` with a way to a process that is not there, and room for two calls at once."""
    monkeypatch.setattr(module, "CONNECT_PAUSE_S", 0)
    monkeypatch.setattr(module, "CONNECTIONS_MAX", 2)

    async def scenario() -> None:
        forward = Forward(str(tmp_path / "control"))
        async with asyncio.timeout(10):
            await scene(forward)
        forward.close()

    asyncio.run(scenario())


def test_calls_that_end_while_they_look_for_the_process_behind_hold_no_room(tmp_path, monkeypatch):
    async def scene(forward):
        for _ in range(5):
            call = asyncio.create_task(forward(op(), asked(), ReadBody(b""), Kept()))
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        with pytest.raises(Problem) as caught:
            await forward(op(), asked(), ReadBody(b""), Kept())
        assert caught.value.code.text == "server_shutting_down"

    nobody(tmp_path, monkeypatch, scene)


def test_more_calls_than_there_is_room_for_are_refused_at_once(tmp_path, monkeypatch):
    async def scene(forward):
        calls = [
            asyncio.create_task(forward(op(), asked(), ReadBody(b""), Kept())) for _ in range(3)
        ]
        with pytest.raises(Problem) as caught:
            await calls[2]
        assert (caught.value.code.text, caught.value.retry_after_s) == ("engine_overloaded", 1)
        for call in calls[:2]:
            call.cancel()
        await asyncio.wait(calls)

    nobody(tmp_path, monkeypatch, scene)


def test_the_process_behind_may_come_while_a_call_waits_for_it(tmp_path, monkeypatch):
    async def scene(forward):
        call = asyncio.create_task(forward(op(), asked(), ReadBody(b""), sink := Kept()))
        await asyncio.sleep(0)

        async def hear(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.transport.abort()
            left.set()

        left = asyncio.Event()
        server = await asyncio.start_unix_server(hear, str(tmp_path / "control"))
        await call
        assert (sink.status, sink.body, sink.ended) == (200, b"hi", True)
        forward.close()
        await left.wait()
        server.close()
        await asyncio.sleep(0)

    nobody(tmp_path, monkeypatch, scene)


def test_an_answer_that_does_not_begin_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HEAD_WAIT_MAX_S", 0.01)

    async def scenario():
        came = asyncio.Event()

        async def hear(reader, writer):
            with contextlib.suppress(ConnectionError):
                await reader.read()
            came.set()
            writer.close()

        server = await asyncio.start_unix_server(hear, str(tmp_path / "control"))
        with pytest.raises(Problem) as caught:
            await Forward(str(tmp_path / "control"))(op(), asked(), ReadBody(b""), Kept())
        assert caught.value.retry_after_s == 1
        await came.wait()
        server.close()

    asyncio.run(scenario())
