"""The quality ladder held against planted faults: how many it finds, and how many it makes up."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tokenbooth.verify.dice.service import Dice
from tokenbooth.verify.ladder.service import (
    LadderPlan,
    Level,
    Outcome,
    Paired,
    findings,
    levels,
    paired,
    probes_needed,
)

PPM = 1_000_000
CONCURRENCY_MIN, CONCURRENCY_MAX = 70, 250
DISCORDANCE_PPM_MAX = 10_000
BATCH_WRONG, WRONG_PPM = 64, 150_000
LOSS_PPM, CUT_PPM = 20_000, 50_000

Loss = Callable[[int, int], int]


def no_fault(_inside: int, _concurrency: int) -> int:
    return 0


def one_batch(inside: int, _concurrency: int) -> int:
    """15 % of the answers are wrong with just 64 calls inside, and at no other number."""
    return WRONG_PPM if inside == BATCH_WRONG else 0


def above_half(inside: int, concurrency: int) -> int:
    """2 points are lost above half of the capacity."""
    return LOSS_PPM if 2 * inside > concurrency else 0


def cut_under_load(inside: int, concurrency: int) -> int:
    """5 % of the answers are cut in the last tenth of the capacity."""
    return CUT_PPM if 10 * inside > 9 * concurrency else 0


FAULTS: dict[str, Loss] = {
    "none": no_fault,
    "wrong at batch 64": one_batch,
    "2 points above half": above_half,
    "cut under load": cut_under_load,
}


@dataclass(frozen=True, slots=True)
class FaultReport:
    """Of ``trials`` of each kind, how many certificates were not given in full."""

    trials: int
    stopped: dict[str, int]
    probes: int

    def document(self) -> dict[str, object]:
        return {
            "object": "fault_proof",
            "trials": self.trials,
            "stopped": self.stopped,
            "median_probes": self.probes,
        }

    def lines(self) -> Iterator[str]:
        for name, count in self.stopped.items():
            goal = "5 % at most" if name == "none" else "95 % at least"
            yield f"  {name:22} {count:>5} of {self.trials} stopped   (goal: {goal})"


def prove_faults(trials: int, seed: int) -> FaultReport:
    asked: list[int] = []
    stopped = {
        name: sum(_stopped(Dice(seed + trial, name), loss, asked) for trial in range(trials))
        for name, loss in FAULTS.items()
    }
    return FaultReport(trials, stopped, sorted(asked)[len(asked) // 2])


def _stopped(dice: Dice, loss: Loss, asked: list[int]) -> bool:
    """One endpoint with a capacity and a discordance of its own, up its ladder as the real one
    goes: each level once, and once more where that could not tell."""
    plan = LadderPlan()
    concurrency = dice.between(CONCURRENCY_MIN, CONCURRENCY_MAX)
    own_ppm = dice.below(DISCORDANCE_PPM_MAX + 1)
    first = [dice.below(PPM) >= own_ppm for _ in range(plan.probes_max)]
    alone = {number: dice.below(PPM) >= own_ppm for number, right in enumerate(first) if right}
    missed_ppm = sum(not right for right in alone.values()) * PPM // len(alone)
    wanted = levels(concurrency, 1)
    count = min(len(alone), probes_needed(missed_ppm, len(wanted), plan))
    kept = sorted(alone)[:count]
    asked.append(count)
    answers: dict[Level, list[tuple[int, bool]]] = {level: [] for level in wanted}
    for _look in range(2):
        found = findings(_pairs(alone, answers), plan)
        for each in found:
            if each.outcome is not Outcome.PASSED:
                answers[each.level] += [
                    (number, _right(dice, loss, each.level, (concurrency, own_ppm)))
                    for number in kept
                ]
    return any(e.outcome is not Outcome.PASSED for e in findings(_pairs(alone, answers), plan))


def _pairs(
    alone: dict[int, bool], answers: dict[Level, list[tuple[int, bool]]]
) -> dict[Level, Paired]:
    return {level: paired(alone, said) for level, said in answers.items()}


def _right(dice: Dice, loss: Loss, level: Level, endpoint: tuple[int, int]) -> bool:
    """A closed loop holds its batch; an open one swings around its share of the capacity."""
    concurrency, own_ppm = endpoint
    inside = level.batch
    if not inside:
        middle = concurrency * level.percent // 100
        inside = max(1, middle + dice.between(-middle // 6, middle // 6))
    wrong_ppm = own_ppm + loss(inside, concurrency)
    return dice.below(PPM) >= wrong_ppm
