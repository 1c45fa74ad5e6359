"""Responses over a WebSocket: each message is one call, and each stream does one at a time."""

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from functools import partial

from tokenbooth.admission.queue.service import Gate
from tokenbooth.admission.rates import service as rates
from tokenbooth.core.caller import Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Calls, Sink, Talk
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.headers import note_headers
from tokenbooth.gateway.prepare import prepare
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.serve import authenticate, serve
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.openai_responses.heard import (
    STEER,
    Message,
    MessageDialect,
    error_event,
    read_message,
    steer_refused,
)
from tokenbooth.web.event_sink import WELL, EventSink
from tokenbooth.web.free_turn import free_turn

PATH = "/v1/responses"
RUNNING_MAX = 16
STREAMS_MAX = 32
QUEUED_MAX = 32
AGE_MAX_S = 60 * 60
IDLE_MAX_S = 15 * 60
PREPARED_AT_ONCE = 4
PREPARED_QUEUE_MAX = 64
# RFC 6455 7.4.1.
GOING_AWAY, NOT_ALLOWED = 1001, 1008
UNAUTHENTICATED = 401
# Of the handshake alone: an idempotency key would give every message the first one's answer.
_OF_THE_HANDSHAKE = ("connection", "upgrade", "idempotency-key", "sec-websocket-")


@dataclass(frozen=True, slots=True)
class Queued:
    """A message that is read, and not begun; ``raw`` is what it was read from."""

    message: Message
    raw: bytes


