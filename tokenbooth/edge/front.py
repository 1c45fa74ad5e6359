"""What every server in front of the ten steps shares: routes, the bound on calls, their ends."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Ids, Sink
from tokenbooth.core.problem import Problem
from tokenbooth.edge.options import EdgeOptions
from tokenbooth.edge.routes import Refusal, Route, RouteTable
from tokenbooth.edge.space import BodySpace

QUERY_FIELDS_MAX = 64


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
    near: Callable[[], bool]


class OpenBody(Body, Protocol):
    """A body whose call can end, or be ended, before all of it has come."""

    def release(self) -> None:
        """The call has ended, and what it was asked with is needed no more."""

    def cut_short(self) -> None:
        """``read`` waits no longer and raises SHUTTING_DOWN."""


class Front:
    """Gives every path an answer in the caller's dialect.

    Each call runs in a task of its own that a closed connection does not cancel.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        new_op: Callable[[str], Op],
        ids: Ids,
        refusal: Refusal,
        options: EdgeOptions,
    ) -> None:
        self._table = RouteTable(routes)
        self._new_op = new_op
        self.ids = ids
        self.refusal = refusal
        self.options = options
        self.space = BodySpace(options.bodies_bytes_max)
        self._calls: dict[str, tuple[asyncio.Task[None], OpenBody]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False

    def begin(self, asked: Asked, body: OpenBody, sink: Sink) -> asyncio.Task[None]:
        """Answer one call; the task ends when its sink has ended."""
        call = asyncio.create_task(self._answer(asked, body, sink))
        self._calls[asked.request_id] = call, body
        self._idle.clear()
        return call

    async def idle(self) -> None:
        """Wait until every call has ended."""
        await self._idle.wait()

    def cut_short(self) -> None:
        """No call waits for the rest of its body any more; for a server that stops."""
        for _, body in self._calls.values():
            body.cut_short()

    async def _answer(self, asked: Asked, body: OpenBody, sink: Sink) -> None:
        try:
            await self._answered(asked, body, sink)
        finally:
            sink.end()
            body.release()
            del self._calls[asked.request_id]
            if not self._calls:
                self._idle.set()

    async def _answered(self, asked: Asked, body: Body, sink: Sink) -> None:
        op = self._new_op(asked.request_id)
        try:
            route, path_values = self._route(asked)
            head = CallHead(
                asked.method, asked.path, asked.headers, _query(asked.query), path_values
            )
            await route.endpoint(op, head, body, sink)
            return
        except Problem as refused:
            problem = refused
        except Exception as fault:  # noqa: BLE001  the request edge: nothing may escape unanswered
            op.log.fault("call_broke", fault, request_id=op.request_id)
            problem = Problem(
                Code.INTERNAL, f"A fault of the server; quote the request id {op.request_id}."
            )
        if not sink.started:
            match = self._table.match(asked.method, asked.path)
            worded = (match and match.refusal) or self.refusal
            answer = worded(problem, op.request_id)
            sink.start(answer.status, answer.headers)
            sink.write(answer.body)

    def _route(self, asked: Asked) -> tuple[Route, Mapping[str, str]]:
        if self.draining:
            raise Problem(Code.SHUTTING_DOWN, "The server is stopping; try again.", retry_after_s=5)
        if len(self._calls) > self.options.calls_max:
            raise Problem(Code.ENGINE_BUSY, "The server has too many calls open.", retry_after_s=1)
        match = self._table.match(asked.method, asked.path)
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
