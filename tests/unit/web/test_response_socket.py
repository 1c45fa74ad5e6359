"""One socket: its streams, its queue, its bounds of time, and every way to end."""

import asyncio
import json
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.front import LOG
from tests.support.memory_loop import passing, run
from tokenbooth.admission.queue.service import Gate
from tokenbooth.content.responses.service import Content
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead
from tokenbooth.gateway.lanes import Said, SocketMemory
from tokenbooth.gateway.tee import AnswerSpace
from tokenbooth.web.event_sink import EventSink
from tokenbooth.web.response_socket import (
    AGE_MAX_S,
    IDLE_MAX_S,
    QUEUED_MAX,
    RUNNING_MAX,
    STREAMS_MAX,
    ResponseSocket,
)

BODY_BYTES_MAX = 2000
HEADERS = {
    "authorization": "Bearer k",
    "idempotency-key": "once",
    "sec-websocket-key": "x",
    "upgrade": "websocket",
    "connection": "upgrade",
    "user-agent": "test",
}


class MemoryTalk:
    """Both ends in one place; ``kept_bytes`` are of what was heard and not forgotten."""

    def __init__(self) -> None:
        self.texts: deque[bytes | None] = deque()
        self.came = asyncio.Event()
        self.said: list[Any] = []
        self.closed: tuple[int, str] | None = None
        self.listener: Any = None
        self.kept_bytes = 0

    def put(self, *texts: bytes | None) -> None:
        self.texts.extend(texts)
        self.came.set()

    async def hear(self) -> bytes | None:
        while not self.texts:
            self.came.clear()
            await self.came.wait()
        text = self.texts.popleft()
        self.kept_bytes += len(text or b"")
        return text

    def forget(self, text: bytes) -> None:
        self.kept_bytes -= len(text)
        assert self.kept_bytes >= 0, "forgotten twice"

    def say(self, text: bytes) -> None:
        self.said.append(json.loads(text))

    def close(self, code: int, reason: str) -> None:
        assert len(reason.encode()) <= 123
        self.closed = self.closed or (code, reason)

    def listen(self, listener: Any) -> None:
        self.listener = listener


class Listener:
    def __init__(self) -> None:
        self.told: list[object] = []

    def gone(self) -> None:
        self.told.append("gone")

    def pressure(self, high: bool) -> None:
        self.told.append(high)


class HeldCalls:
    """Calls that end when the test says so."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, EventSink]] = []
        self.heads: list[CallHead] = []
        self._ends: dict[str, asyncio.Event] = {}

    def begin(self, answer: Any, head: Any, raw: bytes, sink: Any) -> asyncio.Task[None]:
        name = json.loads(raw)["input"]
        self.begun.append((name, sink))
        self.heads.append(head)
        self._ends[name] = asyncio.Event()

        async def held() -> None:
            await self._ends[name].wait()
            sink.end()

        return asyncio.create_task(held())

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.begun]

    def sink(self, name: str) -> EventSink:
        return dict(self.begun)[name]

    def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()


class Scene:
    def __init__(self) -> None:
        self.talk, self.calls = MemoryTalk(), HeldCalls()
        self.memory = SocketMemory(AnswerSpace(1000), 1000)
        rooms: Any = SimpleNamespace(
            responses=SimpleNamespace(socket_memory=lambda: self.memory),
            options=SimpleNamespace(body_bytes_max=BODY_BYTES_MAX),
        )
        op = Op(request_id="req_0", now=lambda: 0, log=LOG)
        head = CallHead("GET", "/v1/responses", HEADERS, {}, {})
        socket = ResponseSocket(rooms, op, head, self.talk, self.calls, Gate(1, 1))
        self.running = asyncio.create_task(socket.run())

    async def ask(self, *names: str, stream: str | None = None, **more: Any) -> None:
        for name in names:
            fields = {"type": "response.create", "input": name, "stream_id": stream, **more}
            self.talk.put(json.dumps(fields).encode())
        await self.settled()

    async def end(self, *names: str) -> None:
        self.calls.end(*names)
        await self.settled()

    async def settled(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)

    async def over(self) -> tuple[int, str] | None:
        await self.running
        assert self.talk.kept_bytes == 0, "all is forgotten"
        return self.talk.closed


def in_hours(scenario):
    """A bound in the loop's own time, so that a hang is a failure."""

    async def bounded():
        async with asyncio.timeout(3 * AGE_MAX_S):
            await scenario()

    run(bounded())


