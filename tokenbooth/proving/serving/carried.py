"""What a server carries by itself: the rate at which 95 of 100 calls keep their promises, and how
many are then inside at once. Admission is measured in parts of it."""

from dataclasses import dataclass
from functools import partial
from itertools import islice
from random import Random

from tokenbooth.proving.serving.open_loop import good, poisson, run
from tokenbooth.proving.serving.server import Call
from tokenbooth.proving.serving.shape import SimulatedServing

ATTAINED_PERCENT = 95
_FIRST_PER_KS = 50


@dataclass(frozen=True, slots=True)
class Carried:
    """``concurrency`` is the batch that 95 of 100 calls saw no more than."""

    calls_per_ks: int
    concurrency: int


def carried(serving: SimulatedServing, seed: int, calls: int = 2_000) -> Carried:
    """By doubling the rate and halving the gap, to 3 %; always with the same ``calls`` calls."""
    keeps = partial(_keeps, serving, seed, calls)
    low = _FIRST_PER_KS
    while keeps(low * 2):
        low *= 2
    high = low * 2
    while high * 100 > low * 103 and high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if keeps(middle) else (low, middle)
    batches = sorted(call.batch_max for call in _played(serving, seed + 1, calls, low))
    return Carried(low, batches[calls * ATTAINED_PERCENT // 100])


def _keeps(serving: SimulatedServing, seed: int, calls: int, calls_per_ks: int) -> bool:
    kept = sum(good(call, serving.slo) for call in _played(serving, seed, calls, calls_per_ks))
    return kept * 100 >= calls * ATTAINED_PERCENT


def _played(serving: SimulatedServing, seed: int, calls: int, calls_per_ks: int) -> list[Call]:
    random = Random(seed)  # noqa: S311 - a simulation, no secret
    return run(serving.shape, islice(poisson(random, serving.workload, calls_per_ks), calls))