class ResponseTalks:
    """The endpoint: opens a talk for whoever may call models."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._turns = Gate(PREPARED_AT_ONCE, PREPARED_QUEUE_MAX)

    async def __call__(self, op: Op, head: CallHead, talk: Talk, calls: Calls) -> None:
        caller = await authenticate(self._rooms, op, head, Scope.INFERENCE)
        talk.open(rates.headers(self._rooms.rates.state(caller)))
        await ResponseSocket(self._rooms, op, head, talk, calls, self._turns).run()


class ResponseSocket:
    """One socket. Its messages wait for their stream, and for a place among those that run; while
    too many wait, or the other end takes nothing, no more are heard."""

    def __init__(
        self, rooms: Rooms, op: Op, head: CallHead, talk: Talk, calls: Calls, turns: Gate
    ) -> None:
        headers = {
            name: said
            for name, said in head.headers.items()
            if not name.startswith(_OF_THE_HANDSHAKE)
        }
        self._rooms = rooms
        self._op = op
        self._head = CallHead("POST", PATH, headers, {}, {})
        self._talk = talk
        self._calls = calls
        self._turns = turns
        self._memory = rooms.responses.socket_memory()
        self._waiting: dict[str | None, deque[Queued]] = {None: deque()}
        self._running: dict[str | None, EventSink] = {}
        self._tasks: set[asyncio.Future[None]] = set()
        self._room = asyncio.Event()
        self._room.set()
        self._pressed = self._gone = False
        self._loop = asyncio.get_running_loop()
        self._until_s = self._loop.time() + AGE_MAX_S

    async def run(self) -> None:
        """Until either side wants its end, and every call that runs has come to its own."""
        self._talk.listen(self)
        try:
            reason = await self._heard_out()
            while self._tasks:
                await asyncio.wait(self._tasks)
            if isinstance(reason, Problem):
                self._refuse(reason, None)
                reason = reason.public
            self._talk.close(GOING_AWAY, reason)
        finally:
            self._memory.close()

    # What the talk tells.

    def gone(self) -> None:
        self._gone = True
        for waiting in self._waiting.values():
            while waiting:
                self._talk.forget(waiting.popleft().raw)
        self._room.set()
        for sink in tuple(self._running.values()):
            sink.gone()

    def pressure(self, high: bool) -> None:
        self._pressed = high
        for sink in tuple(self._running.values()):
            sink.press(high=high)
        self._go_on()

    # What is heard.

    async def _heard_out(self) -> Problem | str:
        """Take every message; why there are no more."""
        while True:
            await self._room.wait()
            if self._loop.time() >= self._until_s:
                return self._too_old()
            wait_s = min(IDLE_MAX_S, self._until_s - self._loop.time())
            try:
                async with asyncio.timeout(wait_s):
                    raw = await self._talk.hear()
            except TimeoutError:
                if self._loop.time() < self._until_s and not self._tasks:
                    return "Nothing was asked for too long."
                continue
            if raw is None:
                return "The server is stopping."
            self._take(raw)
            self._go_on()

    def _take(self, raw: bytes) -> None:
        stream_id: str | None = None
        try:
            message = read_message(raw)
            stream_id = message.stream_id
            self._check_stream(stream_id)
        except Problem as problem:
            self._refuse(problem, stream_id)
            self._talk.forget(raw)
            return
        if message.type == STEER:
            target = message.fields.get("previous_response_id")
            lanes = (name for name, sink in self._running.items() if sink.answers(target))
            self._talk.say(steer_refused(message, next(lanes, None)))
            self._talk.forget(raw)
            return
        self._waiting.setdefault(stream_id, deque()).append(Queued(message, raw))

    def _check_stream(self, stream_id: str | None) -> None:
        # The unnamed one is always there.
        if stream_id not in self._waiting and len(self._waiting) > STREAMS_MAX:
            raise Problem(
                Code.STREAM_LIMIT_REACHED,
                f"This WebSocket has {STREAMS_MAX} named streams, and may not have more.",
                param="stream_id",
            )

    def _too_old(self) -> Problem:
        """What waits is refused by name, too."""
        problem = Problem(
            Code.SOCKET_LIMIT_REACHED,
            f"This WebSocket is {AGE_MAX_S // 60} minutes old; open another one.",
        )
        for name, waiting in self._waiting.items():
            while waiting:
                self._talk.forget(waiting.popleft().raw)
                self._refuse(problem, name)
        return problem

    def _refuse(self, problem: Problem, stream_id: str | None) -> None:
        answer = OPENAI_RESPONSES.refusal(problem, self._op.request_id)
        self._talk.say(error_event(answer, stream_id))

    # What runs.

    def _go_on(self) -> None:
        """Begin what can begin, and say whether more may be heard."""
        for name, waiting in self._waiting.items():
            free = name not in self._running and len(self._running) < RUNNING_MAX
            if waiting and free and not self._pressed:
                self._begin(name, waiting.popleft())
        queued = [each for waiting in self._waiting.values() for each in waiting]
        queued_bytes = sum(len(each.raw) for each in queued)
        crowded = len(queued) >= QUEUED_MAX or queued_bytes > self._rooms.options.body_bytes_max
        if (crowded or self._pressed) and not self._gone:
            self._room.clear()
        else:
            self._room.set()

    def _begin(self, name: str | None, queued: Queued) -> None:
        sink = EventSink(self._talk, name)
        answer = partial(self._answer, queued.message, sink)
        call = asyncio.ensure_future(self._calls.begin(answer, self._head, queued.raw, sink))
        self._running[name] = sink
        self._tasks.add(call)
        call.add_done_callback(partial(self._ended, name, queued, sink))

    async def _answer(
        self, message: Message, ours: EventSink, op: Op, head: CallHead, body: Body, sink: Sink
    ) -> None:
        ours.belongs(op.request_id)
        lane = self._memory.lane(message.stream_id)
        rooms = replace(self._rooms, responses=self._rooms.responses.beside(lane))
        dialect = MessageDialect(message)
        if message.generates:
            await serve(rooms, dialect, op, head, body, sink)
            return
        turn = free_turn(self._turns, "preparations")
        made = await prepare(rooms, dialect, op, head, body, turn)
        limits = rates.headers(rooms.rates.state(made.caller))
        sink.start(WELL, (*note_headers(made.notes), *limits))
        sink.write(made.events)
        sink.end()

    def _ended(
        self, name: str | None, queued: Queued, sink: EventSink, call: asyncio.Future[None]
    ) -> None:
        self._tasks.discard(call)
        del self._running[name]
        self._talk.forget(queued.raw)
        if sink.failed:
            self._memory.lane(name).failed(queued.message.previous_id)
        if sink.status == UNAUTHENTICATED:
            self._talk.close(NOT_ALLOWED, "The key is no longer good.")
        self._go_on()
