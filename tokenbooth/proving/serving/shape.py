"""What a simulated server is, what its callers send, and what they were promised."""

import math
from dataclasses import dataclass
from random import Random

_NS_PER_US = 1_000


@dataclass(frozen=True, slots=True)
class ServerShape:
    """A server that makes one token for each decoding call in every step.

    A step takes ``step_us``, and ``step_call_us`` more for each decoding call; it also reads up to
    ``chunk_tokens`` less one for each decoding call of the prompts that are due, which costs
    ``prefill_token_ns`` each. ``slots`` calls are inside at most; others wait inside the engine,
    without a bound. The cache holds ``kv_tokens``. A server that ``preempts`` lets calls in
    while their prompts fit, and throws the youngest out when the cache is full (its prompt and what
    it wrote are read again); one that does not keeps room for the whole allowed output.
    """

    slots: int
    step_us: int
    step_call_us: int
    prefill_token_ns: int
    chunk_tokens: int
    kv_tokens: int
    preempts: bool

    def decode_ns(self, decoding: int) -> int:
        """How long a step takes that only decodes."""
        return (self.step_us + self.step_call_us * decoding) * _NS_PER_US


@dataclass(frozen=True, slots=True)
class Lengths:
    """Log-normal token counts with this median and spread, within 1 and ``tokens_max``."""

    median_tokens: int
    sigma_milli: int
    tokens_max: int

    def draw(self, random: Random) -> int:
        drawn = random.lognormvariate(math.log(self.median_tokens), self.sigma_milli / 1000)
        return max(1, min(self.tokens_max, round(drawn)))

    def mean_tokens(self) -> int:
        """Of the distribution without its bounds."""
        return round(self.median_tokens * math.exp((self.sigma_milli / 1000) ** 2 / 2))


@dataclass(frozen=True, slots=True)
class Workload:
    """The lengths of what callers send and get."""

    input: Lengths
    output: Lengths


@dataclass(frozen=True, slots=True)
class Slo:
    """What a good call keeps: time to the first token, and for each token after it."""

    ttft_us: int
    tpot_us: int


@dataclass(frozen=True, slots=True)
class SimulatedServing:
    """One server with its callers and its promise."""

    shape: ServerShape
    workload: Workload
    slo: Slo


def drawn_serving(seed: int) -> SimulatedServing:
    """A server of 8 to 128 slots; the same for the same seed.

    The time for each token is promised for a part of the slots only, as it is where an engine is
    left at its defaults.
    """
    random = Random(f"server that batches {seed}")  # noqa: S311 - a simulation, no secret
    slots = round(math.exp(random.uniform(math.log(8), math.log(128))))
    input_mean, output_mean = random.randint(100, 1500), random.randint(60, 300)
    step_us = random.randint(8_000, 30_000)
    shape_sigma = random.randint(400, 900)
    at_full_us = round(step_us * random.uniform(0.5, 2.5))
    calls_held = slots * random.uniform(0.35, 1.5)
    kv_tokens = round(calls_held * (input_mean + output_mean))
    longest = max(kv_tokens // 4, 64)
    workload = Workload(
        Lengths(_median(input_mean, shape_sigma), shape_sigma, min(longest, input_mean * 8)),
        Lengths(_median(output_mean, shape_sigma), shape_sigma, min(longest, output_mean * 8)),
    )
    shape = ServerShape(
        slots=slots,
        step_us=step_us,
        step_call_us=max(1, at_full_us // slots),
        prefill_token_ns=random.randint(8_000, 80_000),
        chunk_tokens=random.choice((256, 512, 1024, 2048)),
        kv_tokens=kv_tokens,
        preempts=random.random() < 0.7,
    )
    return SimulatedServing(shape, workload, _promise(shape, workload, random))


def _median(mean_tokens: int, sigma_milli: int) -> int:
    return max(1, round(mean_tokens / math.exp((sigma_milli / 1000) ** 2 / 2)))


def _promise(shape: ServerShape, workload: Workload, random: Random) -> Slo:
    batch = max(2, round(shape.slots * random.uniform(0.4, 0.9)))
    # Between two tokens the steps also read the prompts of others: as many tokens as calls come.
    prefill_us = (
        workload.input.mean_tokens() * shape.prefill_token_ns * batch // _NS_PER_US
    ) // workload.output.mean_tokens()
    tpot_us = round((shape.decode_ns(batch) // _NS_PER_US + prefill_us) * 1.15)
    alone_us = workload.input.mean_tokens() * shape.prefill_token_ns // _NS_PER_US
    return Slo(max(random.randint(1_000_000, 4_000_000), 12 * alone_us), tpot_us)
