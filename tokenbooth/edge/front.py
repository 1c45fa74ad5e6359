"""What every server in front of the ten steps shares: routes, the bound on calls, their ends."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from urllib.parse import parse_qsl

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Ids, Sink, Talk
from tokenbooth.core.problem import Problem
from tokenbooth.edge.options import EdgeOptions
from tokenbooth.edge.routes import Endpoint, Match, Refusal, Route, RouteTable, TalkRoute
from tokenbooth.edge.space import BodySpace
from tokenbooth.protocols.dialect import Answer

QUERY_FIELDS_MAX = 64
# RFC 6455 7.4.1.
ENDED, BROKEN = 1000, 1011
Near = Callable[[], bool]
NEAR, FAR = "near", "far"
Work = Callable[[Op], Awaitable[None]]
# What one server says of a call to the one behind it, and a caller to nobody.
FORWARDED = "x-tokenbooth-forwarded"


@dataclass(slots=True)
class Asked:
    """One call as a server read it: ``path`` is decoded, ``query`` raw, ``headers`` as in CallHead.

    ``near`` says whether the peer is on this machine; it is asked of hidden routes alone.
    """

    request_id: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    near: Near


Elsewhere = Callable[[Op, Asked, Body, Sink], Awaitable[None]]


class OpenBody(Body, Protocol):
    """A body whose call can end, or be ended, before all of it has come."""

    def release(self) -> None:
        """The call has ended, and what it was asked with is needed no more."""

    def cut_short(self) -> None:
        """``read`` waits no longer and raises SHUTTING_DOWN."""


class OpenTalk(Talk, Protocol):
    """A talk as its server has it."""

    @property
    def opened(self) -> bool: ...

    def refuse(self, answer: Answer) -> None:
        """Instead of opening it."""


class ReadBody:
    """A body that is there already, and was bounded where it was read."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    async def read(self, bytes_max: int) -> bytes:
        return self._raw

    def release(self) -> None:
        self._raw = b""

    def cut_short(self) -> None:
        """Nothing is waited for."""


