"""A worker's end: asks for more of a limit, gives back, and answers the control process."""

import asyncio
import contextlib
import itertools
from typing import cast

import msgspec

from tokenbooth.admission.shares.service import Answer, Limited, Shares
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.child.frames import FrameReader, FrameTooLargeError
from tokenbooth.fleet.words import (
    FRAME_BYTES_MAX,
    Ask,
    Give,
    Granted,
    Hello,
    Recall,
    Spared,
    Tell,
    ToControl,
    Told,
    ToWorker,
    encode,
    worker_decoder,
)
from tokenbooth.gateway.rooms import Rooms

ASK_WAIT_S = 3.0
AGAIN_EVERY_S = 0.05
TIDY_EVERY_S = 30.0


class ControlLine(asyncio.Protocol):
    """An ``Owner`` of shares. While the control process is away, what is held goes on."""

    def __init__(self, worker: str, path: str) -> None:
        self._worker = worker
        self._path = path
        self._numbers = itertools.count(1)
        self._waits: dict[int, tuple[Ask, asyncio.Future[Answer]]] = {}
        self._answers: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader(FRAME_BYTES_MAX)
        self._lost = asyncio.Event()
        self._rooms = cast("Rooms", None)
        self._shares = cast("Shares", None)

    async def keep(self, rooms: Rooms) -> None:
        """Stay connected; never returns."""
        assert rooms.shares is not None, "a worker has shares"
        self._rooms, self._shares = rooms, rooms.shares
        loop = asyncio.get_running_loop()
        while True:
            self._lost.clear()
            with contextlib.suppress(OSError):  # it is being started
                await loop.create_unix_connection(lambda: self, self._path)
                await self._lost.wait()
            await asyncio.sleep(AGAIN_EVERY_S)

    async def tidying(self) -> None:
        """Give back what is not used; never returns."""
        while True:
            await asyncio.sleep(TIDY_EVERY_S)
            self._shares.tidy()

    # What shares ask for.

    async def ask(self, limited: Limited, limit: int, need: int) -> Answer:
        """An ask waits for a control process that is being started; raises ENGINE_BUSY where it
        does not come in time."""
        message = Ask(next(self._numbers), limited, limit, need)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waits[message.number] = message, answer
        self._send(message)
        try:
            async with asyncio.timeout(ASK_WAIT_S):
                return await answer
        except TimeoutError:
            raise Problem(
                Code.ENGINE_BUSY, "The limits cannot be looked up at the moment.", retry_after_s=1
            ) from None
        finally:
            del self._waits[message.number]

    def give(self, limited: Limited, amount: int) -> None:
        # Unsaid, it is not lost: the next hello says what there is.
        if amount:
            self._send(Give(limited, amount))

    # What the connection tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._reader = FrameReader(FRAME_BYTES_MAX)
        held = tuple((each, *part) for each, part in self._shares.held.items())
        self._send(Hello(self._worker, held))
        for ask, _ in self._waits.values():
            self._send(ask)
        self._shares.reborn()

    def data_received(self, chunk: bytes) -> None:
        try:
            for body in self._reader.feed(chunk):
                self._hear(worker_decoder.decode(body))
        except (FrameTooLargeError, msgspec.MsgspecError):
            self._drop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost.set()

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _send(self, message: ToControl) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    def _hear(self, message: ToWorker) -> None:
        if isinstance(message, Granted):
            self._granted(message)
        elif isinstance(message, Recall):
            limited, need = message.limited, message.need
            amount, wait_s = self._shares.recalled(limited, need, urgent=message.urgent)
            self._send(Spared(message.number, limited, amount, wait_s))
        elif isinstance(message, Tell):
            self._send(Told(message.number, self._rooms.metrics.render()))
        else:
            self._soon(self._flush(message.number))

    def _granted(self, granted: Granted) -> None:
        self._shares.granted(granted.limited, granted.limit, granted.grant)
        _, answer = self._waits.get(granted.number, (None, None))
        if answer is not None and not answer.done():
            answer.set_result(Answer(granted.grant.amount, granted.wait_s))

    async def _flush(self, number: int) -> None:
        with contextlib.suppress(Problem):  # the report says what the ledger knows
            await self._rooms.till.flushed()
        self._send(Told(number, b""))

    def _soon(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)
