"""From samples to figures: the same function when a certificate is made and when it is verified."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tokenbooth.verify.certificates.values import (
    NEVER_US,
    OK,
    Alone,
    CertificatePlan,
    Delay,
    Figures,
    Leg,
    LegKind,
    Sample,
    Tried,
)
from tokenbooth.verify.ladder.service import (
    Finding,
    Level,
    Outcome,
    Paired,
    findings,
    levels,
    paired,
    safe_batch,
    safe_percent,
)
from tokenbooth.verify.packs.service import is_right, probe
from tokenbooth.verify.search.service import PPM, Bound, Promise, Run, Search

SLACK_PPM_MAX = 10 * PPM
ALONE_LEGS = 2
LATE_PART = 20
LATE_FLOOR_US = 10_000


class Inconsistent(ValueError):
    """The samples cannot have come from the plan; the message says why."""


Right = dict[tuple[int, int], bool]


def ttft_us(sample: Sample) -> int:
    """From the moment the call was due, however late it was sent."""
    return sample.first_us - sample.due_us


def tpot_us(sample: Sample) -> int:
    """The mean time of a token after the first."""
    return (sample.end_us - sample.first_us) // max(1, sample.output_tokens - 1)


def slack_ppm(sample: Sample, promise: Promise) -> int:
    """The part of its promise that a call used up; more than a million broke it."""
    if sample.status != OK or sample.first_us == NEVER_US:
        return SLACK_PPM_MAX
    ttft = ttft_us(sample) * PPM // promise.ttft_us
    tpot = tpot_us(sample) * PPM // promise.tpot_us
    return max(0, min(SLACK_PPM_MAX, max(ttft, tpot)))


def figures(plan: CertificatePlan, legs: Sequence[Leg], samples: Sequence[Sample]) -> Figures:
    """Raises Inconsistent for samples or legs that this plan cannot have led to."""
    by_leg = _by_leg(legs, samples)
    right = _rights(plan, samples)
    alone = _alone(plan, legs, by_leg, right)
    search, tried, best = _searched(plan, legs, by_leg)
    telling = [
        counted
        for number, (leg, counted) in enumerate(zip(legs, by_leg, strict=True))
        if number == best or (best is not None and leg.kind is LegKind.LEVEL)
    ]
    delay = _delay(plan.promise, [s for counted in telling for s in counted])
    if search.best is None or best is None:
        found: tuple[Finding, ...] = ()
        latency_concurrency, latency_rate, bound = 0, 0, Bound(0, 0, 0)
    else:
        counted = by_leg[best]
        latency_concurrency = inside_p95(counted)
        latency_rate = search.best[0].calls_per_ks
        bound = search.best[1].bound
        found = _ladder(plan, legs, by_leg, (best, latency_concurrency))
    rate, concurrency = _certified(legs, by_leg, found, (latency_rate, latency_concurrency))
    failing, binding = first_failing(tried, found, latency_rate)
    lengths = sorted(s.output_tokens for s in samples if s.status == OK) or [0]
    at_best = by_leg[best] if best is not None else []
    return Figures(
        calls_per_ks=rate if delay.good else 0,
        concurrency=concurrency if delay.good else 0,
        latency_calls_per_ks=latency_rate,
        latency_concurrency=latency_concurrency,
        attainment=bound,
        ttft_ppm=_share(sum(_kept_ttft(s, plan.promise) for s in at_best), len(at_best)),
        tpot_ppm=_share(sum(_kept_tpot(s, plan.promise) for s in at_best), len(at_best)),
        first_failing=failing,
        binding=binding,
        alone=alone,
        tried=tried,
        ladder=found,
        delay=delay,
        calls=len(samples),
        statuses=dict(Counter(sample.status for sample in samples)),
        output_tokens_p50=_at(lengths, 50),
        output_tokens_p95=_at(lengths, 95),
    )


def inside_p95(counted: Sequence[Sample]) -> int:
    """How many calls were under way at once, but for the highest twentieth of moments."""
    return _at(sorted(sample.inside for sample in counted), 95)


def alone_rights(plan: CertificatePlan, samples: Sequence[Sample]) -> dict[int, bool]:
    """Of the probes that were right at the first asking: whether they were at the second.

    Asking once to choose and once to measure keeps luck out: a probe that is right by chance is as
    likely wrong at the second asking as under load.
    """
    right = _rights(plan, [s for s in samples if s.leg < ALONE_LEGS])
    return {
        number: right[1, number]
        for (leg, number), fine in right.items()
        if leg == 0 and fine and (1, number) in right
    }


def is_answer_right(plan: CertificatePlan, sample: Sample) -> bool:
    """A call that failed has no right answer."""
    return sample.status == OK and is_right(
        probe(plan.pack, sample.probe), sample.answer, sample.finish
    )


def _rights(plan: CertificatePlan, samples: Sequence[Sample]) -> Right:
    return {(sample.leg, sample.probe): is_answer_right(plan, sample) for sample in samples}


def _by_leg(legs: Sequence[Leg], samples: Sequence[Sample]) -> list[list[Sample]]:
    """The samples that count, of each leg, in the order of sending."""
    all_of: list[list[Sample]] = [[] for _ in legs]
    for sample in samples:
        if not 0 <= sample.leg < len(legs):
            raise Inconsistent(f"a sample belongs to leg {sample.leg}, which is not there")
        all_of[sample.leg].append(sample)
    found = []
    for number, (leg, inside) in enumerate(zip(legs, all_of, strict=True)):
        if any(later.due_us < sooner.due_us for sooner, later in pairwise(inside)):
            raise Inconsistent(f"the samples of leg {number} are not in the order of sending")
        counted = inside[leg.warm : leg.warm + leg.counted]
        if len(counted) != leg.counted or any(s.status == "cut" for s in counted):
            raise Inconsistent(f"leg {number} lacks samples that should count")
        found.append(counted)
    return found


def _alone(
    plan: CertificatePlan, legs: Sequence[Leg], by_leg: Sequence[Sequence[Sample]], right: Right
) -> Alone:
    if len(legs) < ALONE_LEGS or any(leg.kind is not LegKind.ALONE for leg in legs[:ALONE_LEGS]):
        raise Inconsistent("the measurement does not begin with two askings alone")
    families: dict[str, list[bool]] = {}
    for number in range(plan.probes):
        family = probe(plan.pack, number).family.value
        if (0, number) not in right or (1, number) not in right:
            raise Inconsistent(f"probe {number} was not asked alone twice")
        families.setdefault(family, []).append(right[0, number])
    kept = [number for number in range(plan.probes) if right[0, number]]
    missed = sum(not right[1, number] for number in kept)
    fine = [s for s in (*by_leg[0], *by_leg[1]) if s.status == OK]
    return Alone(
        probes=plan.probes,
        kept=len(kept),
        discordance_ppm=_share(missed, len(kept)),
        right_by_family={name: (sum(all_), len(all_)) for name, all_ in families.items()},
        ttft_p50_us=_at(sorted(map(ttft_us, fine)), 50),
        tpot_p50_us=_at(sorted(map(tpot_us, fine)), 50),
    )


def _searched(
    plan: CertificatePlan, legs: Sequence[Leg], by_leg: Sequence[Sequence[Sample]]
) -> tuple[Search, tuple[Tried, ...], int | None]:
    """Walk the search again; it must ask for just the legs that are there."""
    search = Search(plan.promise, plan.search, plan.first_per_ks, plan.output_tokens)
    tried: list[Tried] = []
    best = None
    for number, leg in enumerate(legs):
        if leg.kind is not LegKind.SEARCH:
            continue
        run = search.run
        if run is None or (run.calls_per_ks, run.warm_calls) != (leg.calls_per_ks, leg.warm):
            raise Inconsistent(f"the search would not have run leg {number}")
        counted = by_leg[number]
        slacks = [slack_ppm(sample, plan.promise) for sample in counted]
        if not search.enough(slacks) or (slacks and search.enough(slacks[:-1])):
            raise Inconsistent(f"the search would not have stopped leg {number} there")
        sent = leg.warm + leg.counted
        search.ended(slacks, sent)
        if search.best is not None and search.best[0] is run:
            best = number
        tried.append(_tried(run, counted, plan.promise, passed=search.seen[-1].passed))
    if search.run is not None:
        raise Inconsistent("the search was not over")
    return search, tuple(tried), best


def _tried(run: Run, counted: Sequence[Sample], promise: Promise, *, passed: bool) -> Tried:
    return Tried(
        purpose=run.purpose.value,
        calls_per_ks=run.calls_per_ks,
        calls=len(counted),
        good=sum(slack_ppm(sample, promise) <= PPM for sample in counted),
        ttft_good=sum(_kept_ttft(sample, promise) for sample in counted),
        tpot_good=sum(_kept_tpot(sample, promise) for sample in counted),
        inside_p95=inside_p95(counted),
        passed=passed,
    )


def _ladder(
    plan: CertificatePlan,
    legs: Sequence[Leg],
    by_leg: Sequence[Sequence[Sample]],
    best: tuple[int, int],
) -> tuple[Finding, ...]:
    """``best``: the leg that was confirmed, which is the level of 100 %, and its concurrency."""
    leg_confirmed, concurrency = best
    alone = alone_rights(plan, [s for leg in by_leg[:ALONE_LEGS] for s in leg])
    answers: dict[Level, list[Sample]] = {Level(0, 100): list(by_leg[leg_confirmed])}
    for leg, counted in zip(legs, by_leg, strict=True):
        if leg.kind is LegKind.LEVEL:
            answers.setdefault(leg.level, []).extend(counted)
    wanted = levels(concurrency, legs[0].batch)
    if set(answers) != set(wanted):
        raise Inconsistent("the ladder has not the levels that this concurrency asks for")
    pairs: Mapping[Level, Paired] = {
        level: paired(alone, [(s.probe, is_answer_right(plan, s)) for s in answers[level]])
        for level in wanted
    }
    return findings(pairs, plan.ladder)


def _certified(
    legs: Sequence[Leg],
    by_leg: Sequence[Sequence[Sample]],
    found: Sequence[Finding],
    fast: tuple[int, int],
) -> tuple[int, int]:
    """Rate and concurrency that both latency and answers allow; 0 and 0 where none does."""
    rate, concurrency = fast
    percent = safe_percent(found)
    batch = safe_batch(found, concurrency)
    if not rate or not percent:
        return 0, 0
    if percent == 100 and batch == concurrency:
        return rate, concurrency
    fitting = [
        (leg.percent, inside_p95(counted))
        for leg, counted in zip(legs, by_leg, strict=True)
        if leg.kind is LegKind.LEVEL and 0 < leg.percent <= min(percent, 99)
    ]
    best, inside = max(((part, held) for part, held in fitting if held <= batch), default=(0, 0))
    return rate * best // 100, inside


def first_failing(
    tried: Sequence[Tried], found: Sequence[Finding], certified_per_ks: int
) -> tuple[str, str]:
    """The lowest level that did not hold, and what broke there; empty where nothing did."""
    for each in found:
        if each.outcome is not Outcome.PASSED:
            return each.level.name, "quality"
    above = [t for t in tried if not t.passed and t.calls_per_ks > certified_per_ks]
    if not above:
        return "", ""
    lowest = min(above, key=lambda each: each.calls_per_ks)
    binding = "ttft" if lowest.ttft_good <= lowest.tpot_good else "tpot"
    rate = lowest.calls_per_ks
    return f"{rate // 1000}.{rate % 1000:03d} calls a second", binding


def _delay(promise: Promise, samples: Sequence[Sample]) -> Delay:
    late = sorted(max(0, s.sent_us - s.due_us) for s in samples) or [0]
    p50, p99 = _at(late, 50), _at(late, 99)
    good = p50 <= LATE_FLOOR_US and p99 <= max(LATE_FLOOR_US, promise.ttft_us // LATE_PART)
    return Delay(p50, p99, good)


def _kept_ttft(sample: Sample, promise: Promise) -> bool:
    return sample.status == OK and ttft_us(sample) <= promise.ttft_us


def _kept_tpot(sample: Sample, promise: Promise) -> bool:
    return sample.status == OK and tpot_us(sample) <= promise.tpot_us


def _share(part: int, whole: int) -> int:
    return part * PPM // whole if whole else 0


def _at(ordered: Sequence[int], percent: int) -> int:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0
