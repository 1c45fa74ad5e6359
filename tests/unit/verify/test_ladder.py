"""Answers under load must be shown to be as good; what cannot be shown does not pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.verify.dice.service import Dice
from tokenbooth.verify.ladder.rules import holm, inferior_p
from tokenbooth.verify.ladder.service import (
    Finding,
    LadderPlan,
    Level,
    Outcome,
    Paired,
    findings,
    levels,
    paired,
    probes_needed,
    safe_batch,
    safe_percent,
)

PLAN = LadderPlan()
QUARTERS = [Level(0, percent) for percent in (25, 50, 75, 100)]


def test_every_power_of_two_and_every_quarter_is_a_level() -> None:
    assert levels(100, 1) == (*(Level(1 << bit, 0) for bit in range(1, 7)), *QUARTERS)
    assert levels(64, 8) == (Level(16, 0), Level(32, 0), Level(64, 0), *QUARTERS)
    assert levels(1, 1) == tuple(QUARTERS)
    assert levels(0, 1) == tuple(QUARTERS)
    assert [level.name for level in levels(2, 1)][:2] == ["batch 2", "25 % of the rate"]


def test_more_discordance_and_smaller_margins_need_more_probes() -> None:
    counts = [probes_needed(ppm, 8, PLAN) for ppm in (0, 5_000, 50_000)]
    assert counts == sorted(counts)
    assert counts[0] >= PLAN.probes_min
    assert counts[2] == PLAN.probes_max
    assert probes_needed(0, 8, LadderPlan(margin_ppm=200_000)) == PLAN.probes_min


def test_only_probes_that_were_asked_alone_are_compared() -> None:
    alone = {1: True, 2: True, 3: False}
    loaded = [(1, True), (2, False), (3, True), (4, False), (2, False)]
    assert paired(alone, loaded) == Paired(count=4, lost=2, won=1)


def test_nothing_asked_proves_nothing() -> None:
    assert inferior_p(Paired(0, 0, 0), PLAN) == 1.0
    (found,) = findings({Level(2, 0): Paired(0, 0, 0)}, PLAN)
    assert found.outcome is Outcome.UNPROVEN


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.2))
def test_holm_lies_between_bonferroni_and_nothing(chances: list[float], alpha: float) -> None:
    fallen = holm(chances, alpha)
    for chance, down in zip(chances, fallen, strict=True):
        assert down or chance > alpha / len(chances)
        assert not down or chance <= alpha


def test_the_three_outcomes() -> None:
    found = findings(
        {
            Level(2, 0): Paired(1000, 0, 0),
            Level(4, 0): Paired(1000, 30, 0),
            Level(8, 0): Paired(60, 0, 0),
            Level(16, 0): Paired(60, 3, 3),
        },
        PLAN,
    )
    assert [each.outcome for each in found] == [
        Outcome.PASSED,
        Outcome.FAILED,
        Outcome.UNPROVEN,
        Outcome.UNPROVEN,
    ]
    assert found[1].loss_ppm == 30_000
    assert found[1].high_ppm > 30_000


def finding(level: Level, outcome: Outcome) -> Finding:
    return Finding(level, Paired(1, 0, 0), 0, 0, 0, outcome)


@pytest.mark.parametrize("bad", [Outcome.FAILED, Outcome.UNPROVEN])
def test_what_did_not_pass_bounds_what_is_safe(bad: Outcome) -> None:
    good = Outcome.PASSED
    batches = [finding(Level(size, 0), bad if size == 64 else good) for size in (2, 32, 64, 128)]
    assert safe_batch(batches, 200) == 32
    assert safe_batch(batches[:2], 60) == 60
    assert safe_batch([finding(Level(2, 0), bad)], 60) == 1
    quarters = [finding(level, bad if level.percent == 75 else good) for level in QUARTERS]
    assert safe_percent(quarters) == 50
    assert safe_percent([finding(level, good) for level in QUARTERS]) == 100
    assert safe_percent([]) == 0


def test_a_loss_of_the_margin_is_hardly_ever_let_through() -> None:
    dice, passed = Dice(1, "trials"), 0
    for _ in range(200):
        lost = sum(dice.below(1000) < 20 for _ in range(1000))
        (found,) = findings({Level(2, 0): Paired(1000, lost, 0)}, PLAN)
        passed += found.outcome is Outcome.PASSED
    assert passed <= 10
