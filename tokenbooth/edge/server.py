"""Listens, serves until a signal, and drains."""

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Clock
from tokenbooth.core.problem import Problem
from tokenbooth.edge.front import Front
from tokenbooth.edge.http1.connections import Connections
from tokenbooth.edge.options import EdgeOptions

LAST_WORDS_S = 5
BACKLOG = 2048
TICK_S = 1
# For the database, the engines, the log and the listener themselves.
FILES_RESERVED = 256
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def listen(options: EdgeOptions, *, shared: bool = False) -> socket.socket:
    """Bind the address now, so that a taken port is found before anything is started.

    A ``shared`` one bears others like it beside it; the kernel deals connections out to them.

    Raises STATE_CONFLICT naming the address.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # Named, because asyncio turns off Nagle only on sockets that say they are TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
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


def reserve(options: EdgeOptions) -> socket.socket:
    """Keep an address for the processes that will listen there; nobody reaches this socket.

    Raises STATE_CONFLICT naming the address, also where others share theirs already.
    """
    alone = listen(options)
    port = alone.getsockname()[1]
    alone.close()
    return listen(replace(options, port=port), shared=True)


class Server:
    """On the first signal: no new calls, running ones may finish for ``drain_max_s``, then
    ``cut_short`` ends them with an error that they can read. A second signal stops at once."""

    def __init__(
        self,
        front: Front,
        clock: Clock,
        *,
        ready: Callable[[], Awaitable[None]],
        cut_short: Callable[[], None],
        signals: Sequence[signal.Signals] = SIGNALS,
    ) -> None:
        """``ready`` runs once when the port answers; ``signals`` are those that end it."""
        self._front = front
        self._clock = clock
        self._ready = ready
        self._cut_short = cut_short
        self._signals = signals
        self._told = asyncio.Event()
        self._told_twice = asyncio.Event()

    async def serve(self, listener: socket.socket) -> None:
        """Until a signal, and then until every connection has ended."""
        loop, options = asyncio.get_running_loop(), self._front.options
        connections = Connections(
            self._front,
            loop,
            connections_max=connections_within(options),
            now_us=self._clock.now_us,
        )
        for each in self._signals:
            loop.add_signal_handler(each, self.stop)
        ticking = asyncio.create_task(_tick(connections))
        try:
            local = listener.family == socket.AF_UNIX
            begin = loop.create_unix_server if local else loop.create_server
            server = await begin(connections.accepted, sock=listener, backlog=BACKLOG)
            await self._ready()
            await self._told.wait()
            server.close()
            await self._drained(connections)
        finally:
            ticking.cancel()
            connections.abort()
            for each in self._signals:
                loop.remove_signal_handler(each)

    def stop(self) -> None:
        """What a signal asks for."""
        if self._told.is_set():
            self._told_twice.set()
        self._front.draining = True
        self._told.set()

    async def _drained(self, connections: Connections) -> None:
        connections.drain()
        gone = asyncio.create_task(connections.gone())
        hurried = asyncio.create_task(self._told_twice.wait())
        try:
            drain_max_s = self._front.options.drain_max_s
            if not await _first_of(gone, hurried, drain_max_s):
                self._front.cut_short()
                self._cut_short()
                await _first_of(gone, hurried, LAST_WORDS_S)
        finally:
            for each in (gone, hurried):
                each.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await each


async def _tick(connections: Connections) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        connections.tick()


async def _first_of(
    one: asyncio.Task[object], other: asyncio.Task[object], wait_max_s: float
) -> bool:
    """False when neither came in time."""
    done, _ = await asyncio.wait(
        {one, other}, timeout=wait_max_s, return_when=asyncio.FIRST_COMPLETED
    )
    return bool(done)
