"""The ten steps in front of a model server in memory, whose connection breaks where it should."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from tests.support.booth import MemoryBody, MemorySink, TestBooth, open_test_booth
from tests.support.caller_view import View, view
from tests.support.memory_loop import Call, FarSide, Line
from tests.support.transcripts import Transcript
from tokenbooth.core.ports import CallHead
from tokenbooth.engines.upstream import UpstreamEngine, UpstreamOptions
from tokenbooth.gateway.serve import serve
from tokenbooth.money.meter import service as meter
from tokenbooth.protocols.dialect import Dialect

CALLS_AT_ONCE = 24
GROUP = 10 * CALLS_AT_ONCE
# Rates are counted by a clock that stands still in a group.
GROUP_US = 60_000_000
CREDIT_NANO = 10**15
MARK = re.compile(rb"place (\d{7})")


class NearLoop(asyncio.SelectorEventLoop):
    """A loop with its own clock and threads, whose connections are all made to ``far``."""

    def __init__(self, far: FarSide) -> None:
        self._far = far
        super().__init__()

    async def create_connection(self, factory: Any, *args: Any, **kwargs: Any) -> Any:
        line = await self._far.accept(factory(), args, kwargs)
        return line, line.protocol


@dataclass(frozen=True)
class Way:
    """How the bytes come: in ``pieces``, each in a turn of the loop of its own; ``broken`` closes
    the connection behind the last one. The caller leaves after ``stays_bytes``."""

    pieces: tuple[bytes, ...]
    broken: bool = False
    stays_bytes: int | None = None


@dataclass
class LeavingSink(MemorySink):
    """Hangs up once it has got ``stays_bytes``; what is written later never reaches anybody."""

    stays_bytes: int | None = None
    left: bool = False
    writes: int = 0

    def start(self, status: int, headers: Any) -> None:
        super().start(status, headers)
        self._leave_after(0)

    def write(self, chunk: bytes) -> None:
        assert not self.ends, "written after the end"
        self.writes += 1
        if not self.left:
            super().write(chunk)
            self._leave_after(len(self.body))

    def _leave_after(self, size_bytes: int) -> None:
        if self.stays_bytes is not None and not self.left and size_bytes >= self.stays_bytes:
            self.left = True
            self.body = self.body[: self.stays_bytes]
            asyncio.get_running_loop().call_soon(self.listener.gone)


@dataclass
class Seen:
    """One call: what its caller got, what it was charged, and its connection to the server."""

    way: Way
    sink: LeavingSink
    view: View
    record: meter.CallRecord
    line: Line


@dataclass
class CutBooth:
    """``charged_nano`` is the sum of all records so far."""

    booth: TestBooth
    far: FarSide
    dialect: Dialect
    charged_nano: int = 0

    async def play(self, transcript: Transcript, ways: Iterable[Way]) -> AsyncIterator[Seen]:
        """One call for each way, in their order; some are made at the same time."""
        coming = iter(ways)
        while group := list(islice(coming, GROUP)):
            for seen in await self._play(transcript, group):
                yield seen
            self.booth.clock.us += GROUP_US

    async def _play(self, transcript: Transcript, ways: Sequence[Way]) -> list[Seen]:
        lines: dict[int, Line] = {}

        def answer(call: Call) -> None:
            found = MARK.search(call.body)
            assert found is not None
            place = int(found[1])
            lines[place] = call.line
            _deliver(call.line, ways[place])

        self.far.answer = answer
        calls: list[tuple[str, LeavingSink]] = []
        for begin in range(0, len(ways), CALLS_AT_ONCE):
            places = range(begin, min(begin + CALLS_AT_ONCE, len(ways)))
            calls += await asyncio.gather(*(self._ask(transcript, ways[p], p) for p in places))
        records = await self._records([request_id for request_id, _ in calls])
        self.far.calls.clear()
        self.far.lines.clear()
        self.far.asked.clear()
        return [
            Seen(way, sink, self._view(sink), record, lines[place])
            for place, (way, (_, sink), record) in enumerate(zip(ways, calls, records, strict=True))
        ]

    async def settled(self) -> None:
        """Nothing is held, nothing runs, and the ledger proves itself."""
        rooms = self.booth.rooms
        await self._flushed()
        found = await self.booth.verified()
        assert found.open_holds == 0
        assert len(rooms.live) == 0
        assert not any(rooms.gates.waiting().values())
        assert await self.booth.spent_nano() == self.charged_nano

    async def _ask(self, transcript: Transcript, way: Way, place: int) -> tuple[str, LeavingSink]:
        booth, op = self.booth, self.booth.new_op()
        body = transcript.body(self.dialect.name, f"place {place:07}")
        sink = LeavingSink(stays_bytes=way.stays_bytes)
        head = CallHead("POST", "/v1/any", {"authorization": f"Bearer {booth.secret}"}, {}, {})
        async with asyncio.timeout(60):
            raw = MemoryBody(msgspec.json.encode(body))
            await serve(booth.rooms, self.dialect, op, head, raw, sink)
        assert sink.ends == 1
        return op.request_id, sink

    async def _records(self, request_ids: Sequence[str]) -> list[meter.CallRecord]:
        booth = self.booth
        await self._flushed()
        records = await booth.store.read(
            lambda tx: [meter.call(booth.op, tx, booth.org_id, each) for each in request_ids]
        )
        assert not any(request_id in booth.rooms.till.running.calls for request_id in request_ids)
        assert all(record.outcome is not None for record in records)
        self.charged_nano += sum(record.cost_nano for record in records)
        return records

    async def _flushed(self) -> None:
        """However slow the disk is."""
        async with asyncio.timeout(120):
            while not await self.booth.rooms.till.flushed():
                pass

    def _view(self, sink: LeavingSink) -> View:
        return view(self.dialect.name, sink.headers["content-type"], sink.body, left=sink.left)


def _deliver(line: Line, way: Way) -> None:
    """Piece by piece, other work of the loop in between."""
    left = list(way.pieces)
    loop = asyncio.get_running_loop()

    def step() -> None:
        if left:
            line.deliver(left.pop(0))
            loop.call_soon(step)
        elif way.broken:
            line.drop()

    step()


def events_of(raw: bytes) -> tuple[bytes, ...]:
    """A recorded answer in the pieces in which it was said."""
    return tuple(piece for piece in re.split(rb"(?<=\n\n)", raw) if piece)


def in_cut_booth(
    directory: Path,
    dialect: Dialect,
    scene: Callable[[CutBooth], Coroutine[Any, Any, None]],
) -> None:
    """Play a scene in a booth whose model ``demo`` is a server in memory."""
    far = FarSide()

    async def work() -> None:
        async with _open(directory, far, dialect) as cut:
            await scene(cut)

    with asyncio.Runner(loop_factory=lambda: NearLoop(far)) as runner:
        runner.run(work())


@asynccontextmanager
async def _open(directory: Path, far: FarSide, dialect: Dialect) -> AsyncIterator[CutBooth]:
    options = UpstreamOptions(base_url="http://far/v1", model="far-model", context_tokens=8192)
    crowd = {"concurrency_max": CALLS_AT_ONCE}
    async with open_test_booth(
        directory, engines={"0": UpstreamEngine(options)}, deployment=crowd, credit_nano=CREDIT_NANO
    ) as booth:
        yield CutBooth(booth, far, dialect)
