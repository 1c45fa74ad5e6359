"""The gateway's end: a till's books, kept by the process at the other end of a socket."""

import asyncio
import socket
from typing import TypeVar

import msgspec

from tokenbooth.bookkeeper.frames import (
    Done,
    Look,
    Question,
    Recalls,
    Refused,
    Round,
    encode,
    error_of,
    read_body,
    reply_decoder,
    round_done,
)
from tokenbooth.core.caller import Caller
from tokenbooth.core.op import Op
from tokenbooth.core.receipt import LimitState
from tokenbooth.gateway.books import Books
from tokenbooth.money.leases.service import RoundAsk, RoundDone

ANSWER_WAIT_MAX_S = 30

R = TypeVar("R", Done, Recalls)


class FarBooks:
    """Satisfies ``Books``. A bookkeeper that is gone, or silent for too long, is given up for good:
    from then on this process keeps its books itself. A round that was on its way may have been
    booked; asking it again says so."""

    def __init__(self, near: Books, link: socket.socket) -> None:
        self._near = near
        self._link = link
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.lost = False

    async def book(self, op: Op, ask: RoundAsk) -> RoundDone:
        done = await self._asked(op, Round(ask), Done)
        return await self._near.book(op, ask) if done is None else round_done(done)

    async def recalled(self, op: Op, replica_id: str) -> dict[str, int]:
        found = await self._asked(op, Look(replica_id), Recalls)
        return await self._near.recalled(op, replica_id) if found is None else found.by_limit

    async def limits(self, op: Op, caller: Caller) -> tuple[LimitState, ...]:
        return await self._near.limits(op, caller)

    def close(self) -> None:
        """Let the bookkeeper go."""
        self.lost = True
        if self._streams is not None:
            self._streams[1].transport.abort()
        self._link.close()

    async def _asked(self, op: Op, question: Question, kind: type[R]) -> R | None:
        """The answer, or ``None`` where there is no bookkeeper any more."""
        if self.lost:
            return None
        answered = False
        try:
            async with asyncio.timeout(ANSWER_WAIT_MAX_S):
                reply = await self._exchange(question)
            answered = True
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            op.log.fault("bookkeeper_lost", error)
            return None
        finally:
            if not answered:  # an answer that comes later would be taken for that to the next
                self.close()
        if isinstance(reply, Refused):
            raise error_of(reply)
        assert isinstance(reply, kind), "each question has its own kind of answer"
        return reply

    async def _exchange(self, question: Question) -> Done | Recalls | Refused:
        if self._streams is None:
            self._link.settimeout(0)
            self._streams = await asyncio.open_unix_connection(sock=self._link)
        reader, writer = self._streams
        writer.write(encode(question))
        return reply_decoder.decode(await read_body(reader))
