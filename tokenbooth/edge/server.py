"""Runs an ASGI front under uvicorn, and drains it on SIGTERM."""

import asyncio
import resource
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.edge.asgi import AsgiFront
from tokenbooth.edge.connection import BoundedConnection, Bounds
from tokenbooth.edge.options import EdgeOptions

LAST_WORDS_S = 5
# For the database, the engines, the log and the listener themselves.
FILES_RESERVED = 256


def listen(options: EdgeOptions) -> socket.socket:
    """Bind the address now, so that a taken port is found before anything is started.

    Raises STATE_CONFLICT naming the address.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # Named, because asyncio turns off Nagle only on sockets that say they are TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What lies in the kernel counts as delivered and is paid for; by itself it grows to megabytes.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, options.pressure_low_bytes)
    try:
        listener.bind((options.host, options.port))
    except OSError as refused:
        listener.close()
        raise Problem(
            Code.STATE_CONFLICT,
            f"Cannot listen on {options.host}:{options.port}: {refused.strerror}. Free the port, "
            "or choose another with --port.",
        ) from None
    return listener


def connections_within(options: EdgeOptions) -> int:
    """As many connections as were asked for and the open-file limit, raised if need be, allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = options.connections_max + FILES_RESERVED
    if soft == resource.RLIM_INFINITY:
        return options.connections_max
    if soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return max(1, min(options.connections_max, soft - FILES_RESERVED))


class DrainingServer(uvicorn.Server):
    """On the first signal: no new calls, running ones may finish for ``drain_max_s``, then
    ``cut_short`` ends them with an error that they can read. A second signal stops at once."""

    def __init__(
        self,
        front: AsgiFront,
        options: EdgeOptions,
        *,
        ready: Callable[[], Awaitable[None]],
        cut_short: Callable[[], None],
    ) -> None:
        """``ready`` runs once when the port answers."""
        super().__init__(_config(front, options))
        self._front = front
        self._drain_max_s = options.drain_max_s
        self._ready = ready
        self._cut_short = cut_short
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        if self.started:
            await self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The signal ends here: uvicorn would raise it again after serving, and the rooms behind
        the front still have to settle and close."""
        if self.should_exit:
            self.force_exit = True
            return
        self.should_exit = True
        self._front.draining = True
        if self._loop is not None:
            self._timer = self._loop.call_later(self._drain_max_s, self._time_over)

    def _time_over(self) -> None:
        self._front.cut_short()
        self._cut_short()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self._timer is not None:
            self._timer.cancel()


def _config(front: AsgiFront, options: EdgeOptions) -> uvicorn.Config:
    app: Any = front
    bounds = Bounds(options, connections_within(options), front.ids, front.refusal)
    connection: Any = partial(BoundedConnection, bounds)
    return uvicorn.Config(
        app,
        http=connection,
        loop="none",
        lifespan="off",
        ws="none",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=options.drain_max_s + LAST_WORDS_S,
    )
