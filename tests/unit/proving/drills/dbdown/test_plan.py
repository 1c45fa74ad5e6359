from itertools import islice

import pytest

from tokenbooth.core.turn import Message, Role, TextPart, Turn
from tokenbooth.engines.scripted.counting import input_tokens_of
from tokenbooth.proving.drills.dbdown.plan import (
    INPUT_TOKENS,
    OUTPUT_TOKENS_MAX,
    REGULAR_KEYS,
    STRANGERS,
    regular_calls,
    stage_plan,
    stranger,
    stranger_calls,
)

SOME = 200


def test_calls_are_functions_of_the_seed() -> None:
    first, same, other = (tuple(islice(regular_calls(seed), SOME)) for seed in (1, 1, 2))
    assert first == same
    assert first != other


def test_regulars_share_an_organization_and_strangers_do_not() -> None:
    plan = stage_plan(8)
    orgs = {key.name: key.org for key in plan.keys}
    assert {orgs[name] for name in REGULAR_KEYS} == {"regulars"}
    assert len({orgs[stranger(index)] for index in range(STRANGERS)}) == STRANGERS
    assert set(orgs.values()) == {org.name for org in plan.orgs}


def test_every_call_uses_a_key_of_its_own_kind() -> None:
    assert {plan.key for plan in islice(regular_calls(1), SOME)} == set(REGULAR_KEYS)
    for index in range(STRANGERS):
        assert {p.key for p in islice(stranger_calls(1, index), 9)} == {stranger(index)}


def test_no_two_calls_have_one_number() -> None:
    numbers = [plan.number for plan in islice(regular_calls(1), SOME)]
    for index in range(STRANGERS):
        numbers += [plan.number for plan in islice(stranger_calls(1, index), SOME)]
    assert len(set(numbers)) == len(numbers)


def test_calls_have_every_shape_and_the_input_that_they_say() -> None:
    found = tuple(islice(regular_calls(3), SOME))
    assert {plan.stream for plan in found} == {True, False}
    limits = {plan.output_tokens_max for plan in found}
    assert None in limits
    assert max(limit for limit in limits if limit is not None) <= OUTPUT_TOKENS_MAX
    for plan in found:
        message = Message(Role.USER, (TextPart(plan.prompt),))
        assert input_tokens_of(Turn(model="m", messages=(message,))) == INPUT_TOKENS


@pytest.mark.parametrize("parallel", [1, 100])
def test_the_model_has_room_for_everybody(parallel: int) -> None:
    (model,) = stage_plan(parallel).models
    assert model.concurrency_max >= parallel + STRANGERS