def plays(scenario):
    def test():
        async def played():
            await scenario(Scene())

        in_hours(played)

    test.__name__ = scenario.__name__
    return test


@plays
async def test_a_stream_does_one_after_the_other_and_streams_run_together(scene):
    await scene.ask("a1", "a2", stream="a")
    await scene.ask("b1", stream="b")
    await scene.ask("n1", "n2")
    assert scene.calls.names == ["a1", "b1", "n1"]
    await scene.end("a1")
    assert scene.calls.names[3:] == ["a2"]
    await scene.end("n1", "b1")
    assert scene.calls.names[4:] == ["n2"]
    scene.talk.put(None)
    await scene.end("a2", "n2")
    assert await scene.over() == (1001, "The server is stopping.")


@plays
async def test_the_headers_of_the_handshake_are_not_those_of_a_call(scene):
    await scene.ask("one")
    (head,) = scene.calls.heads
    assert head.headers == {"authorization": "Bearer k", "user-agent": "test"}
    assert (head.method, head.path) == ("POST", "/v1/responses")
    scene.talk.put(None)
    await scene.end("one")
    await scene.over()


@plays
async def test_so_many_run_at_once_and_so_many_wait(scene):
    names = [f"s{n}" for n in range(STREAMS_MAX)]
    for name in names:
        await scene.ask(name, stream=name)
    assert scene.calls.names == names[:RUNNING_MAX]
    for n in range(QUEUED_MAX):
        await scene.ask(f"n{n}")
    assert len(scene.talk.texts) == RUNNING_MAX, "not heard: 16 run and 32 wait"
    await scene.end(*names[:RUNNING_MAX])
    assert scene.calls.names[RUNNING_MAX:] == ["n0", *names[RUNNING_MAX : 2 * RUNNING_MAX - 1]]
    assert not scene.talk.texts
    scene.talk.listener.gone()
    scene.talk.put(None)
    await scene.end(*scene.calls.names)
    await scene.over()


