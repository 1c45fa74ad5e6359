"""The fictional lab's servers: simulated ones, measured by the real search and ladder."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from tokenbooth.proving.serving.open_loop import play, poisson, tpot_us, ttft_us
from tokenbooth.proving.serving.server import Call, Server
from tokenbooth.proving.serving.shape import Lengths, ServerShape, SimulatedServing, Slo, Workload
from tokenbooth.verify.ladder.service import LadderPlan, Level, findings, paired
from tokenbooth.verify.search.service import PPM, Promise, Search, SearchPlan

SLACK_MAX_PPM = 100 * PPM
FIRST_PER_KS = 500
PROBES = 400
BATCHES = (2, 4, 8, 16, 32, 64)
SERVING = SimulatedServing(
    ServerShape(
        slots=96,
        step_us=14_000,
        step_call_us=260,
        prefill_token_ns=18_000,
        chunk_tokens=1024,
        kv_tokens=120_000,
        preempts=True,
    ),
    Workload(Lengths(420, 700, 4000), Lengths(140, 600, 1200)),
    Slo(2_000_000, 40_000),
)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the search found: ``calls_per_ks`` in 1,000 seconds, 0 for nothing; ``low_ppm`` is the
    lower bound of the share of good calls there."""

    calls_per_ks: int
    low_ppm: int
    calls: int

    def body(self, replicas: int) -> dict[str, object]:
        """As evidence says it; replicas carry as much as one each, and one is not counted twice."""
        return {
            "calls_per_ks": self.calls_per_ks * replicas,
            "attainment_permille": self.low_ppm // 1000,
            "replicas": replicas,
            "calls": self.calls,
        }


def capacity(seed: int, serving: SimulatedServing = SERVING) -> Capacity:
    """The search of certificates, over open-loop runs on a fresh server each."""
    promise = Promise(serving.slo.ttft_us, serving.slo.tpot_us)
    tokens = serving.workload.output.mean_tokens()
    search, number = Search(promise, SearchPlan(), FIRST_PER_KS, tokens), 0
    while search.run is not None:
        run, slacks, sent, number = search.run, [], 0, number + 1
        dice = Random(f"{seed} {number}")  # noqa: S311 - a simulation, no secret
        for sent, call in enumerate(_played(serving, dice, run.calls_per_ks), 1):
            if sent > run.warm_calls:
                slacks.append(_slack_ppm(call, promise))
                if search.enough(slacks):
                    break
        search.ended(slacks, sent)
    if search.best is None:
        return Capacity(0, 0, search.sent)
    run, judgement = search.best
    return Capacity(run.calls_per_ks, judgement.bound.low_ppm, search.sent)


def _played(serving: SimulatedServing, dice: Random, calls_per_ks: int) -> Iterator[Call]:
    """Calls in the order of their ends."""
    return play(serving.shape, poisson(dice, serving.workload, calls_per_ks))


def _slack_ppm(call: Call, promise: Promise) -> int:
    used = max(ttft_us(call) * PPM // promise.ttft_us, tpot_us(call) * PPM // promise.tpot_us)
    return max(0, min(SLACK_MAX_PPM, used))


@dataclass(frozen=True, slots=True)
class Quality:
    """``first_failing`` is the smallest batch at which answers got worse, 0 for none."""

    score_permille: int
    first_failing: int
    loss_ppm: int

    def body(self) -> dict[str, object]:
        return {
            "passed": self.first_failing == 0,
            "parity_under_load": self.first_failing == 0,
            "score_permille": self.score_permille,
            "first_failing_batch": self.first_failing,
            "probes": PROBES,
        }


class _Deaf:
    """Hears of calls and does nothing."""

    def first(self, call: Call) -> None:
        """Nothing depends on it."""

    def ended(self, call: Call) -> None:
        """Nothing depends on it."""


def quality(
    seed: int, skill: float, *, fault_at: int, serving: SimulatedServing = SERVING
) -> Quality:
    """Ask a model, which has this share of right answers, each probe alone and at every batch of a
    power of two; a build with a fault loses one answer in seven in steps of exactly ``fault_at``
    calls, and none anywhere else."""
    dice = Random(f"quality {seed}")  # noqa: S311 - a simulation, no secret
    alone = {number: dice.random() < skill for number in range(PROBES)}
    pairs = {}
    for batch in BATCHES:
        together = _batch_of(serving, batch)
        seen = []
        for number, right in alone.items():
            harmed = together == fault_at and dice.random() < 1 / 7
            seen.append((number, right and not harmed))
        pairs[Level(batch, 0)] = paired(alone, seen)
    found = findings(pairs, LadderPlan())
    bad = [each for each in found if each.outcome.value == "failed"]
    return Quality(
        score_permille=sum(alone.values()) * 1000 // PROBES,
        first_failing=min((each.level.batch for each in bad), default=0),
        loss_ppm=max(each.loss_ppm for each in found),
    )


def _batch_of(serving: SimulatedServing, calls: int) -> int:
    """How many calls the server really decodes together when so many come at once."""
    server = Server(serving.shape, _Deaf())
    together = [Call(0, 40, 100, 100) for _ in range(calls)]
    for call in together:
        server.submit(call)
    server.advance(20_000_000)
    return max(call.batch_max for call in together)
