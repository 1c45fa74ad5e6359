"""The search finds the knee of servers that are known, and certifies what a fresh run confirmed."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.verify.dice.service import Dice
from tokenbooth.verify.search.rules import (
    between,
    block_bound,
    is_futile,
    is_stable,
    judge,
    nearer,
    rate_after,
    slack_ppm,
    sprt,
    warm_calls,
)
from tokenbooth.verify.search.search import Search
from tokenbooth.verify.search.values import PPM, Promise, Purpose, Run, SearchPlan, Seen

PROMISE = Promise(1_000_000, 50_000)
PLAN = SearchPlan()


def seen(rate: int, slack: int, *, passed: bool, purpose: Purpose = Purpose.CONFIRM) -> Seen:
    return Seen(Run(purpose, rate, 0, 100), 100, 100, 95, slack, passed)


def test_dice_are_the_same_everywhere_and_even() -> None:
    dice = Dice(1, "x")
    assert [dice.below(1000) for _ in range(5)] == [Dice(1, "x").below(1000), *_rest(1, 4)]
    drawn = [Dice(2, "y").between(3, 5) for _ in range(3)]
    assert set(drawn) <= {3, 4, 5}
    many = Dice(3, "z")
    counts = [0, 0, 0]
    for _ in range(3000):
        counts[many.below(3)] += 1
    assert all(900 < count < 1100 for count in counts)
    assert 0 <= many.fraction() < 1
    assert many.one_of("ab") in "ab"
    assert Dice(1, "a").below(10**9) != Dice(1, "b").below(10**9)


def _rest(seed: int, count: int) -> list[int]:
    dice = Dice(seed, "x")
    dice.below(1000)
    return [dice.below(1000) for _ in range(count)]


def test_the_sequential_test_tells_good_from_bad_and_waits_for_queues() -> None:
    assert sprt([True] * 400, PLAN, 0) is True
    assert sprt([True] * 100, PLAN, 101) is None
    assert sprt([True] * 101, PLAN, 101) is True
    assert sprt([False] * 10, PLAN, 1000) is False
    assert sprt([], PLAN, 0) is None


@given(st.lists(st.booleans(), min_size=1, max_size=300), st.integers(0, 20))
def test_what_was_decided_stays_decided(outcomes: list[bool], more: int) -> None:
    told = sprt(outcomes, PLAN, 0)
    if told is not None:
        assert sprt(outcomes + [not told] * more, PLAN, 0) is told


def test_a_probe_that_could_not_tell_is_taken_for_the_nearer() -> None:
    assert nearer([True] * 95 + [False] * 5, PROMISE)
    assert not nearer([True] * 94 + [False] * 6, PROMISE)


def test_the_warm_up_is_one_life_of_a_call() -> None:
    assert warm_calls(PROMISE, 20, 10_000) == 20  # 2 s at 10 a second


@given(st.lists(st.booleans(), min_size=1, max_size=400), st.integers(0, 9))
def test_a_bound_holds_its_share_between_its_ends(outcomes: list[bool], seed: int) -> None:
    bound = block_bound(outcomes, 100_000, seed)
    assert 0 <= bound.low_ppm <= bound.high_ppm <= PPM
    assert bound == block_bound(outcomes, 100_000, seed)
    assert bound.share_ppm == sum(outcomes) * PPM // len(outcomes)


def test_neighbours_that_fail_together_make_the_bound_wider() -> None:
    scattered = ([True] * 19 + [False]) * 60
    together = [True] * 1140 + [False] * 60
    wide, narrow = (block_bound(each, 50_000, 1) for each in (together, scattered))
    assert wide.low_ppm < narrow.low_ppm


def test_a_run_that_gets_worse_is_not_stable() -> None:
    assert is_stable([True] * 300)
    assert is_stable([False] * 150 + [True] * 150)
    assert not is_stable([True] * 150 + [False] * 150)
    assert is_stable([True, False])


def test_a_confirmation_passes_by_its_lower_bound_and_never_empty() -> None:
    assert judge([True] * 1300, PROMISE, PLAN, 1).passed
    assert not judge(([True] * 18 + [False]) * 68, PROMISE, PLAN, 1).passed
    assert not judge([], PROMISE, PLAN, 1).passed


def test_a_hopeless_confirmation_is_given_up() -> None:
    assert not is_futile([], PROMISE, PLAN)
    assert not is_futile([False] * 5, PROMISE, PLAN)
    assert is_futile([False] * 50, PROMISE, PLAN)
    assert is_futile([True] * 1200 + [False] * 70, PROMISE, PLAN)


def test_slack_is_that_of_the_promised_share_and_the_guard() -> None:
    assert slack_ppm(list(range(1, 1001)), PROMISE, PLAN) == 955
    assert slack_ppm([7], PROMISE, PLAN) == 7


def test_the_next_rate_follows_from_how_much_slack_was_left() -> None:
    easy, hard = seen(1000, 500_000, passed=True), seen(2000, 3_000_000, passed=False)
    assert rate_after(easy, PLAN) > 1000
    assert rate_after(hard, PLAN) < 2000
    assert rate_after(seen(1, 0, passed=True), PLAN) >= 1
    middle = between(easy, hard, 1, PLAN)
    assert middle is not None
    assert 1000 < middle < 2000
    assert between(easy, None, 0, PLAN) == rate_after(easy, PLAN)
    assert between(None, hard, 1, PLAN) == rate_after(hard, PLAN)
    assert between(None, None, 0, PLAN) is not None
    close = seen(1030, 1_010_000, passed=False)
    assert between(easy, close, 1, PLAN) is None


def test_each_failure_in_a_row_steps_down_further() -> None:
    barely = seen(1000, 1_000_001, passed=False)
    steps = [between(None, barely, fails, PLAN) or 0 for fails in (1, 2, 3)]
    assert all(later < sooner for sooner, later in pairwise([1000, *steps]))


def play(search: Search, knee: int, noise: int = 0, runs_max: int = 60) -> int:
    """A server that is good below its knee and bad above it."""
    dice, runs = Dice(noise, "server"), 0
    while search.run is not None and runs < runs_max:
        runs += 1
        rate = search.run.calls_per_ks
        slacks: list[int] = []
        missed = 0.02 if rate <= knee else min(1.0, 0.05 + 2 * (rate / knee - 1))
        while not slacks or not search.enough(slacks):
            bad = dice.fraction() < missed
            slacks.append(1_500_000 if bad else PPM * rate // knee * 9 // 10)
        search.ended(slacks, search.run.warm_calls + len(slacks))
    return runs


@pytest.mark.parametrize("noise", range(4))
@pytest.mark.parametrize(("knee", "part"), [(300, 1), (5_000, 13), (300_000, 50)])
def test_the_knee_is_found_from_any_first_guess(knee: int, part: int, noise: int) -> None:
    search = Search(PROMISE, replace(PLAN, calls_max=60_000), max(1, knee // part), 1)
    assert play(search, knee, noise) < 60
    assert search.run is None
    assert search.best is not None
    assert 0.7 < search.best[0].calls_per_ks / knee < 1.1


def test_what_is_certified_was_a_run_of_its_own() -> None:
    search = Search(PROMISE, PLAN, 1000, 1)
    play(search, 5000)
    assert search.best is not None
    run, judgement = search.best
    assert run.purpose is Purpose.CONFIRM
    assert judgement.passed
    assert judgement.bound.low_ppm >= PROMISE.attainment_ppm
    assert search.sent <= PLAN.calls_max


def test_a_server_that_keeps_nothing_certifies_nothing() -> None:
    search = Search(PROMISE, PLAN, 1000, 1)
    while search.run is not None:
        search.ended([10 * PPM] * 20, 20)
    assert search.best is None
    assert any(run.run.calls_per_ks == 1 for run in search.seen)


def test_a_run_without_calls_fails() -> None:
    search = Search(PROMISE, PLAN, 1000, 1)
    search.ended([], 0)
    assert not search.seen[0].passed


def test_a_pass_above_an_old_failure_forgets_it() -> None:
    search = Search(PROMISE, PLAN, 1000, 1)
    good, bad = [0] * 400, [10 * PPM] * 20
    for outcome in (good, bad, good):
        search.ended(outcome, len(outcome))
    rates = [each.run.calls_per_ks for each in search.seen]
    assert rates == [1000, 2000, 1414]