@plays
async def test_long_messages_wait_in_smaller_numbers(scene):
    await scene.ask("one", "two", "three", "four", instructions="x" * (BODY_BYTES_MAX // 2))
    assert (scene.calls.names, len(scene.talk.texts)) == (["one"], 1)
    await scene.end("one")
    assert (scene.calls.names, len(scene.talk.texts)) == (["one", "two"], 0)
    scene.talk.put(None)
    for name in ("two", "three", "four"):
        await scene.end(name)
    await scene.over()


@plays
async def test_a_stream_too_many_is_refused_by_its_name(scene):
    for n in range(STREAMS_MAX):
        await scene.ask(f"{n}", stream=f"s{n}")
        await scene.end(f"{n}")
    await scene.ask("unnamed")
    await scene.ask("again", stream="s1")
    await scene.ask("too many", stream="more")
    (error,) = scene.talk.said
    assert (error["stream_id"], error["status"]) == ("more", 400)
    assert error["error"]["code"] == "websocket_stream_limit_reached"
    assert scene.calls.names[-2:] == ["unnamed", "again"]
    scene.talk.put(None)
    await scene.end("unnamed", "again")
    await scene.over()


@plays
async def test_what_is_no_message_is_answered_and_forgotten(scene):
    scene.talk.put(b"nonsense", b'{"type":"response.steer","previous_response_id":"resp_1"}')
    await scene.settled()
    error, steered = scene.talk.said
    assert error["error"]["code"] == "malformed_json"
    assert error["error"]["request_id"] == "req_0"
    assert steered["type"] == "response.steer.failed"
    scene.talk.put(None)
    await scene.over()


@plays
async def test_a_reader_that_has_enough_is_asked_for_nothing_more(scene):
    await scene.ask("one", stream="s")
    listener = Listener()
    scene.calls.sink("one").listen(listener)
    scene.talk.listener.pressure(True)
    await scene.ask("two")
    await scene.end("one")
    assert (scene.calls.names, len(scene.talk.texts)) == (["one"], 0)
    await scene.ask("three")
    assert len(scene.talk.texts) == 1
    scene.talk.listener.pressure(False)
    await scene.settled()
    assert scene.calls.names == ["one", "two"]
    assert listener.told == [True]
    scene.talk.put(None)
    await scene.end("two")
    await scene.end("three")
    await scene.over()


@plays
async def test_who_goes_away_ends_what_runs_and_what_waits(scene):
    await scene.ask("one", "two")
    listener = Listener()
    scene.calls.sink("one").listen(listener)
    memory = Said("resp_1", None, Content(b"[]", b"{}"))
    scene.memory.put(None, memory)
    scene.talk.listener.gone()
    scene.talk.put(None)
    assert listener.told == ["gone"]
    await scene.end("one")
    await scene.over()
    assert scene.calls.names == ["one"]
    assert scene.memory.found("resp_1") is None


@plays
async def test_a_socket_has_its_age(scene):
    for n in range(AGE_MAX_S // IDLE_MAX_S + 1):
        await scene.ask(f"{n}")
        if n < 4:
            await passing(IDLE_MAX_S - 1)
            await scene.end(f"{n}")
    await scene.ask("last")
    await passing(IDLE_MAX_S)
    assert scene.talk.closed is None, "a call still runs"
    waited, *others = scene.talk.said
    assert not others
    assert waited["error"]["code"] == "websocket_connection_limit_reached"
    await scene.ask("not heard")
    await scene.end("4")
    assert (await scene.over())[0] == 1001
    assert scene.talk.said[-1]["error"]["code"] == "websocket_connection_limit_reached"
    assert scene.talk.said[-1]["status"] == 400
    assert "last" not in scene.calls.names


@plays
async def test_a_socket_that_is_asked_nothing_ends_and_one_at_work_does_not(scene):
    await scene.ask("long")
    await passing(IDLE_MAX_S * 2)
    assert scene.talk.closed is None
    await scene.end("long")
    assert await scene.over() == (1001, "Nothing was asked for too long.")


@plays
async def test_at_a_stop_what_waits_is_begun_to_be_refused(scene):
    await scene.ask("one", "two")
    scene.talk.put(None)
    await scene.end("one")
    assert scene.calls.names == ["one", "two"]
    assert scene.talk.closed is None
    await scene.end("two")
    assert (await scene.over())[0] == 1001


@plays
async def test_a_key_that_is_no_longer_good_ends_it(scene):
    await scene.ask("one")
    sink = scene.calls.sink("one")
    sink.start(401, ())
    sink.write(b'{"error":{"code":"revoked_api_key"}}')
    await scene.end("one")
    assert scene.talk.said[0]["error"]["code"] == "revoked_api_key"
    scene.talk.put(None)
    assert (await scene.over())[0] == 1008


@pytest.mark.parametrize(
    ("stream", "previous", "status", "kept"),
    [
        ("s", "resp_1", 404, False),
        ("s", "resp_1", 200, True),
        ("s", "resp_0", 404, True),
        ("s", None, 404, True),
        ("other", "resp_1", 404, True),
    ],
)
def test_a_stream_that_fails_to_go_on_forgets_where(stream, previous, status, kept):
    async def scenario():
        scene = Scene()
        scene.memory.put("s", Said("resp_1", None, Content(b"[]", b"{}")))
        await scene.ask("one", stream=stream, previous_response_id=previous)
        scene.calls.sink("one").start(status, ())
        await scene.end("one")
        assert (scene.memory.found("resp_1") is not None) is kept
        scene.talk.put(None)
        await scene.over()

    in_hours(scenario)
