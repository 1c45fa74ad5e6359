"""A measurement of an endpoint that is known, without an endpoint: plan, legs and samples."""

from collections.abc import Callable, Sequence

from tokenbooth.verify.certificates.service import (
    CertificatePlan,
    Leg,
    LegKind,
    Sample,
    alone_rights,
    inside_p95,
    slack_ppm,
)
from tokenbooth.verify.dice.service import Dice
from tokenbooth.verify.ladder.service import LadderPlan, levels
from tokenbooth.verify.packs.service import Family, Pack, probe
from tokenbooth.verify.search.service import Promise, Search, SearchPlan

PROMISE = Promise(1_000_000, 50_000)
PLAN = CertificatePlan(
    promise=PROMISE,
    search=SearchPlan(probe_calls=20, probe_calls_min=15, confirm_calls=80, calls_max=600),
    ladder=LadderPlan(margin_ppm=200_000, probes_min=20),
    pack=Pack(11, tuple(f for f in Family if f is not Family.NEEDLE)),
    first_per_ks=2_000,
    output_tokens=8,
    probes=42,
)

Wrong = Callable[[int, int], bool]


def never(_batch: int, _number: int) -> bool:
    return False


class Measurement:
    """Good up to ``knee`` calls in 1,000 seconds, ``per_call`` of them inside at once; ``wrong``
    says which answers are, by how many are inside and by the number of the probe."""

    def __init__(
        self,
        *,
        knee: int = 20_000,
        wrong: Wrong = never,
        plan: CertificatePlan = PLAN,
        late_us: int = 10,
    ) -> None:
        self.plan = plan
        self.legs: list[Leg] = []
        self.samples: list[Sample] = []
        self._knee = knee
        self._wrong = wrong
        self._late_us = late_us
        self._now_us = 0
        for _ in range(2):
            self._alone()
        self._climb(self._searched())

    @property
    def evidence(self) -> tuple[CertificatePlan, tuple[Leg, ...], tuple[Sample, ...]]:
        return self.plan, tuple(self.legs), tuple(self.samples)

    def _inside(self, rate: int) -> int:
        return max(1, rate * 20 // max(1, self._knee))

    def _sample(self, number: int, inside: int, *, good: bool) -> Sample:
        asked = probe(self.plan.pack, number)
        finish = "length" if asked.family is Family.LENGTH else "stop"
        answer = asked.expected or "1 2 3"
        if self._wrong(inside, number):
            answer = "amber"
            finish = "stop"
        self._now_us += 10_000
        due_us = self._now_us
        first_us = due_us + (100_000 if good else 3_000_000)
        return Sample(
            len(self.legs),
            number,
            due_us,
            due_us + self._late_us,
            first_us,
            first_us + 80_000,
            8,
            inside,
            "ok",
            finish,
            answer,
        )

    def _alone(self) -> None:
        self.samples += [self._sample(n, 1, good=True) for n in range(self.plan.probes)]
        self.legs.append(Leg(LegKind.ALONE, 0, 1, 0, 0, self.plan.probes))

    def _searched(self) -> tuple[int, Sequence[Sample]] | None:
        plan = self.plan
        search = Search(PROMISE, plan.search, plan.first_per_ks, plan.output_tokens)
        dice, best = Dice(1, "luck"), None
        while (run := search.run) is not None:
            rate = run.calls_per_ks
            counted: list[Sample] = []
            slacks: list[int] = []
            warm = [self._sample(0, 1, good=True) for _ in range(run.warm_calls)]
            while not slacks or not search.enough(slacks):
                good = rate <= self._knee and dice.below(100) > 0
                number = len(counted) % plan.probes
                counted.append(self._sample(number, self._inside(rate), good=good))
                slacks.append(slack_ppm(counted[-1], PROMISE))
            self.samples += [*warm, *counted]
            self.legs.append(Leg(LegKind.SEARCH, rate, 0, 0, run.warm_calls, len(counted)))
            search.ended(slacks, run.warm_calls + len(counted))
            if search.best is not None and search.best[0] is run:
                best = (rate, counted)
        return best

    def _climb(self, confirmed: tuple[int, Sequence[Sample]] | None) -> None:
        if confirmed is None:
            return
        rate, counted = confirmed
        kept = sorted(alone_rights(self.plan, self.samples))
        for level in levels(inside_p95(counted), 1)[:-1]:
            at = rate * level.percent // 100
            inside = level.batch or self._inside(at)
            self.samples += [self._sample(number, inside, good=True) for number in kept]
            self.legs.append(Leg(LegKind.LEVEL, at, level.batch, level.percent, 0, len(kept)))
