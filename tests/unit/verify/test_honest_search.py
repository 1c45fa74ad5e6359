"""Whatever a server does, the search ends, keeps to its budget, and certifies what it saw."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.verify.search.service import (
    PPM,
    Promise,
    Purpose,
    Search,
    SearchPlan,
    block_bound,
    warm_calls,
)

PROMISE = Promise(1_000_000, 50_000)
PLAN = SearchPlan(probe_calls=40, probe_calls_min=20, confirm_calls=120, calls_max=1_200)
RUNS_MAX = 40

Server = Callable[[int, int], int]
"""The slack that a call uses, by the rate and by the number of the call in its run."""


def play(search: Search, server: Server) -> list[tuple[Purpose, int, list[int]]]:
    """Every run that the search asked for, with its slacks."""
    runs = []
    while (run := search.run) is not None:
        assert len(runs) < RUNS_MAX, "a search ends"
        slacks: list[int] = []
        while not search.enough(slacks):
            slacks.append(server(run.calls_per_ks, len(slacks)))
        assert len(slacks) <= run.calls
        search.ended(slacks, run.warm_calls + len(slacks))
        runs.append((run.purpose, run.calls_per_ks, slacks))
    return runs


def knee_at(knee: int, seed: int) -> Server:
    dice = Random(seed)
    return lambda rate, _: 2 * PPM if rate > knee or dice.random() < 0.02 else PPM // 2


def gets_worse(_rate: int, number: int) -> int:
    return PPM // 2 if number < 60 else 2 * PPM


SERVERS: dict[str, Server] = {
    "never good": lambda _rate, _number: 10 * PPM,
    "always good": lambda _rate, _number: 0,
    "just good": lambda _rate, _number: PPM,
    "just not": lambda _rate, _number: PPM + 1,
    "gets worse": gets_worse,
    "every other": lambda _rate, number: (number % 2) * 2 * PPM,
    "good when fast": lambda rate, _number: 0 if rate > 5_000 else 2 * PPM,
}
HOPELESS = {"never good", "just not", "gets worse", "every other"}


@pytest.mark.parametrize("name", SERVERS)
def test_every_search_ends_and_what_it_certifies_is_a_confirmed_run(name: str) -> None:
    search = Search(PROMISE, PLAN, 1_000, 8)
    runs = play(search, SERVERS[name])
    confirmed = {rate: slacks for purpose, rate, slacks in runs if purpose is Purpose.CONFIRM}
    if search.best is not None:
        run, judgement = search.best
        slacks = confirmed[run.calls_per_ks]
        good = sum(slack <= PPM for slack in slacks)
        assert judgement.bound.share_ppm == good * PPM // len(slacks)
        assert judgement.bound.low_ppm >= PROMISE.attainment_ppm
        assert len(slacks) == PLAN.confirm_calls
    if name in HOPELESS:
        assert search.best is None


@pytest.mark.parametrize("name", ["always good", "just good"])
def test_a_server_without_a_limit_is_certified_once_the_budget_lets_it(name: str) -> None:
    search = Search(PROMISE, replace(PLAN, calls_max=10**12), 1_000, 8)
    rates = [rate for purpose, rate, _ in play(search, SERVERS[name]) if purpose is Purpose.CONFIRM]
    assert search.best is not None
    assert search.best[0].calls_per_ks == max(rates)


@settings(max_examples=15)
@given(st.integers(100, 200_000), st.integers(1, 50_000), st.integers(0, 99))
def test_a_sharp_knee_is_never_certified_above(knee: int, first: int, seed: int) -> None:
    search = Search(PROMISE, PLAN, first, 8)
    runs = play(search, knee_at(knee, seed))
    assert search.sent == sum(seen.sent for seen in search.seen)
    assert [seen.run.calls_per_ks for seen in search.seen] == [rate for _, rate, _ in runs]
    if search.best is not None:
        assert search.best[0].calls_per_ks <= knee


@settings(max_examples=6)
@given(st.integers(0, 10**6))
def test_a_server_of_pure_luck_breaks_nothing(seed: int) -> None:
    dice = Random(seed)
    search = Search(PROMISE, PLAN, 1_000, 8)
    runs = play(search, lambda _rate, _number: dice.randrange(0, 12 * PPM // 10))
    passed = [seen for seen in search.seen if seen.passed and seen.run.purpose is Purpose.CONFIRM]
    assert (search.best is None) == (not passed)
    assert sum(purpose is Purpose.CONFIRM for purpose, _, _ in runs) <= PLAN.confirms_max
    if search.best is not None:
        assert search.best[0].calls_per_ks == max(seen.run.calls_per_ks for seen in passed)


def test_the_best_of_two_confirmations_is_kept_in_whatever_order_they_came() -> None:
    search = Search(PROMISE, replace(PLAN, calls_max=10_000), 1_000, 8)
    play(search, knee_at(9_000, 3))
    passed = [
        seen.run.calls_per_ks
        for seen in search.seen
        if seen.passed and seen.run.purpose is Purpose.CONFIRM
    ]
    assert search.best is not None
    assert search.best[0].calls_per_ks == max(passed)


@pytest.mark.parametrize("calls_max", [0, 100, 300, 600])
def test_a_small_budget_gives_no_certificate_rather_than_a_thin_one(calls_max: int) -> None:
    search = Search(PROMISE, replace(PLAN, calls_max=calls_max), 1_000, 8)
    runs = play(search, knee_at(5_000, 1))
    for purpose, _, slacks in runs:
        if purpose is Purpose.CONFIRM:
            assert len(slacks) <= PLAN.confirm_calls
    before = [seen.sent for seen in search.seen if seen.run.purpose is Purpose.PROBE]
    if sum(before) >= calls_max:
        assert search.best is None


@given(st.integers(1, 10**6), st.integers(1, 1_000), st.integers(1, 10**6))
def test_more_calls_a_second_never_need_a_shorter_warm_up(
    rate: int, tokens: int, more: int
) -> None:
    assert warm_calls(PROMISE, tokens, rate) <= warm_calls(PROMISE, tokens, rate + more)
    assert warm_calls(PROMISE, tokens, rate) >= 1


@settings(max_examples=15)
@given(st.lists(st.booleans(), min_size=1, max_size=200), st.integers(1, 400_000))
def test_less_doubt_never_raises_the_lower_bound(outcomes: list[bool], doubt_ppm: int) -> None:
    careful = block_bound(outcomes, doubt_ppm // 2, 1)
    usual = block_bound(outcomes, doubt_ppm, 1)
    assert careful.low_ppm <= usual.low_ppm
    assert careful.high_ppm >= usual.high_ppm


@pytest.mark.parametrize(("outcomes", "edge"), [([True] * 50, PPM), ([False] * 50, 0)])
def test_calls_that_all_did_the_same_have_no_spread(outcomes: list[bool], edge: int) -> None:
    bound = block_bound(outcomes, 100_000, 7)
    assert (bound.low_ppm, bound.share_ppm, bound.high_ppm) == (edge, edge, edge)
