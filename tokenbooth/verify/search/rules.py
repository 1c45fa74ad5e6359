"""Pure decisions of the search."""

import math
from collections.abc import Iterable, Sequence

from tokenbooth.verify.dice.service import Dice
from tokenbooth.verify.search.values import PPM, Bound, Judgement, Promise, SearchPlan, Seen

RESAMPLES = 400
BLOCKS = 30
LOG_MAX = 0.5
STABLE_SIGMAS = 2.0


def sprt(outcomes: Iterable[bool], plan: SearchPlan, calls_min: int) -> bool | None:
    """Wald's sequential test: whether the share of good calls is the good or the bad one of the
    plan; ``None`` as long as it cannot tell. It is good after ``calls_min`` at the earliest:
    queues take their time to build."""
    bad, good = plan.bad_ppm / PPM, plan.good_ppm / PPM
    up, down = math.log(good / bad), math.log((1 - good) / (1 - bad))
    edge = math.log((PPM - plan.error_ppm) / plan.error_ppm)
    weight = 0.0
    for count, outcome in enumerate(outcomes, 1):
        weight += up if outcome else down
        if weight <= -edge:
            return False
        if weight >= edge and count >= calls_min:
            return True
    return None


def nearer(outcomes: Sequence[bool], promise: Promise) -> bool:
    """What a probe that could not tell is taken for."""
    return sum(outcomes) * PPM >= promise.attainment_ppm * len(outcomes)


def warm_calls(promise: Promise, output_tokens: int, calls_per_ks: int) -> int:
    """The calls that come while one call lives that just keeps the promise."""
    life_us = promise.ttft_us + promise.tpot_us * output_tokens
    return math.ceil(life_us * calls_per_ks / 1_000_000_000)


def block_bound(outcomes: Sequence[bool], doubt_ppm: int, seed: int) -> Bound:
    """The share of good calls with a circular block bootstrap, which keeps neighbours together:
    calls that meet in a queue are good or bad together."""
    count = len(outcomes)
    length = max(1, count // BLOCKS)
    sums = [0]
    for outcome in (*outcomes, *outcomes[:length]):
        sums.append(sums[-1] + outcome)
    dice = Dice(seed, "bootstrap")
    blocks = max(1, count // length)
    drawn = sorted(
        sum(sums[start + length] - sums[start] for start in _starts(dice, count, blocks))
        for _ in range(RESAMPLES)
    )
    edge = RESAMPLES * doubt_ppm // PPM
    whole = blocks * length
    return Bound(
        share_ppm=sum(outcomes) * PPM // count,
        low_ppm=drawn[edge] * PPM // whole,
        high_ppm=drawn[-1 - edge] * PPM // whole,
    )


def _starts(dice: Dice, count: int, blocks: int) -> list[int]:
    return [dice.below(count) for _ in range(blocks)]


def is_stable(outcomes: Sequence[bool]) -> bool:
    """Whether the second half is no worse than the first, beyond what blocks differ by."""
    length = max(1, len(outcomes) // BLOCKS)
    means = [
        sum(outcomes[at : at + length]) / length
        for at in range(0, len(outcomes) - length + 1, length)
    ]
    half = len(means) // 2
    if half < 2:
        return True
    first, second = means[:half], means[-half:]
    error = math.sqrt((_variance(first) + _variance(second)) / half)
    return _mean(first) - _mean(second) <= STABLE_SIGMAS * error


def judge(outcomes: Sequence[bool], promise: Promise, plan: SearchPlan, seed: int) -> Judgement:
    """A confirmation; of no calls at all nothing is confirmed."""
    if not outcomes:
        return Judgement(Bound(0, 0, 0), stable=False, passed=False)
    bound = block_bound(outcomes, plan.doubt_ppm, seed)
    stable = is_stable(outcomes)
    passed = stable and bound.low_ppm >= promise.attainment_ppm
    return Judgement(bound, stable, passed)


def is_futile(outcomes: Sequence[bool], promise: Promise, plan: SearchPlan) -> bool:
    """Whether a confirmation will hardly pass any more, however long it goes on."""
    missed_ppm = PPM - promise.attainment_ppm
    due = len(outcomes) * missed_ppm / PPM
    hope = plan.hope_ppm / PPM * math.sqrt(max(8.0, due))
    most = min(due + hope, plan.confirm_calls * missed_ppm / PPM)
    return len(outcomes) - sum(outcomes) > most


def slack_ppm(slacks_ppm: Sequence[int], promise: Promise, plan: SearchPlan) -> int:
    """The slack that the promised share of calls, and the guard above it, stays within."""
    ordered = sorted(slacks_ppm)
    wanted_ppm = promise.attainment_ppm + plan.guard_ppm
    place = -(-len(ordered) * wanted_ppm // PPM) - 1
    return ordered[max(0, place)]


def rate_after(seen: Seen, plan: SearchPlan) -> int:
    """Where a confirmation makes one expect its slack to be just used up.

    Below that rate slack falls slowly, above it queues build and it falls fast.
    """
    used = max(-LOG_MAX, min(LOG_MAX, math.log(max(1, seen.slack_ppm) / PPM)))
    steepness_ppm = plan.steep_above_ppm if used > 0 else plan.steep_below_ppm
    return max(1, round(seen.run.calls_per_ks * math.exp(-used * PPM / steepness_ppm)))


def between(passed: Seen | None, failed: Seen | None, fails: int, plan: SearchPlan) -> int | None:
    """The next rate to confirm, by the highest that passed, the lowest that failed and how many
    did; ``None`` where no rate is worth a run."""
    if failed is None:
        found = PPM if passed is None else rate_after(passed, plan)
    elif passed is None:
        found = rate_after(failed, plan)
    else:
        found = round(math.sqrt(rate_after(passed, plan) * rate_after(failed, plan)))
    if failed is not None:
        steps = 1 if passed is not None else fails
        below = math.pow(plan.below_failed_ppm / PPM, steps)
        found = min(found, round(failed.run.calls_per_ks * below))
    if passed is not None and found * PPM < passed.run.calls_per_ks * plan.worth_ppm:
        return None
    return max(1, found)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _variance(values: Sequence[float]) -> float:
    mean = _mean(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
