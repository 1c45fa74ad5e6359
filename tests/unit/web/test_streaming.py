"""A long answer is sent no faster than it is read, and says so when its rest is lost."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests.support.ops import SilentLog, make_op
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.web.streaming import StreamAnswer, pour


class Reader:
    """A sink that presses, lets go and hangs up when it is told to."""

    def __init__(self) -> None:
        self.head: Any = None
        self.pieces: list[bytes] = []
        self.ends = 0
        self.listener: Any = None

    started = False

    def start(self, status: int, headers: Any) -> None:
        self.head = (status, headers)

    def write(self, chunk: bytes) -> None:
        self.pieces.append(chunk)

    def end(self) -> None:
        self.ends += 1

    def listen(self, listener: Any) -> None:
        self.listener = listener


class Source:
    """Pieces that count how far they were asked for."""

    def __init__(self, count: int, fault: Exception | None = None) -> None:
        self.count = count
        self.fault = fault
        self.made = 0
        self.closed = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            for number in range(self.count):
                self.made += 1
                yield b"%d" % number
            if self.fault is not None:
                raise self.fault
        finally:
            self.closed = True


def answer(source: Source) -> StreamAnswer:
    headers = (("content-type", "text/plain"),)
    return StreamAnswer(headers, b"first", source.pieces(), lambda p: p.code.text.encode())


def test_everything_is_written_in_order_under_its_headers() -> None:
    reader, source = Reader(), Source(3)
    asyncio.run(pour(make_op(), reader, answer(source), (("x-more", "1"),)))
    assert reader.head == (200, (("content-type", "text/plain"), ("x-more", "1")))
    assert reader.pieces == [b"first", b"0", b"1", b"2"]
    assert (reader.ends, source.closed) == (1, True)


def test_a_reader_that_has_enough_is_waited_for() -> None:
    class Slow(Reader):
        """Has enough after its second piece."""

        def write(self, chunk: bytes) -> None:
            super().write(chunk)
            if len(self.pieces) == 2:
                self.listener.pressure(True)

    async def slow() -> None:
        reader, source = Slow(), Source(5)
        task = asyncio.create_task(pour(make_op(), reader, answer(source), ()))
        for _ in range(30):
            await asyncio.sleep(0)
        assert (reader.pieces, source.made) == ([b"first", b"0"], 2)
        reader.listener.pressure(False)
        await task
        assert len(reader.pieces) == 6

    asyncio.run(slow())


@pytest.mark.parametrize("pressed", [False, True])
def test_nothing_more_is_made_for_a_reader_that_is_gone(pressed: bool) -> None:
    class Leaving(Reader):
        def write(self, chunk: bytes) -> None:
            super().write(chunk)
            if len(self.pieces) == 3:
                if pressed:
                    self.listener.pressure(True)
                self.listener.gone()
                self.listener.pressure(True)

    reader, source = Leaving(), Source(100)
    asyncio.run(pour(make_op(), reader, answer(source), ()))
    assert len(reader.pieces) == 3
    assert (source.made, source.closed, reader.ends) == (3, True, 1)


def test_a_lost_rest_is_told_in_its_place_and_in_the_log() -> None:
    reader = Reader()
    source = Source(1, Problem(Code.LEDGER_UNAVAILABLE, "Gone."))
    op = make_op()
    asyncio.run(pour(op, reader, answer(source), ()))
    assert reader.pieces == [b"first", b"0", b"billing_unavailable"]
    assert reader.ends == 1
    assert isinstance(op.log, SilentLog)
    assert op.log.faults == [("answer_cut", {"request_id": "req_test"})]
