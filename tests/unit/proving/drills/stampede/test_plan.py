from itertools import islice

import pytest

from tokenbooth.core.turn import Message, Role, TextPart, Turn
from tokenbooth.engines.scripted.counting import input_tokens_of
from tokenbooth.engines.scripted.engine import ScriptOptions
from tokenbooth.engines.scripted.rules import plan as engine_plan
from tokenbooth.proving.drills.laws import cost_nano
from tokenbooth.proving.drills.stampede.plan import (
    ANSWER_TOKENS,
    CALL_NANO,
    CAP_NANO,
    DRAWN_TOKENS,
    FITTING,
    ODD,
    PRICE,
    PROMPT,
    PROMPT_TOKENS,
    SCOPES,
    Rush,
    drawn_calls,
    exact_calls,
    last_calls,
    rushes,
    stage_plan,
)

SOME = 200
EXACT, RANDOM = Rush(0, "balance", True), Rush(4, "project", False)


def turn(text: str, limit: int | None) -> Turn:
    message = Message(Role.USER, (TextPart(text),))
    return Turn(model="m", messages=(message,), output_tokens_max=limit)


def test_a_call_of_an_exact_rush_is_exactly_ten_cents_and_fifty_fit() -> None:
    assert input_tokens_of(turn(PROMPT, None)) == PROMPT_TOKENS
    assert cost_nano(PRICE, PROMPT_TOKENS, ANSWER_TOKENS) == CALL_NANO == 10**8
    assert (CAP_NANO, FITTING) == (5 * 10**9, 50)


def test_the_script_answers_with_as_many_tokens_as_the_limit_allows() -> None:
    (model, _odd) = stage_plan(rushes(), 10).models
    options = ScriptOptions(
        chunks=int(model.script["chunks"]), tokens_per_chunk=int(model.script["tokens_per_chunk"])
    )
    (choice,) = engine_plan(turn(PROMPT, ANSWER_TOKENS), options, PROMPT_TOKENS)
    assert choice.output_tokens == ANSWER_TOKENS == model.output_tokens_max


@pytest.mark.parametrize("scope", SCOPES)
def test_the_limit_of_a_rush_is_the_tightest_and_the_others_lie_around_it(scope: str) -> None:
    rush = Rush(0, scope, exact=True)
    caps = {each: rush.cap_nano(each) for each in SCOPES}
    assert caps.pop(scope) == CAP_NANO
    assert all(cap >= 2 * CAP_NANO for cap in caps.values())
    assert list(caps.values()) == sorted(caps.values(), reverse=True)


@pytest.mark.parametrize("scope", SCOPES)
def test_several_keys_and_projects_share_a_limit_that_is_above_them(scope: str) -> None:
    rush = Rush(0, scope, exact=False)
    projects = {key.project for key in rush.keys}
    assert (len(rush.keys) > 1) is (scope != "key")
    assert (len(projects) > 1) is (scope in ("balance", "organization"))
    assert {rush.key_of(n) for n in range(20)} == {key.name for key in rush.keys}


def test_the_stage_has_what_the_calls_use() -> None:
    played = rushes()
    plan = stage_plan(played, 1000)
    keys = {key.name for key in plan.keys}
    for rush in played:
        calls = (*exact_calls(rush, 20), *islice(drawn_calls(rush, 1), 20))
        assert {call.key for call in calls} <= keys
        assert {call.model for call in calls} <= {None, *(model.name for model in plan.models)}
    made = {(project.org, project.name) for project in plan.projects}
    assert {(key.org, key.project) for key in plan.keys} == made
    assert all(model.concurrency_max >= 1000 for model in plan.models)


def test_each_limit_is_rushed_exactly_and_at_random() -> None:
    played = rushes()
    assert {(rush.scope, rush.exact) for rush in played} == {
        (scope, exact) for scope in SCOPES for exact in (True, False)
    }
    assert [rush.scope for rush in rushes(("key",))] == ["key", "key"]


def test_no_two_calls_have_one_number() -> None:
    played = rushes()
    numbers = [
        call.number
        for rush in played
        for call in (
            *exact_calls(rush, SOME),
            *(plan for plan, _tokens in last_calls(rush)),
        )
    ]
    assert len(set(numbers)) == len(numbers)


def test_the_calls_of_a_random_rush_are_a_function_of_the_seed() -> None:
    first, same, other = (tuple(islice(drawn_calls(RANDOM, s), SOME)) for s in (7, 7, 8))
    assert first == same
    assert first != other


def test_a_random_rush_has_calls_of_every_shape_and_all_need_the_same_to_start() -> None:
    calls = tuple(islice(drawn_calls(RANDOM, 3), SOME))
    assert {call.stream for call in calls} == {True, False}
    assert {call.output_tokens_max for call in calls} == {None, ANSWER_TOKENS}
    assert {call.model for call in calls} == {ODD}
    assert {input_tokens_of(turn(call.prompt, None)) for call in calls} == {DRAWN_TOKENS}
    assert all(call.include_usage == call.stream for call in calls)


def test_the_last_calls_are_as_large_as_they_say() -> None:
    for plan, tokens in last_calls(RANDOM):
        assert input_tokens_of(turn(plan.prompt, None)) == tokens
    assert [tokens for _plan, tokens in last_calls(RANDOM)] == [DRAWN_TOKENS, PROMPT_TOKENS]
