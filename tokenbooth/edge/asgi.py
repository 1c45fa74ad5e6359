"""The front as a plain ASGI application, for other people's servers and for embedding."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from tokenbooth.edge.asgi_body import AsgiBody, Receive
from tokenbooth.edge.asgi_sink import AsgiSink, Send
from tokenbooth.edge.front import Asked, Front
from tokenbooth.edge.peers import on_this_machine


class AsgiFront:
    """Speaks ASGI 3.0 for a Front."""

    def __init__(self, front: Front) -> None:
        self.front = front

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._call(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _call(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        front = self.front
        asked = Asked(
            front.ids.new("req"),
            scope["method"],
            scope["path"],
            scope["query_string"].decode("latin-1"),
            _headers(scope),
            partial(_from_loopback, scope),
        )
        head_only = scope["method"] == "HEAD"
        sink = AsgiSink(send, asked.request_id, front.options, head_only=head_only)
        watchers: list[asyncio.Task[None]] = []
        body = AsgiBody(
            receive,
            asked.headers,
            space=front.space,
            wait_max_s=front.options.body_wait_max_s,
            on_complete=lambda: watchers.append(asyncio.create_task(_watch(body, sink))),
        )
        call = front.begin(asked, body, sink)
        try:
            await sink.drain(body.linger)
            await asyncio.shield(call)
        finally:
            sink.gone()
            for watcher in watchers:
                watcher.cancel()


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _from_loopback(scope: Mapping[str, Any]) -> bool:
    client = scope.get("client")
    return client is not None and on_this_machine(client[0])


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
