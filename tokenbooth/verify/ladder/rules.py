"""Pure decisions of the quality ladder: paired non-inferiority, corrected by Holm."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist

from tokenbooth.verify.ladder.values import (
    FRACTIONS_PERCENT,
    Finding,
    LadderPlan,
    Level,
    Outcome,
    Paired,
)

PPM = 1_000_000
LOOKS = 2
POWER = 0.99
NORMAL = NormalDist()


def levels(concurrency: int, alone: int) -> tuple[Level, ...]:
    """Every power of two above ``alone``, which they are compared with, up to the certified
    concurrency, and the quarters of the certified rate: some faults live at one batch size only."""
    bits = range(1, max(1, concurrency).bit_length())
    batches = [Level(1 << bit, 0) for bit in bits if 1 << bit > alone]
    return (*batches, *(Level(0, percent) for percent in FRACTIONS_PERCENT))


def probes_needed(discordance_ppm: int, count: int, plan: LadderPlan) -> int:
    """How many probes each of ``count`` levels needs, when an endpoint answers this share of them
    now right and now wrong without any load."""
    margin, discordance = plan.margin_ppm / PPM, discordance_ppm / PPM
    strict = NORMAL.inv_cdf(1 - plan.alpha_ppm / PPM / LOOKS / count)
    sure = NORMAL.inv_cdf(1 - (1 - POWER) / count)
    root = strict * math.sqrt(max(discordance, margin)) + sure * math.sqrt(discordance)
    return min(plan.probes_max, max(plan.probes_min, math.ceil((root / margin) ** 2)))


def paired(alone: Mapping[int, bool], loaded: Iterable[tuple[int, bool]]) -> Paired:
    """Of the answers to probes that were asked alone too; a probe may be asked twice."""
    both = [(alone[number], right) for number, right in loaded if number in alone]
    lost = sum(before and not after for before, after in both)
    won = sum(after and not before for before, after in both)
    return Paired(len(both), lost, won)


def inferior_p(pair: Paired, plan: LadderPlan) -> float:
    """The chance of so small a loss if the true one were the margin."""
    if not pair.count:
        return 1.0
    margin = plan.margin_ppm / PPM
    loss = (pair.lost - pair.won) / pair.count
    spread = max((pair.lost + pair.won) / pair.count, margin) - margin**2
    return 1 - NORMAL.cdf((margin - loss) / math.sqrt(spread / pair.count))


def holm(chances: Sequence[float], alpha: float) -> list[bool]:
    """Which of the hypotheses fall, so that none true falls but with chance ``alpha``."""
    fallen = [False] * len(chances)
    for rank, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        if chances[place] > alpha / (len(chances) - rank):
            break
        fallen[place] = True
    return fallen


def findings(
    pairs: Mapping[Level, Paired], plan: LadderPlan, sure_ppm: int = 950_000
) -> tuple[Finding, ...]:
    """What each level showed; each look at the answers spends its part of ``alpha``."""
    chances = [inferior_p(pair, plan) for pair in pairs.values()]
    passed = holm(chances, plan.alpha_ppm / PPM / LOOKS)
    found = []
    for (level, pair), chance, fine in zip(pairs.items(), chances, passed, strict=True):
        count = max(1, pair.count)
        loss = (pair.lost - pair.won) / count
        spread = (pair.lost + pair.won) / count - loss**2
        reach = NORMAL.inv_cdf(sure_ppm / PPM) * math.sqrt(max(0.0, spread) / count)
        bad = loss >= plan.margin_ppm / PPM or loss > reach > 0
        outcome = Outcome.PASSED if fine else Outcome.FAILED if bad else Outcome.UNPROVEN
        found.append(
            Finding(
                level,
                pair,
                loss_ppm=round(loss * PPM),
                high_ppm=round((loss + reach) * PPM),
                p_ppm=round(chance * PPM),
                outcome=outcome,
            )
        )
    return tuple(found)


def safe_batch(found: Sequence[Finding], concurrency: int) -> int:
    """The highest tried concurrency below every batch that did not pass; 1 was the baseline."""
    bad = [each.level.batch for each in found if each.level.batch and not _fine(each)]
    if not bad:
        return concurrency
    return max(1, min(concurrency, min(bad) // 2))


def safe_percent(found: Sequence[Finding]) -> int:
    """The highest quarter of the rate below every one that did not pass; 0 for none."""
    fine = 0
    for each in sorted(found, key=lambda finding: finding.level):
        if each.level.percent:
            if not _fine(each):
                return fine
            fine = each.level.percent
    return fine


def _fine(found: Finding) -> bool:
    return found.outcome is Outcome.PASSED
