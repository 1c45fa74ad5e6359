"""The course of a measurement: alone, a scout, the search, the ladder."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenbooth.proving.certify.caller import Caller, Endpoint, now_us
from tokenbooth.proving.certify.legs import Generator, Load
from tokenbooth.verify.certificates.service import (
    OK,
    CertificatePlan,
    Figures,
    Leg,
    LegKind,
    Sample,
    Scouted,
    alone_rights,
    figures,
    inside_p95,
    pack_for,
    plan_for,
    probes_for,
    slack_ppm,
)
from tokenbooth.verify.ladder.service import Level, Outcome, levels, probes_needed
from tokenbooth.verify.packs.service import Pack
from tokenbooth.verify.search.service import PPM, Promise, Search, warm_calls

SHORT_S = 900
FIRST_PROBES = 6
SCOUT_BATCH_MAX = 256
SCOUT_GAIN_PERCENT, SCOUT_GROW = 115, 4
SETTLE_TRIES = 20
LATE_TIMES = 4

Told = Callable[[str, int, int], None]


class NotMeasured(Exception):
    """The endpoint could not be measured; the message says why, and what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What to measure. ``time_s`` is about how long it may take; ``batch_max`` how many calls at
    once are sent at most while looking for the rate."""

    endpoint: Endpoint
    promise: Promise
    time_s: int
    seed: int
    batch_max: int = SCOUT_BATCH_MAX


@dataclass(frozen=True, slots=True)
class Measured:
    """All that is to be signed. ``fingerprint`` is what the endpoint called itself; more names
    than one are joined."""

    plan: CertificatePlan
    legs: tuple[Leg, ...]
    samples: tuple[Sample, ...]
    figures: Figures
    fingerprint: str
    took_s: int

    @property
    def evidence(self) -> tuple[CertificatePlan, tuple[Leg, ...], tuple[Sample, ...]]:
        return self.plan, self.legs, self.samples


async def measure(ask: Ask, told: Told) -> Measured:
    """Raises NotMeasured; ``told`` hears what is done, how far it is, and of how much."""
    caller = Caller(ask.endpoint)
    try:
        return await _Course(ask, caller, told).measured()
    finally:
        await caller.close()


class _Course:
    def __init__(self, ask: Ask, caller: Caller, told: Told) -> None:
        self._ask = ask
        self._told = told
        self._promise = ask.promise
        pack = pack_for(ask.seed, short=ask.time_s <= SHORT_S)
        self._generator = Generator(caller, pack, _patience_s(ask.promise, pack))
        self._pack = pack
        self._legs: list[Leg] = []
        self._samples: list[Sample] = []

    async def measured(self) -> Measured:
        begun_us = now_us()
        alone_us, tokens = await self._first_look()
        probes, batch = probes_for(self._ask.time_s, alone_us)
        rate = await self._scout(alone_us)
        self._generator.begun_us = now_us()
        for _ in range(2):
            await self._alone(probes, batch)
        scouted = Scouted(alone_us=alone_us, calls_per_ks=rate, output_tokens=tokens)
        plan = plan_for(self._promise, self._pack, scouted, probes, self._ask.time_s)
        if not alone_rights(plan, self._samples):
            raise NotMeasured(
                "no probe was answered right without load, so load cannot make answers worse; "
                "check that the model follows instructions and honours max_tokens"
            )
        search, confirmed = await self._search(plan)
        if confirmed is not None:
            await self._climb(plan, search, confirmed)
        found = figures(plan, self._legs, self._samples)
        names = sorted(name for name in self._generator.fingerprints if name)
        took_s = (now_us() - begun_us) // 1_000_000
        return Measured(
            plan, tuple(self._legs), tuple(self._samples), found, " + ".join(names), took_s
        )

    async def _first_look(self) -> tuple[int, int]:
        """How long a call alone takes, and how much it says: medians."""
        times, tokens = [], []
        for number in range(-1, FIRST_PROBES):
            sent_us = now_us()
            # The first call of all pays for connections and caches, and counts for nothing.
            heard = await self._generator.ask(max(0, number))
            if heard.status != OK:
                raise NotMeasured(
                    f"the endpoint answers {heard.status!r}; check its address, model and key"
                )
            if number >= 0:
                times.append(heard.end_us - sent_us)
                tokens.append(heard.output_tokens)
            self._told("first look", number + 1, FIRST_PROBES)
        return sorted(times)[len(times) // 2], max(2, sorted(tokens)[len(tokens) // 2])

    async def _scout(self, alone_us: int) -> int:
        """The best rate at which most calls of a closed loop are good; none of it counts."""
        best = max(1, 1_000_000_000 // max(1, alone_us))
        batch = SCOUT_GROW
        while batch <= self._ask.batch_max:
            self._told("scout", batch, self._ask.batch_max)
            rate, fine = await self._scouted(batch)
            if not fine or rate * 100 < best * SCOUT_GAIN_PERCENT:
                return max(best, rate if fine else 1)
            best, batch = rate, batch * SCOUT_GROW
        return best

    async def _scouted(self, batch: int) -> tuple[int, bool]:
        calls = max(8, 2 * batch)
        load = Load(0, range(calls), batch // 2, calls, batch=batch)
        begun_us = now_us()
        samples = await self._generator.play(load, lambda seen: len(seen) >= calls, _quiet)
        took_us = max(1, now_us() - begun_us)
        ended = sum(sample.status == OK for sample in samples)
        fine = sum(slack_ppm(sample, self._promise) <= PPM for sample in samples)
        return ended * 1_000_000_000 // took_us, fine * 2 >= len(samples)

    async def _alone(self, probes: int, batch: int) -> None:
        leg = Leg(LegKind.ALONE, 0, batch, 0, 0, probes)
        load = Load(len(self._legs), range(probes), 0, probes, batch=batch)
        await self._play(leg, load, lambda seen: len(seen) >= probes)

    async def _search(self, plan: CertificatePlan) -> tuple[Search, list[Sample] | None]:
        search = Search(plan.promise, plan.search, plan.first_per_ks, plan.output_tokens)
        confirmed = None
        while (run := search.run) is not None:
            number = len(self._legs)
            slacks: list[int] = []

            def enough(seen: Sequence[Sample], slacks: list[int] = slacks) -> bool:
                slacks.append(slack_ppm(seen[-1], plan.promise))
                return search.enough(slacks)

            leg = Leg(LegKind.SEARCH, run.calls_per_ks, 0, 0, run.warm_calls, 0)
            # Twice the calls, so that the last ones that count have company to their end.
            load = Load(
                number,
                range(plan.probes),
                run.warm_calls,
                run.calls + run.warm_calls,
                calls_per_ks=run.calls_per_ks,
            )
            counted = await self._play(leg, load, enough, name=run.purpose.value)
            search.ended(slacks, run.warm_calls + len(slacks))
            if search.best is not None and search.best[0] is run:
                confirmed = counted
            await self._settle()
        return search, confirmed

    async def _climb(
        self, plan: CertificatePlan, search: Search, confirmed: Sequence[Sample]
    ) -> None:
        """Every level once, and what could not be told once more."""
        assert search.best is not None, "there is a confirmed leg"
        rate = search.best[0].calls_per_ks
        wanted = levels(inside_p95(confirmed), self._legs[0].batch)
        alone = alone_rights(plan, self._samples)
        missed = sum(not right for right in alone.values()) * PPM // len(alone)
        kept = sorted(alone)
        count = min(len(kept), probes_needed(missed, len(wanted), plan.ladder))
        for level in wanted:
            if level != Level(0, 100):
                await self._level(plan, level, rate, kept[:count])
        found = figures(plan, self._legs, self._samples)
        for each in found.ladder:
            if each.outcome is not Outcome.PASSED:
                await self._level(plan, each.level, rate, kept[:count])

    async def _level(
        self, plan: CertificatePlan, level: Level, rate: int, kept: Sequence[int]
    ) -> None:
        number, calls = len(self._legs), len(kept)
        at_rate = max(1, rate * level.percent // 100)
        warm = level.batch or warm_calls(self._promise, plan.output_tokens, at_rate)
        leg = Leg(
            LegKind.LEVEL, at_rate if level.percent else 0, level.batch, level.percent, warm, calls
        )
        order = _shifted(kept, warm)
        load = Load(
            number,
            order,
            warm,
            calls + warm,
            batch=level.batch,
            calls_per_ks=at_rate if level.percent else 0,
        )
        await self._play(leg, load, lambda seen: len(seen) >= calls, name=level.name)

    async def _play(
        self,
        leg: Leg,
        load: Load,
        enough: Callable[[Sequence[Sample]], bool],
        name: str = "alone",
    ) -> list[Sample]:
        """Play it, keep its samples, and give those that count."""
        counted: list[Sample] = []

        def seen(samples: Sequence[Sample]) -> bool:
            counted.append(samples[-1])
            return enough(samples)

        samples = await self._generator.play(
            load, seen, lambda count: self._told(name, count, load.calls)
        )
        self._legs.append(
            Leg(leg.kind, leg.calls_per_ks, leg.batch, leg.percent, leg.warm, len(counted))
        )
        self._samples.extend(samples)
        return counted

    async def _settle(self) -> None:
        """Wait until what was left behind is worked off: calls one by one, which count nowhere."""
        for _ in range(SETTLE_TRIES):
            sent_us = now_us()
            heard = await self._generator.ask(0)
            if heard.status == OK and heard.first_us - sent_us <= self._promise.ttft_us:
                return
            await asyncio.sleep(0.2)


def _shifted(kept: Sequence[int], warm: int) -> list[int]:
    """The kept probes in an order in which, after the calls that do not count, each counts once."""
    cut = -warm % len(kept)
    return [*kept[cut:], *kept[:cut]]


def _patience_s(promise: Promise, pack: Pack) -> float:
    """A call that takes several times what it was promised is broken, whatever comes of it."""
    longest = 16 + 4 * pack.count_to
    promised_s = (promise.ttft_us + promise.tpot_us * longest) / 1_000_000
    return max(5.0, min(600.0, math.ceil(promised_s * LATE_TIMES)))


def _quiet(_count: int) -> None:
    """Nobody hears of a scout's calls."""
