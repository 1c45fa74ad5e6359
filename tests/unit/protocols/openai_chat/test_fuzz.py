"""Whatever arrives, the answer is a turn or a named refusal that points into the body."""

import copy
import json
from functools import partial
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import spoiled
from tests.support.spoiled import CLIENT_FAULTS, JUNK, Place, places, steps
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.bounds import turn_tokens_max
from tokenbooth.protocols.dialect import Parsed
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openai_chat.parameters import BODY
from tokenbooth.protocols.problems import status_of

FULL: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "be kind"},
        {"role": "developer", "content": [{"type": "text", "text": "be short"}]},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "look",
                "description": "Look.",
                "parameters": {"type": "object", "properties": {"at": {"$ref": "#"}}},
                "strict": False,
            },
        }
    ],
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "parallel_tool_calls": True,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "seen", "schema": {"type": "object"}, "strict": True},
    },
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0.5,
    "top_p": 1,
    "n": 2,
    "stop": ["a", "b"],
    "seed": 1,
    "logit_bias": {"1": 2},
    "logprobs": True,
    "top_logprobs": 3,
    "max_completion_tokens": 100,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "reasoning_effort": "low",
    "verbosity": "low",
    "metadata": {"user_id": "u", "k": "v"},
    "safety_identifier": "s",
    "service_tier": "auto",
    "store": False,
}
VALIDATOR = jsonschema_rs.Draft202012Validator(BODY.schema())

changed = partial(spoiled.changed, FULL)
without = partial(spoiled.without, FULL)
outcome = partial(spoiled.outcome, OPENAI_CHAT)
PLACES = sorted(places(FULL), key=repr)


def test_the_full_body_is_taken() -> None:
    parsed = outcome(FULL)
    assert isinstance(parsed, Parsed)
    assert len(parsed.turn.messages) == 6
    assert turn_tokens_max(parsed.turn) > 0
    assert VALIDATOR.is_valid(FULL)


@settings(max_examples=300)
@given(st.sampled_from(PLACES), JUNK)
def test_junk_anywhere_is_taken_or_named(place: Place, junk: Any) -> None:
    body = changed(place, junk)
    found = outcome(body)
    if isinstance(found, Parsed):
        assert VALIDATOR.is_valid(body)
        assert turn_tokens_max(found.turn) > 0
        return
    assert found.code.kind in CLIENT_FAULTS
    assert status_of(found.code) == 400
    if found.code in (Code.WRONG_TYPE, Code.MISSING_FIELD):
        assert not VALIDATOR.is_valid(body)
    assert found.param is not None
    assert points_at(found.param, place), (found.param, place)


def points_at(param: str, place: Place) -> bool:
    """At the changed place, inside what was put there, at what now lacks it, or at what the
    change broke elsewhere: a tool that is chosen but no longer offered, alternatives without their
    log probabilities, an assistant that neither calls nor speaks."""
    said = steps(param)
    shared = min(len(said), len(place))
    related = {
        "tools": "tool_choice",
        "tool_choice": "tools",
        "logprobs": "top_logprobs",
    }
    if place[-1] == "tool_calls" and said == (*place[:-1], "content"):
        return True
    return said[:shared] == place[:shared] or related.get(str(place[0])) == said[0]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_leaving_anything_out_is_taken_or_named(place: Place) -> None:
    body = without(place)
    found = outcome(body)
    if isinstance(found, Problem):
        assert found.code in (Code.MISSING_FIELD, Code.INVALID_VALUE)
        assert found.param is not None
        assert points_at(found.param, place) or steps(found.param)[: len(place) - 1] == place[:-1]
    else:
        assert VALIDATOR.is_valid(body)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_stranger_beside_anything_changes_nothing(place: Place) -> None:
    body = copy.deepcopy(FULL)
    holder: Any = body
    for step in place[:-1]:
        holder = holder[step]
    free = {"parameters", "schema", "logit_bias"}
    if not isinstance(holder, dict) or free & set(map(str, place[:-1])):
        assert isinstance(outcome(body), Parsed)
        return
    holder["zebra"] = {"deep": [1]}
    plain, found = outcome(FULL), outcome(body)
    assert isinstance(plain, Parsed)
    assert isinstance(found, Parsed)
    assert found.turn == plain.turn
    if "metadata" in place[:-1]:
        assert found.notes == plain.notes
    else:
        assert any(note.param.endswith("zebra") for note in found.notes)


@given(st.data())
def test_the_order_of_fields_means_nothing(data: st.DataObject) -> None:
    names = data.draw(st.permutations(sorted(FULL)))
    found = outcome({name: FULL[name] for name in names})
    plain = outcome(FULL)
    assert isinstance(found, Parsed)
    assert isinstance(plain, Parsed)
    assert found.turn == plain.turn
    assert set(found.notes) == set(plain.notes)


@given(st.integers(0, 3000))
def test_a_cut_body_is_malformed(length: int) -> None:
    raw = json.dumps(FULL).encode()
    with pytest.raises(Problem) as caught:
        OPENAI_CHAT.parse(raw[: min(length, len(raw) - 1)])
    assert caught.value.code is Code.MALFORMED_JSON


@settings(max_examples=200)
@given(st.integers(0, 5000), st.integers(0, 255))
def test_a_flipped_byte_never_breaks_the_reader(at: int, value: int) -> None:
    raw = bytearray(json.dumps(FULL).encode())
    raw[at % len(raw)] = value
    try:
        found: object = OPENAI_CHAT.parse(bytes(raw))
    except Problem as problem:
        found = problem.code.kind
    assert isinstance(found, Parsed) or found in CLIENT_FAULTS
