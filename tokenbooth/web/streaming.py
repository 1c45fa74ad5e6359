"""Answers that are made while they are sent: no faster than their reader takes them."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from tokenbooth.core.op import Op
from tokenbooth.core.ports import Sink
from tokenbooth.core.problem import Problem

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    """``first`` is there already, so that what can be refused is refused before the answer begins.

    ``failure`` writes what stands in place of the rest when it cannot be made.
    """

    headers: Headers
    first: bytes
    rest: AsyncGenerator[bytes, None]
    failure: Callable[[Problem], bytes]


async def pour(op: Op, sink: Sink, answer: StreamAnswer, more_headers: Headers) -> None:
    """Write the answer piece by piece; stops where the reader is gone."""
    flow = _Flow()
    sink.start(200, (*answer.headers, *more_headers))
    sink.listen(flow)
    sink.write(answer.first)
    try:
        async with aclosing(answer.rest) as rest:
            async for piece in rest:
                await flow.open.wait()
                if flow.is_gone:
                    break
                sink.write(piece)
    except Problem as problem:
        op.log.fault("answer_cut", problem, request_id=op.request_id)
        sink.write(answer.failure(problem))
    sink.end()


class _Flow:
    """What the sink says of its reader; ``open`` is cleared while it has enough."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.is_gone = False

    def gone(self) -> None:
        self.is_gone = True
        self.open.set()

    def pressure(self, high: bool) -> None:
        if high and not self.is_gone:
            self.open.clear()
        else:
            self.open.set()
