"""The search held against simulated servers whose knee is known from long runs."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from random import Random
from statistics import NormalDist, median

from tokenbooth.proving.certify.legs import poisson_us
from tokenbooth.proving.serving.open_loop import good, play, poisson, tpot_us, ttft_us
from tokenbooth.proving.serving.server import Call
from tokenbooth.proving.serving.shape import Lengths, SimulatedServing, Slo, drawn_serving
from tokenbooth.verify.dice.service import Dice
from tokenbooth.verify.search.service import PPM, Promise, Run, Search, SearchPlan

TRUTH_CALLS, TRUTH_WARM, TRUTH_RUNS = 6_000, 500, 2
ROUGH_CALLS = 3_000
TRUTH_STEP = 1.01
FIRST_PER_KS = 2_000_000_000
SWEEP_CALLS = 20_000
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class KneeFound:
    """One server: ``certified`` is 0 where nothing was; ``true_ppm`` is what calls really get at
    the certified rate, in long runs of plain random arrivals."""

    seed: int
    knee_per_ks: int
    certified_per_ks: int
    true_ppm: int
    calls: int
    confirms: int

    @property
    def error_ppm(self) -> int:
        return PPM * self.certified_per_ks // self.knee_per_ks - PPM


@dataclass(frozen=True, slots=True)
class KneeReport:
    found: tuple[KneeFound, ...]

    def document(self) -> dict[str, object]:
        errors = sorted(abs(each.error_ppm) for each in self.found)
        calls = [each.calls for each in self.found]
        return {
            "object": "knee_proof",
            "servers": len(self.found),
            "median_error_ppm": round(median(errors)),
            "median_bias_ppm": round(median(each.error_ppm for each in self.found)),
            "within_15_percent": sum(error <= 150_000 for error in errors),
            "nothing_certified": sum(not each.certified_per_ks for each in self.found),
            "over_2_points_below": sum(each.true_ppm < 930_000 for each in self.found),
            "below_promise": sum(each.true_ppm < 950_000 for each in self.found),
            "median_calls": round(median(calls)),
            "most_calls": max(calls),
            "calls_of_a_sweep": SWEEP_CALLS,
            "each": [asdict(each) for each in self.found],
        }

    def lines(self) -> Iterator[str]:
        said = self.document()
        yield f"{said['servers']} simulated servers"
        for name, goal in (
            ("median_error_ppm", "60,000 at most"),
            ("median_bias_ppm", ""),
            ("within_15_percent", "45 of 50 at least"),
            ("over_2_points_below", "3 of 50 at most"),
            ("below_promise", ""),
            ("nothing_certified", ""),
            ("median_calls", "a quarter of 20,000 at most"),
            ("most_calls", ""),
        ):
            aimed = f"   (goal: {goal})" if goal else ""
            yield f"  {name.replace('_', ' '):22} {said[name]:>10,}{aimed}"


def prove_knees(servers: int, seed: int, workers: int) -> KneeReport:
    """``servers`` of them, drawn from ``seed`` on; the same for the same seeds."""
    seeds = range(seed, seed + servers)
    if workers == 1:
        return KneeReport(tuple(map(found_on, seeds)))
    with ProcessPoolExecutor(workers) as pool:
        return KneeReport(tuple(pool.map(found_on, seeds)))


def found_on(seed: int) -> KneeFound:
    serving = drawn_serving(seed)
    promise = Promise(serving.slo.ttft_us, serving.slo.tpot_us)
    tokens = serving.workload.output.mean_tokens()
    # A caller who asked once, alone, would guess that a few can be served at once.
    life_us = promise.ttft_us // 4 + promise.tpot_us * tokens // 2
    search = Search(promise, SearchPlan(), max(1, FIRST_PER_KS // life_us), tokens)
    sent = number = 0
    while (run := search.run) is not None:
        slacks, calls = _played(serving, search, run, Dice(seed, f"run {number}"))
        search.ended(slacks, calls)
        sent, number = sent + calls, number + 1
    certified = 0 if search.best is None else search.best[0].calls_per_ks
    return KneeFound(
        seed,
        knee_of(serving),
        certified,
        round(PPM * _attained(serving, certified, 77)) if certified else PPM,
        sent,
        sum(each.run.purpose.value == "confirm" for each in search.seen),
    )


def knee_of(serving: SimulatedServing) -> int:
    """The highest rate at which long runs of random arrivals keep the promise, to 1 %."""
    rate = 1_000.0
    while _rough(serving, rate) >= 0.95:
        rate *= 2
    while _rough(serving, rate) < 0.95 and rate > 2:
        rate /= 2
    low, high = rate, rate * 2
    while high / low > TRUTH_STEP:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _attained(serving, middle, 2) >= 0.95 else (low, middle)
    return round(low)


def _rough(serving: SimulatedServing, rate: float) -> float:
    return _share(serving, rate, 1, (ROUGH_CALLS, 0))


def _attained(serving: SimulatedServing, rate: float, seed: int) -> float:
    shares = [
        _share(serving, rate, seed + run, (TRUTH_CALLS, TRUTH_WARM)) for run in range(TRUTH_RUNS)
    ]
    return sum(shares) / len(shares)


def _share(serving: SimulatedServing, rate: float, seed: int, counts: tuple[int, int]) -> float:
    calls, warm = counts
    arrivals = poisson(Random(seed), serving.workload, max(1, round(rate)))  # noqa: S311
    ended = sorted(play(serving.shape, islice(arrivals, calls)), key=_sent)[warm:]
    return sum(good(call, serving.slo) for call in ended) / len(ended)


def _sent(call: Call) -> int:
    return call.sent_us


def _played(
    serving: SimulatedServing, search: Search, run: Run, dice: Dice
) -> tuple[list[int], int]:
    """The slacks of the calls that count, in the order of sending, and how many were sent."""
    calls = schedule(serving, run, dice)
    places = {id(call): place for place, call in enumerate(calls)}
    done: dict[int, int] = {}
    slacks: list[int] = []
    sent = 0

    def sending() -> Iterator[Call]:
        nonlocal sent
        for call in calls:
            sent += 1
            yield call

    for call in play(serving.shape, sending()):
        done[places[id(call)]] = _slack(call, serving.slo)
        while (place := run.warm_calls + len(slacks)) in done:
            slacks.append(done[place])
            if search.enough(slacks):
                return slacks, sent
    return slacks, sent


def schedule(serving: SimulatedServing, run: Run, dice: Dice) -> Sequence[Call]:
    """As the real generator does it: random moments, but just so many, and the whole mixture of
    lengths in every run, as a deck of probes has it."""
    count = run.warm_calls + run.calls
    moments = poisson_us(count, run.calls_per_ks, dice)
    inputs = _deck(serving.workload.input, count, dice)
    outputs = _deck(serving.workload.output, count, dice)
    most = serving.workload.output.tokens_max
    return [
        Call(at_us, read, said, most)
        for at_us, read, said in zip(moments, inputs, outputs, strict=True)
    ]


def _deck(lengths: Lengths, count: int, dice: Dice) -> list[int]:
    centre, spread = math.log(lengths.median_tokens), lengths.sigma_milli / 1000
    drawn = [
        round(math.exp(centre + spread * NORMAL.inv_cdf((at + 0.5) / count))) for at in range(count)
    ]
    for last in range(count - 1, 0, -1):
        other = dice.below(last + 1)
        drawn[last], drawn[other] = drawn[other], drawn[last]
    return [max(1, min(lengths.tokens_max, tokens)) for tokens in drawn]


def _slack(call: Call, slo: Slo) -> int:
    return max(ttft_us(call) * PPM // slo.ttft_us, tpot_us(call) * PPM // slo.tpot_us)