class Front:
    """Gives every path an answer in the caller's dialect.

    Each call runs in a task of its own that a closed connection does not cancel. What has no route
    here is answered ``elsewhere``, where there is such a place. A front ``behind`` another believes
    what that one says of a call: its id, and where its caller is.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        new_op: Callable[[str], Op],
        ids: Ids,
        refusal: Refusal,
        options: EdgeOptions,
        talks: Iterable[TalkRoute] = (),
    ) -> None:
        self._table = RouteTable(routes)
        self._talk_routes = {route.path: route for route in talks}
        self._new_op = new_op
        self.ids = ids
        self.refusal = refusal
        self.options = options
        self.space = BodySpace(options.bodies_bytes_max)
        self._calls: dict[str, tuple[asyncio.Task[None], OpenBody]] = {}
        self._talks: dict[str, asyncio.Task[None]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.elsewhere: Elsewhere | None = None
        self.behind = False
        self.draining = False

    def begin(self, asked: Asked, body: OpenBody, sink: Sink) -> asyncio.Task[None]:
        """Answer one call; the task ends when its sink has ended."""
        work = partial(self._routed, asked, body, sink)
        return self._begin(asked.request_id, work, body, sink, partial(self._worded, asked))

    def asked(
        self, method: str, target: tuple[str, str], headers: dict[str, str], near: Near
    ) -> Asked:
        """A call with its id; ``target`` is its path and query."""
        said = headers.pop(FORWARDED, "") if self.behind else ""
        if said:
            request_id, _, where = said.partition(" ")
            return Asked(request_id, method, *target, headers, lambda: where == NEAR)
        return Asked(self.ids.new("req"), method, *target, headers, near)

    def talk_at(self, path: str) -> TalkRoute | None:
        """What an upgrade to a WebSocket leads to there."""
        return self._talk_routes.get(path)

    def begin_talk(self, asked: Asked, route: TalkRoute, talk: OpenTalk) -> None:
        """Open a talk, or refuse it."""
        self._talks[asked.request_id] = asyncio.create_task(self._talk(asked, route, talk))
        self._idle.clear()

    def begin_within(
        self, route: TalkRoute, answer: Endpoint, head: CallHead, raw: bytes, sink: Sink
    ) -> asyncio.Task[None]:
        """Answer a call that was asked in a talk."""
        body = ReadBody(raw)

        async def work(op: Op) -> None:
            self._check_open()
            await answer(op, head, body, sink)

        return self._begin(self.ids.new("req"), work, body, sink, lambda: route.refusal)

    async def idle(self) -> None:
        """Wait until every call and every talk has ended."""
        await self._idle.wait()

    def cut_short(self) -> None:
        """No call waits for the rest of its body any more; for a server that stops."""
        for _, body in self._calls.values():
            body.cut_short()

    def _begin(
        self,
        request_id: str,
        work: Work,
        body: OpenBody,
        sink: Sink,
        worded: Callable[[], Refusal],
    ) -> asyncio.Task[None]:
        call = asyncio.create_task(self._answer(self._new_op(request_id), work, body, sink, worded))
        self._calls[request_id] = call, body
        self._idle.clear()
        return call

    async def _answer(
        self, op: Op, work: Work, body: OpenBody, sink: Sink, worded: Callable[[], Refusal]
    ) -> None:
        try:
            problem = await self._answered(op, work)
            if problem is not None and not sink.started:
                answer = worded()(problem, op.request_id)
                sink.start(answer.status, answer.headers)
                sink.write(answer.body)
        finally:
            sink.end()
            body.release()
            del self._calls[op.request_id]
            self._rest()

    async def _talk(self, asked: Asked, route: TalkRoute, talk: OpenTalk) -> None:
        op = self._new_op(asked.request_id)

        async def work(op: Op) -> None:
            self._check_open()
            head = CallHead(asked.method, asked.path, asked.headers, _query(asked.query), {})
            await route.endpoint(op, head, talk, TalkCalls(self, route))

        try:
            problem = await self._answered(op, work)
            if problem is None:
                talk.close(ENDED, "")
            elif talk.opened:
                talk.close(BROKEN, problem.public[:100])
            else:
                talk.refuse(route.refusal(problem, op.request_id))
        finally:
            del self._talks[op.request_id]
            self._rest()

    async def _answered(self, op: Op, work: Work) -> Problem | None:
        """What went wrong before, or around, the endpoint."""
        try:
            await work(op)
        except Problem as refused:
            return refused
        except Exception as fault:  # noqa: BLE001  the request edge: nothing may escape unanswered
            op.log.fault("call_broke", fault, request_id=op.request_id)
            return Problem(
                Code.INTERNAL, f"A fault of the server; quote the request id {op.request_id}."
            )
        return None

    async def _routed(self, asked: Asked, body: Body, sink: Sink, op: Op) -> None:
        self._check_open()
        match = self._table.match(asked.method, asked.path)
        if self.elsewhere is not None and (match is None or match.route is None):
            await self.elsewhere(op, asked, body, sink)
            return
        route, path_values = _found(asked, match)
        head = CallHead(asked.method, asked.path, asked.headers, _query(asked.query), path_values)
        await route.endpoint(op, head, body, sink)

    def _worded(self, asked: Asked) -> Refusal:
        match = self._table.match(asked.method, asked.path)
        return (match and match.refusal) or self.refusal

    def _rest(self) -> None:
        if not self._calls and not self._talks:
            self._idle.set()

    def _check_open(self) -> None:
        if self.draining:
            raise Problem(Code.SHUTTING_DOWN, "The server is stopping; try again.", retry_after_s=5)
        if len(self._calls) > self.options.calls_max:
            raise Problem(Code.ENGINE_BUSY, "The server has too many calls open.", retry_after_s=1)


class TalkCalls:
    """Begins the calls of one talk."""

    def __init__(self, front: Front, route: TalkRoute) -> None:
        self._front = front
        self._route = route

    def begin(self, answer: Endpoint, head: CallHead, raw: bytes, sink: Sink) -> asyncio.Task[None]:
        return self._front.begin_within(self._route, answer, head, raw, sink)


def _found(asked: Asked, match: Match | None) -> tuple[Route, Mapping[str, str]]:
    hidden = match is not None and match.route is not None and match.route.loopback_only
    if match is None or (hidden and not asked.near()):
        raise Problem(Code.PATH_NOT_FOUND, f"Nothing is served at {asked.path[:200]!r}.")
    if match.route is None:
        allowed = ", ".join(match.allowed)
        raise Problem(
            Code.METHOD_NOT_ALLOWED,
            f"{asked.method[:20]} is not served at this path; {allowed} is.",
            facts={"allow": allowed},
        )
    return match.route, match.path_values


def _query(raw: str) -> Mapping[str, str]:
    if not raw:
        return {}
    try:
        return dict(parse_qsl(raw, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX))
    except ValueError:
        raise Problem(
            Code.INVALID_VALUE, f"The query string has more than {QUERY_FIELDS_MAX} fields."
        ) from None
