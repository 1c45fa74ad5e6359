"""The first front of the ten steps: a plain ASGI application."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import parse_qsl

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead, Ids
from tokenbooth.core.problem import Problem
from tokenbooth.edge.asgi_body import AsgiBody, BodySpace, Receive
from tokenbooth.edge.asgi_sink import AsgiSink, Send
from tokenbooth.edge.options import EdgeOptions
from tokenbooth.edge.routes import Refusal, Route, RouteTable

QUERY_FIELDS_MAX = 64


class AsgiFront:
    """Gives every call an id and a sink, and every path an answer in the caller's dialect.

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
        self._options = options
        self._calls: set[asyncio.Task[None]] = set()
        self._bodies: set[AsgiBody] = set()
        self._space = BodySpace(options.bodies_bytes_max)
        self.draining = False

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._call(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def idle(self) -> None:
        """Wait until every call has ended."""
        while self._calls:
            await asyncio.wait(self._calls)

    def cut_short(self) -> None:
        """No call waits for the rest of its body any more; for a server that stops."""
        for body in self._bodies:
            body.cut_short()

    async def _call(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        op = self._new_op(self.ids.new("req"))
        sink = AsgiSink(send, op.request_id, self._options, head_only=scope["method"] == "HEAD")
        watchers: list[asyncio.Task[None]] = []
        headers = _headers(scope)
        body = AsgiBody(
            receive,
            headers,
            space=self._space,
            wait_max_s=self._options.body_wait_max_s,
            on_complete=lambda: watchers.append(asyncio.create_task(_watch(body, sink))),
        )
        call = asyncio.create_task(self._answer(op, scope, headers, body, sink))
        self._calls.add(call)
        self._bodies.add(body)
        call.add_done_callback(self._calls.discard)
        call.add_done_callback(lambda _: body.release())
        try:
            await sink.drain(body.linger)
            await asyncio.shield(call)
        finally:
            sink.gone()
            self._bodies.discard(body)
            for watcher in watchers:
                watcher.cancel()

    async def _answer(
        self,
        op: Op,
        scope: Mapping[str, Any],
        headers: Mapping[str, str],
        body: AsgiBody,
        sink: AsgiSink,
    ) -> None:
        problem: Problem | None = None
        try:
            route, path_values = self._route(scope)
            head = CallHead(scope["method"], scope["path"], headers, _query(scope), path_values)
            await route.endpoint(op, head, body, sink)
        except Problem as refused:
            problem = refused
        except Exception as fault:  # noqa: BLE001  the request edge: nothing may escape unanswered
            op.log.fault("call_broke", fault, request_id=op.request_id)
            problem = Problem(
                Code.INTERNAL, f"A fault of the server; quote the request id {op.request_id}."
            )
        if problem is not None and not sink.started:
            match = self._table.match(scope["method"], scope["path"])
            worded = (match and match.refusal) or self.refusal
            answer = worded(problem, op.request_id)
            sink.start(answer.status, answer.headers)
            sink.write(answer.body)
        sink.end()

    def _route(self, scope: Mapping[str, Any]) -> tuple[Route, Mapping[str, str]]:
        method, path = scope["method"], scope["path"]
        if self.draining:
            raise Problem(Code.SHUTTING_DOWN, "The server is stopping; try again.", retry_after_s=5)
        if len(self._calls) > self._options.calls_max:
            raise Problem(Code.ENGINE_BUSY, "The server has too many calls open.", retry_after_s=1)
        match = self._table.match(method, path)
        hidden = match is not None and match.route is not None and match.route.loopback_only
        if match is None or (hidden and not _from_loopback(scope)):
            raise Problem(Code.PATH_NOT_FOUND, f"Nothing is served at {path[:200]!r}.")
        if match.route is None:
            allowed = ", ".join(match.allowed)
            raise Problem(
                Code.METHOD_NOT_ALLOWED,
                f"{method[:20]} is not served at this path; {allowed} is.",
                facts={"allow": allowed},
            )
        return match.route, match.path_values


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _query(scope: Mapping[str, Any]) -> dict[str, str]:
    raw = scope["query_string"].decode("latin-1")
    try:
        return dict(parse_qsl(raw, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX))
    except ValueError:
        raise Problem(
            Code.INVALID_VALUE, f"The query string has more than {QUERY_FIELDS_MAX} fields."
        ) from None


def _from_loopback(scope: Mapping[str, Any]) -> bool:
    client = scope.get("client")
    if client is None:
        return False
    try:
        address = ip_address(str(client[0]).partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


async def _watch(body: AsgiBody, sink: AsgiSink) -> None:
    await body.until_gone()
    sink.gone()


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
