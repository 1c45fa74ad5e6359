from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.proving.draw import Draw
from tokenbooth.proving.drills.kill.plan import (
    CALLS_EACH,
    INPUT_TOKENS,
    LIMIT_TOKENS_MAX,
    LONG_CHUNKS,
    LOOSE_TIMES,
    MEAN_CALL_NANO,
    OUTPUT_TOKENS_MAX,
    PRICE,
    SCOPES,
    SETTINGS,
    SHORT_CHUNKS,
    Wallet,
    calls,
    probe_plans,
    prompt_of,
    purses,
    stage_plan,
)
from tokenbooth.proving.drills.laws import cost_nano
from tokenbooth.proving.drills.script import script_tokens
from tokenbooth.proving.plans import CallKind

SOME = 300
PURSES = purses(3, 12)


def plans(seed: int = 3, count: int = SOME) -> tuple:  # type: ignore[type-arg]
    return tuple(islice(calls(seed, Wallet(purses(seed, 4))), count))


def test_purses_and_calls_are_functions_of_the_seed() -> None:
    assert purses(3, 12) == PURSES
    assert purses(4, 12) != PURSES
    assert plans(3) == plans(3)
    assert plans(3) != plans(4)


def test_each_purse_is_tight_at_another_level_in_turn() -> None:
    for index, purse in enumerate(PURSES):
        tight_nano = purse.caps_nano[index % len(SCOPES)]
        assert min(purse.caps_nano) == tight_nano
        assert max(purse.caps_nano) <= LOOSE_TIMES[1] * tight_nano
        assert CALLS_EACH[0] <= tight_nano // MEAN_CALL_NANO <= CALLS_EACH[1]


def test_a_purse_is_empty_after_some_dozens_of_calls() -> None:
    """So money is short all the time, and the mean is what it says."""
    answers = [sum(SHORT_CHUNKS) // 2, sum(LONG_CHUNKS) // 2]
    means = [cost_nano(PRICE, INPUT_TOKENS, tokens) for tokens in answers]
    assert means[0] < MEAN_CALL_NANO < means[1]


def test_no_purse_buys_more_than_one_call_may_ask_for() -> None:
    most_nano = CALLS_EACH[1] * LOOSE_TIMES[1] * MEAN_CALL_NANO
    assert cost_nano(PRICE, INPUT_TOKENS, OUTPUT_TOKENS_MAX) * 4 > most_nano


def test_calls_without_a_limit_need_more_money_on_their_way() -> None:
    assert int(SETTINGS["till.output_step_tokens"]) < LONG_CHUNKS[1] // 2


def test_the_stage_has_every_purse_with_its_caps() -> None:
    plan = stage_plan(PURSES, 12)
    by_name = {org.name: org for org in plan.orgs}
    for purse in PURSES:
        balance, organization, project, key = purse.caps_nano
        assert (by_name[purse.name].credit_nano, by_name[purse.name].cap_nano) == (
            balance,
            organization,
        )
        own = [p for p in plan.projects if p.org == purse.name]
        assert {p.cap_nano for p in own} == {project}
        assert {k.cap_nano for k in plan.keys if k.org == purse.name} == {key}
        assert {k.project for k in purse.keys} == {p.name for p in own}


def test_calls_have_every_shape() -> None:
    found = plans()
    assert {plan.kind for plan in found} == {CallKind.STREAMED, CallKind.WHOLE}
    limits = {plan.output_tokens_max for plan in found}
    assert None in limits
    assert max(limit for limit in limits if limit is not None) <= LIMIT_TOKENS_MAX
    streams = [plan for plan in found if plan.stream]
    assert {plan.include_usage for plan in streams} == {True, False}
    assert not any(plan.include_usage for plan in found if not plan.stream)
    assert [plan.number for plan in found] == list(range(SOME))


def test_every_prompt_has_the_same_tokens() -> None:
    assert script_tokens(2) == INPUT_TOKENS
    assert {plan.prompt.count("=") for plan in plans()} == {2}


def test_a_wallet_opens_the_next_purse_when_the_last_key_is_refused() -> None:
    wallet = Wallet(PURSES)
    first = PURSES[0]
    for key in first.keys[:-1]:
        wallet.refused(key.name)
        assert wallet.current == 0
    wallet.refused(first.keys[-1].name)
    assert wallet.current == 1
    assert wallet.opened == PURSES[:2]


def test_an_empty_purse_in_the_middle_is_passed_over() -> None:
    wallet = Wallet(PURSES)
    for purse in (PURSES[1], PURSES[0]):
        for key in purse.keys:
            wallet.refused(key.name)
    assert wallet.current == 2


def test_the_last_purse_stays_open() -> None:
    wallet = Wallet(PURSES[:1])
    for key in PURSES[0].keys:
        wallet.refused(key.name)
    assert wallet.current == 0


@given(st.integers(0, 10**6), st.integers(0, len(PURSES) - 1))
def test_money_comes_from_the_open_purse_or_an_older_one(seed: int, current: int) -> None:
    wallet, draw = Wallet(PURSES), Draw(seed, "x")
    wallet.current = current
    names = {key.name for purse in wallet.opened for key in purse.keys}
    assert {wallet.key(draw) for _ in range(30)} <= names


def test_older_purses_are_looked_into_again() -> None:
    wallet, draw = Wallet(PURSES), Draw(1, "x")
    wallet.current = 5
    found = {wallet.key(draw).split("-")[0] for _ in range(500)}
    assert "purse5" in found
    assert len(found) > 3


@pytest.mark.parametrize("count", [1, 3])
def test_each_key_of_a_purse_is_probed(count: int) -> None:
    found = probe_plans(PURSES[:count])
    assert {plan.key for plan in found} == {k.name for p in PURSES[:count] for k in p.keys}
    assert {plan.prompt for plan in found} == {prompt_of(1, 0)}
    assert min(plan.number for plan in found) > 10**8
