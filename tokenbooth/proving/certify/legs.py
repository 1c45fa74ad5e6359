"""One stretch of load after the other, each call timed from when it was due."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenbooth.proving.certify.caller import Caller, Heard, now_us
from tokenbooth.verify.certificates.service import NEVER_US, Sample
from tokenbooth.verify.dice.service import Dice
from tokenbooth.verify.packs.service import Pack, Probe, probe

INSIDE_MAX = 2_048
US_PER_S = 1_000_000
CUT, TOO_MANY = "cut", "more at once than the generator sends"

Enough = Callable[[Sequence[Sample]], bool]


@dataclass(frozen=True, slots=True)
class Load:
    """What a leg sends: probes in this order, again from the first; of the first ``warm`` calls
    nothing counts. ``batch`` calls at once, or ``calls_per_ks`` at random moments."""

    leg: int
    probes: Sequence[int]
    warm: int
    calls: int
    batch: int = 0
    calls_per_ks: int = 0


def poisson_us(calls: int, calls_per_ks: int, dice: Dice) -> list[int]:
    """When each call is due: random arrivals, given that just so many come in their time.

    Without that, the load of a run is itself a matter of luck, by several per cent.
    """
    span_us = calls * 1_000 * US_PER_S // calls_per_ks
    return sorted(dice.below(span_us) for _ in range(calls))


class Generator:
    """Plays loads against one endpoint; ``fingerprints`` counts what it called itself."""

    def __init__(self, caller: Caller, pack: Pack, within_s: float) -> None:
        self._caller = caller
        self._within_s = within_s
        self._probes: dict[int, Probe] = {}
        self._pack = pack
        self.seed = pack.seed
        self.begun_us = now_us()
        self.fingerprints: dict[str, int] = {}

    async def play(self, load: Load, enough: Enough, told: Callable[[int], None]) -> list[Sample]:
        """All samples in the order of sending; calls still under way at the end are cut.

        ``enough`` sees the samples that count so far and ends the leg; ``told`` hears how many.
        """
        run = _Run(self, load, enough, told)
        return await run.played()

    def probe(self, number: int) -> Probe:
        if number not in self._probes:
            self._probes[number] = probe(self._pack, number)
        return self._probes[number]

    async def ask(self, number: int) -> Heard:
        heard = await self._caller.ask(self.probe(number), self._within_s)
        name = heard.fingerprint
        if name or heard.status == "ok":
            self.fingerprints[name] = self.fingerprints.get(name, 0) + 1
        return heard


class _Run:
    def __init__(
        self, generator: Generator, load: Load, enough: Enough, told: Callable[[int], None]
    ) -> None:
        self._generator = generator
        self._load = load
        self._enough = enough
        self._told = told
        self._samples: list[Sample | None] = []
        self._counted: list[Sample] = []
        self._begun: list[tuple[int, int, int]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._fault: BaseException | None = None

    async def played(self) -> list[Sample]:
        total = self._load.warm + self._load.calls
        sender = asyncio.create_task(
            self._closed() if self._load.batch else self._open(total), name="sender"
        )
        sender.add_done_callback(self._ends_all)
        try:
            await self._over.wait()
        finally:
            sender.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(sender, *self._tasks, return_exceptions=True)
        if self._fault is not None:
            raise self._fault
        return [
            self._cut(place) if sample is None else sample
            for place, sample in enumerate(self._samples)
        ]

    async def _open(self, total: int) -> None:
        load = self._load
        begun_us = now_us()
        dice = Dice(self._generator.seed, f"arrivals {load.leg}")
        for due_us in poisson_us(total, load.calls_per_ks, dice):
            wait_us = begun_us + due_us - now_us()
            if wait_us > 0:
                await asyncio.sleep(wait_us / US_PER_S)
            self._send(begun_us + due_us)

    async def _closed(self) -> None:
        for _ in range(self._load.batch):
            self._send(now_us())

    def _send(self, due_us: int) -> None:
        place = len(self._samples)
        self._samples.append(None)
        inside = len(self._tasks) + 1
        self._begun.append((due_us, now_us(), inside))
        if inside > INSIDE_MAX:
            self._ended(place, Heard(NEVER_US, NEVER_US, 0, TOO_MANY, "", "", ""))
            return
        task = asyncio.create_task(self._one(place))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._ends_all)

    def _ends_all(self, task: asyncio.Task[None]) -> None:
        """A call or a sender that raised would never be counted, and the leg never be over."""
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fault = self._fault or fault
            self._over.set()

    async def _one(self, place: int) -> None:
        heard = await self._generator.ask(self._probe_at(place))
        self._ended(place, heard)
        if self._load.batch and not self._over.is_set():
            task = asyncio.current_task()
            if task is not None:
                self._tasks.discard(task)
            self._send(now_us())

    def _probe_at(self, place: int) -> int:
        return self._load.probes[place % len(self._load.probes)]

    def _ended(self, place: int, heard: Heard) -> None:
        begun_us = self._generator.begun_us
        due_us, sent_us, inside = self._begun[place]
        self._samples[place] = Sample(
            self._load.leg,
            self._probe_at(place),
            due_us - begun_us,
            sent_us - begun_us,
            heard.first_us - begun_us if heard.first_us != NEVER_US else NEVER_US,
            heard.end_us - begun_us if heard.end_us != NEVER_US else NEVER_US,
            heard.output_tokens,
            inside,
            heard.status,
            heard.finish,
            heard.answer,
        )
        self._count()

    def _count(self) -> None:
        """Take the finished calls that count, in the order of sending, until it is enough."""
        place = self._load.warm + len(self._counted)
        while place < len(self._samples) and not self._over.is_set():
            sample = self._samples[place]
            if sample is None:
                return
            self._counted.append(sample)
            place += 1
            self._told(len(self._counted))
            if self._enough(self._counted):
                self._over.set()

    def _cut(self, place: int) -> Sample:
        due_us, sent_us, inside = self._begun[place]
        begun_us = self._generator.begun_us
        return Sample(
            self._load.leg,
            self._probe_at(place),
            due_us - begun_us,
            sent_us - begun_us,
            NEVER_US,
            NEVER_US,
            0,
            inside,
            CUT,
            "",
            "",
        )
