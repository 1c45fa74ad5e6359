"""The control process's end: shares limits out to the workers, and asks them what they know."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import msgspec

from tokenbooth.admission.shares.service import Grant, Kind, Limited, ShareLedger
from tokenbooth.engines.child.frames import FrameReader, FrameTooLargeError
from tokenbooth.fleet.words import (
    FRAME_BYTES_MAX,
    Ask,
    Flush,
    Give,
    Granted,
    Hello,
    Recall,
    Spared,
    Tell,
    ToControl,
    Told,
    ToWorker,
    control_decoder,
    encode,
)

ANSWER_WAIT_S = 1.0
FLUSH_WAIT_S = 6.0
# Before it has heard of all of them, a new hub does not know what they have.
GATHER_WAIT_S = 2.0
TIDY_EVERY_S = 60.0
MINUTE_S, AT_ONCE_S = 60, 1


class Hub:
    """Lives on one event loop; ``workers`` is how many there are to be."""

    def __init__(self, workers: int, monotonic_us: Callable[[], int]) -> None:
        self._workers = workers
        self._monotonic_us = monotonic_us
        self._ledger = ShareLedger()
        self._lines: dict[str, WorkerLine] = {}
        self._locks: defaultdict[Limited, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._gathered = asyncio.Event()

    @property
    def joined(self) -> int:
        """Workers that are there now."""
        return len(self._lines)

    def accepted(self) -> "WorkerLine":
        """A protocol for a worker that came."""
        return WorkerLine(self)

    async def texts(self) -> Sequence[bytes]:
        """The metrics of every worker that tells them in time."""
        return await self._all(Tell, ANSWER_WAIT_S)

    async def flushed(self) -> None:
        """Wait, for a while, until the ledger knows what the workers have charged."""
        await self._all(Flush, FLUSH_WAIT_S)

    async def tidying(self) -> None:
        """Forget limits that nobody uses; never returns."""
        while True:
            await asyncio.sleep(TIDY_EVERY_S)
            self._ledger.tidy(self._monotonic_us())
            for limited in [each for each, lock in self._locks.items() if not lock.locked()]:
                del self._locks[limited]

    # What a line tells.

    def hello(self, line: "WorkerLine", hello: Hello) -> None:
        line.name = hello.worker
        self._lines[line.name] = line
        parts = {limited: (limit, amount) for limited, limit, amount in hello.held}
        self._ledger.joined(line.name, parts)
        if len(self._lines) >= self._workers:
            self._gathered.set()

    def gone(self, line: "WorkerLine") -> None:
        if self._lines.get(line.name) is line:
            del self._lines[line.name]
            for limited in self._ledger.left(line.name, self._monotonic_us()):
                self._pass_on(limited)

    def asked(self, line: "WorkerLine", ask: Ask) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(line, ask))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def given(self, line: "WorkerLine", give: Give) -> None:
        self._ledger.given_back(line.name, give.limited, give.amount)
        self._pass_on(give.limited)

    def spared(self, line: "WorkerLine", spared: Spared) -> None:
        """Given back for a call that waits for it."""
        self._ledger.given_back(line.name, spared.limited, spared.amount)

    # How it goes.

    async def _answer(self, line: "WorkerLine", ask: Ask) -> None:
        if not self._gathered.is_set():
            await asyncio.wait(
                [asyncio.ensure_future(self._gathered.wait())], timeout=GATHER_WAIT_S
            )
            self._gathered.set()
        limited, name, wait_s = ask.limited, line.name, 0
        async with self._locks[limited]:
            missing = self._ledger.missing(limited, ask.limit, ask.need, self._monotonic_us())
            if missing:
                wait_s = await self._recall(name, limited, missing)
            if self._lines.get(name) is not line:
                return  # what it had is free; it asks anew where it comes back
            amount = self._ledger.grant(name, limited, ask.limit, self._monotonic_us())
            if amount < ask.need and limited.kind is Kind.PLACES:
                self._ledger.wait_for(limited, name)
        grant = self._grant(limited, name, amount)
        line.send(Granted(ask.number, limited, ask.limit, grant, wait_s))

    async def _recall(self, name: str, limited: Limited, missing: int) -> int:
        """Get so much from the others; after how many seconds there may be enough otherwise."""
        urgent = self._ledger.is_short(limited, name, self._workers)
        others = [self._lines[o] for o in self._ledger.others(limited, name) if o in self._lines]
        make = partial(Recall, limited=limited, need=missing, urgent=urgent)
        answers = await asyncio.gather(*(o.ask(make, ANSWER_WAIT_S) for o in others))
        waits = [answer.wait_s for answer in answers if isinstance(answer, Spared)]
        now_us = self._monotonic_us()
        ends_us = self._ledger.ghosts_end_us(limited)
        if ends_us is not None:
            waits.append(1 + (ends_us - now_us) // 1_000_000)
        most_s = AT_ONCE_S if limited.kind in (Kind.PARALLEL, Kind.PLACES) else MINUTE_S
        return min([most_s, *(wait_s for wait_s in waits if wait_s > 0)])

    def _pass_on(self, limited: Limited) -> None:
        name = self._ledger.next_needy(limited, self._workers, self._monotonic_us())
        if name is not None and name in self._lines:
            limit = self._ledger.limit(limited)
            amount = self._ledger.grant(name, limited, limit, self._monotonic_us())
            grant = self._grant(limited, name, amount)
            self._lines[name].send(Granted(0, limited, limit, grant))

    def _grant(self, limited: Limited, name: str, amount: int) -> Grant:
        needy, owed = self._ledger.is_needy(limited, name), self._ledger.is_owed(limited, name)
        return Grant(amount, needy, owed)

    async def _all(self, make: Callable[[int], ToWorker], wait_s: float) -> list[bytes]:
        lines = tuple(self._lines.values())
        answers = await asyncio.gather(*(line.ask(make, wait_s) for line in lines))
        return [answer.text for answer in answers if isinstance(answer, Told)]


class WorkerLine(asyncio.Protocol):
    """One worker that is there."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._reader = FrameReader(FRAME_BYTES_MAX)
        self._transport = cast("asyncio.Transport", None)
        self._numbers = itertools.count(1)
        self._waits: dict[int, asyncio.Future[Spared | Told | None]] = {}
        self.name = ""

    async def ask(self, make: Callable[[int], ToWorker], wait_s: float) -> Spared | Told | None:
        """The answer; ``None`` where none came in time."""
        number = next(self._numbers)
        answer: asyncio.Future[Spared | Told | None]
        answer = self._waits[number] = asyncio.get_running_loop().create_future()
        self.send(make(number))
        try:
            async with asyncio.timeout(wait_s):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._waits[number]

    def send(self, message: ToWorker) -> None:
        if not self._transport.is_closing():
            self._transport.write(encode(message))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, chunk: bytes) -> None:
        try:
            for body in self._reader.feed(chunk):
                self._hear(control_decoder.decode(body))
        except (FrameTooLargeError, msgspec.MsgspecError):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._hub.gone(self)
        for answer in self._waits.values():
            if not answer.done():
                answer.set_result(None)

    def _hear(self, message: ToControl) -> None:
        if isinstance(message, Hello):
            self._hub.hello(self, message)
        elif isinstance(message, Ask):
            self._hub.asked(self, message)
        elif isinstance(message, Give):
            self._hub.given(self, message)
        else:
            self._answered(message)

    def _answered(self, message: Spared | Told) -> None:
        if isinstance(message, Spared):
            # Given away, also where it is too late for the question.
            self._hub.spared(self, message)
        answer = self._waits.get(message.number)
        if answer is not None and not answer.done():
            answer.set_result(message)
