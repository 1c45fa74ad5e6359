import json
from dataclasses import replace

import pytest

from tokenbooth.access.keys import service as keys
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.proving.asking import WRONG_KEY_WAYS, ask_of
from tokenbooth.proving.client import Ask
from tokenbooth.proving.drills.mixed.schedule import KEYS, PRICE, SLOW, schedule_of
from tokenbooth.proving.malformed import MALFORMED
from tokenbooth.proving.plans import CallKind, CallPlan
from tokenbooth.proving.stage import Stage, StageKey, StageModel

GOOD = "tb_live_" + "1" * 40 + "3NLxTi"
STAGE = Stage(
    orgs={"main": "drill-main"},
    models={"mock": StageModel("drill", PRICE), SLOW: StageModel("drill-slow", PRICE)},
    keys={plan.name: StageKey(f"key_{plan.name}", f"secret-{plan.name}", "main") for plan in KEYS},
    readers={},
)
PLAN = CallPlan(number=7, kind=CallKind.STREAMED, key="free-0", prompt="w1 w2")


def headers_of(ask: Ask) -> dict[str, str]:
    return {name.lower(): value for name, value in ask.headers}


def test_a_plain_call_says_who_it_is_and_pays_with_its_key() -> None:
    ask = ask_of(PLAN, STAGE)
    fields = json.loads(ask.body)
    assert headers_of(ask)["authorization"] == "Bearer secret-free-0"
    assert fields == {
        "model": "drill",
        "messages": [{"role": "user", "content": "w1 w2"}],
        "user": "call-000007",
    }


def test_streams_usage_and_limits_are_asked_for() -> None:
    plan = replace(PLAN, stream=True, include_usage=True, output_tokens_max=9)
    parsed = OPENAI_CHAT.parse(ask_of(plan, STAGE).body)
    assert (parsed.stream, parsed.include_usage) == (True, True)
    assert parsed.turn.output_tokens_max == 9
    assert parsed.turn.end_customer == plan.mark


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_call_that_is_no_client_fault_is_well_formed(seed: int) -> None:
    for plan in schedule_of(seed, 200).calls:
        if plan.kind is not CallKind.MALFORMED:
            parsed = OPENAI_CHAT.parse(ask_of(plan, STAGE).body)
            assert parsed.stream == plan.stream


@pytest.mark.parametrize("strict", [True, False])
def test_a_strict_call_says_so(strict: bool) -> None:
    found = headers_of(ask_of(replace(PLAN, strict=strict, output_tokens_max=9), STAGE))
    assert found.get("x-tokenbooth-strict") == ("1" if strict else None)
    assert found["authorization"] == "Bearer secret-free-0"


def test_a_call_may_name_its_model_of_the_stage() -> None:
    plan = replace(PLAN, model=SLOW)
    assert json.loads(ask_of(plan, STAGE).body)["model"] == "drill-slow"


def test_an_unknown_model_is_none_of_the_stage() -> None:
    plan = replace(PLAN, kind=CallKind.UNKNOWN_MODEL)
    assert json.loads(ask_of(plan, STAGE).body)["model"] not in STAGE.prices


@pytest.mark.parametrize("way", range(len(MALFORMED)))
def test_a_malformed_call_has_a_good_key(way: int) -> None:
    plan = replace(PLAN, kind=CallKind.MALFORMED, way=way)
    ask = ask_of(plan, STAGE)
    assert headers_of(ask)["authorization"] == "Bearer secret-free-0"
    assert ask.announced_bytes == MALFORMED[way].announced_bytes


def refused(way: int) -> Code | None:
    stage = replace(STAGE, keys={"free-0": StageKey("key", GOOD, "main")})
    ask = ask_of(replace(PLAN, kind=CallKind.WRONG_KEY, way=way), stage)
    try:
        keys.checked_secret(keys.offered_secret(headers_of(ask)))
    except Problem as problem:
        return problem.code
    return None


def test_wrong_keys_are_wrong_in_every_way() -> None:
    codes = [refused(way) for way in range(WRONG_KEY_WAYS)]
    # The fourth is well-formed, so that only the look-up can refuse it.
    assert codes == [
        Code.MISSING_KEY,
        Code.INVALID_KEY,
        Code.INVALID_KEY,
        None,
        Code.AMBIGUOUS_CREDENTIALS,
    ]
