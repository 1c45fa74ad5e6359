"""A control process and its workers in one test process: real Unix sockets, a clock that is set."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import msgspec

from tests.support.shares import Clock
from tokenbooth.admission.entry.service import GateBook
from tokenbooth.admission.rates.service import RateBook
from tokenbooth.admission.shares.service import Limited, Shares
from tokenbooth.core.problem import Problem
from tokenbooth.fleet.hub import Hub
from tokenbooth.fleet.line import ControlLine
from tokenbooth.fleet.words import HEADER_BYTES, encode, worker_decoder


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """On a loop of its own, within a bound; peers that are still there are cut off."""

    async def whole() -> None:
        try:
            async with asyncio.timeout(20):
                await scenario()
        finally:
            while Peer.there:
                Peer.there.pop().leaves()
            await settled()

    asyncio.run(whole())


async def settled() -> None:
    """Let what was written be read, and answered, and read."""
    for _ in range(20):
        await asyncio.sleep(0)


class Control:
    """The control process at a socket; ``dies`` cuts every connection and takes the socket away."""

    def __init__(self, path: Path, workers: int, clock: Clock) -> None:
        self.path, self.clock = path, clock
        self.hub = Hub(workers, clock)
        self.transports: list[asyncio.Transport] = []
        self._server: asyncio.AbstractServer | None = None

    async def opens(self) -> "Control":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._accepted, str(self.path))
        return self

    def dies(self) -> None:
        assert self._server is not None
        self._server.close()
        self.path.unlink()
        for transport in self.transports:
            transport.abort()

    def _accepted(self) -> asyncio.Protocol:
        line = self.hub.accepted()
        made = line.connection_made

        def kept(transport: Any) -> None:
            self.transports.append(transport)
            made(transport)

        line.connection_made = kept  # type: ignore[method-assign]
        return line


class Worker:
    """One data plane with parts of limits, a till and metrics that say what the test has them."""

    def __init__(self, name: str, path: Path, clock: Clock) -> None:
        self.name, self.text, self.flushes = name, f"metrics of {name}".encode(), 0
        self.owes: asyncio.Event | None = None
        self.till_fails: Problem | None = None
        self.rates, self.gates = RateBook(clock), GateBook(clock)
        self.line = ControlLine(name, str(path))
        self.shares = Shares(
            self.rates, self.gates, self.line, monotonic_us=clock, queue_share=lambda most: most
        )
        rooms: Any = SimpleNamespace(
            shares=self.shares,
            metrics=SimpleNamespace(render=lambda: self.text),
            till=SimpleNamespace(flushed=self._flushed),
        )
        self._task = asyncio.create_task(self.line.keep(rooms))

    def has(self, limited: Limited) -> int:
        return self.shares.held.get(limited, (0, 0))[1]

    async def dies(self) -> None:
        self._task.cancel()
        self.line._drop()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _flushed(self) -> None:
        if self.owes is not None:
            await self.owes.wait()
        self.flushes += 1
        if self.till_fails is not None:
            raise self.till_fails


class Peer:
    """A worker that says what the test says, well or badly formed."""

    there: ClassVar[list["Peer"]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.there.append(self)

    @classmethod
    async def comes(cls, path: Path) -> "Peer":
        return cls(*await asyncio.open_unix_connection(str(path)))

    def says(self, *messages: Any) -> None:
        self.raw(b"".join(encode(message) for message in messages))

    def raw(self, chunk: bytes) -> None:
        self.writer.write(chunk)

    async def hears(self) -> Any:
        async with asyncio.timeout(10):
            head = await self.reader.readexactly(HEADER_BYTES)
            return worker_decoder.decode(await self.reader.readexactly(int.from_bytes(head, "big")))

    async def is_cut(self) -> bool:
        """Whether nothing more comes; waits for the end."""
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read() == b""
        return True

    def leaves(self) -> None:
        self.writer.transport.abort()


def garbage() -> tuple[bytes, ...]:
    """What is no word of this protocol, each a reason to hang up."""
    wrong = msgspec.msgpack.encode(["nobody", 1])
    unlike = msgspec.msgpack.encode({"a": 1})
    return (
        b"\xff\xff\xff\xff",
        len(wrong).to_bytes(4, "big") + wrong,
        len(unlike).to_bytes(4, "big") + unlike,
        b"\0\0\0\1\xc1",
        b"\0\0\0\0",
    )


@contextlib.asynccontextmanager
async def fleet(tmp_path: Path, names: str) -> AsyncIterator[tuple[Control, dict[str, Worker]]]:
    """A control process that knows a worker for each letter, all of them connected."""
    clock = Clock()
    control = await Control(tmp_path / "hub", len(names), clock).opens()
    workers = {name: Worker(name, control.path, clock) for name in names}
    try:
        await until(lambda: control.hub.joined == len(names))
        yield control, workers
    finally:
        for worker in workers.values():
            await worker.dies()
        control.dies() if control.path.exists() else None
        await settled()
