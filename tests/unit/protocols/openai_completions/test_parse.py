"""Text completions bodies: what becomes a turn of raw prompts, and what is refused by name."""

import json
from functools import partial
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.parameters_page import render
from tests.support import spoiled
from tests.support.spoiled import CLIENT_FAULTS, JUNK, Place, places, steps
from tokenbooth.core.codes import Code
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import LogprobsAsk, Sampling
from tokenbooth.engines.bounds import turn_tokens_max
from tokenbooth.protocols.dialect import Note, Parsed
from tokenbooth.protocols.openai_completions import OPENAI_COMPLETIONS
from tokenbooth.protocols.openai_completions.parameters import BODY, PARAMETERS
from tokenbooth.protocols.problems import status_of

FULL: dict[str, Any] = {
    "model": "m",
    "prompt": ["once upon", "a time"],
    "suffix": "the end",
    "max_tokens": 7,
    "stream": True,
    "stream_options": {"include_usage": True},
    "echo": False,
    "n": 2,
    "best_of": 2,
    "logprobs": 3,
    "temperature": 0.5,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 1,
    "stop": ["a", "b"],
    "seed": 1,
    "logit_bias": {"1": 2},
    "user": "ann",
}
VALIDATOR = jsonschema_rs.Draft202012Validator(BODY.schema())
PLACES = sorted(places(FULL), key=repr)
outcome = partial(spoiled.outcome, OPENAI_COMPLETIONS)


def parse(**fields: Any) -> Parsed:
    return OPENAI_COMPLETIONS.parse(json.dumps({"model": "m", "prompt": "hi", **fields}).encode())


def refused(**fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        parse(**fields)
    return caught.value


def test_a_plain_prompt_is_a_raw_turn_of_sixteen_tokens() -> None:
    turn = parse().turn
    assert [message.text for message in turn.messages] == ["hi"]
    assert (turn.raw, turn.choices, turn.output_tokens_max) == (True, 1, 16)
    assert (turn.suffix, turn.logprobs, turn.end_customer) == (None, None, None)


def test_the_full_body_is_taken_whole() -> None:
    parsed = outcome(FULL)
    assert isinstance(parsed, Parsed)
    turn = parsed.turn
    assert [message.text for message in turn.messages] == ["once upon", "a time"]
    assert (turn.choices, turn.output_tokens_max, turn.suffix) == (4, 7, "the end")
    assert turn.logprobs == LogprobsAsk(3)
    assert turn.sampling == Sampling(0.5, 1.0, 0.0, 1.0, 1, ("a", "b"), ((1, 2.0),))
    assert turn.end_customer == "ann"
    assert (parsed.stream, parsed.include_usage, parsed.notes) == (True, True, ())
    assert VALIDATOR.is_valid(FULL)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": [1, 2]}, "prompt", Code.UNSUPPORTED_FEATURE),
        ({"prompt": [[1, 2]]}, "prompt", Code.UNSUPPORTED_FEATURE),
        ({"prompt": []}, "prompt", Code.INVALID_VALUE),
        ({"prompt": ""}, "prompt", Code.INVALID_VALUE),
        ({"prompt": ["a", ""]}, "prompt[1]", Code.INVALID_VALUE),
        ({"prompt": ["x"] * 17}, "prompt", Code.INVALID_VALUE),
        ({"prompt": None}, "prompt", Code.WRONG_TYPE),
        ({"prompt": {}}, "prompt", Code.WRONG_TYPE),
        ({"best_of": 2}, "best_of", Code.UNSUPPORTED_FEATURE),
        ({"best_of": 1, "n": 2}, "best_of", Code.UNSUPPORTED_FEATURE),
        ({"echo": True, "logprobs": 0}, "echo", Code.UNSUPPORTED_FEATURE),
        ({"max_tokens": 0}, "max_tokens", Code.INVALID_VALUE),
        ({"logprobs": 6}, "logprobs", Code.INVALID_VALUE),
        ({"logprobs": True}, "logprobs", Code.WRONG_TYPE),
        ({"n": 9}, "n", Code.INVALID_VALUE),
    ],
)
def test_what_cannot_be_is_refused_by_name(fields: Any, param: str, code: Code) -> None:
    problem = refused(**fields)
    assert (problem.param, problem.code) == (param, code)


def test_small_wishes() -> None:
    assert parse(stop="x").turn.sampling.stop == ("x",)
    assert parse(suffix="").turn.suffix is None
    assert parse(n=2, best_of=2).turn.choices == 2
    assert parse(echo=True).echo == {"echo": True}
    assert parse(logprobs=0).turn.logprobs == LogprobsAsk(0)


def test_what_is_ignored_is_noted() -> None:
    options = {"include_usage": True, "include_obfuscation": True}
    notes = parse(stream_options=options, best_of=None, zebra=1).notes
    assert {note.param for note in notes} == {
        "stream_options",
        "stream_options.include_obfuscation",
        "zebra",
    }
    assert Note("zebra", "ignored: unknown here") in notes


@settings(max_examples=200)
@given(st.sampled_from(PLACES), JUNK)
def test_junk_anywhere_is_taken_or_named(place: Place, junk: Any) -> None:
    body = spoiled.changed(FULL, place, junk)
    found = outcome(body)
    if isinstance(found, Parsed):
        assert VALIDATOR.is_valid(body)
        assert turn_tokens_max(found.turn) > 0
        return
    assert found.code.kind in CLIENT_FAULTS
    assert status_of(found.code) == 400
    assert found.param is not None
    if found.code in (Code.WRONG_TYPE, Code.MISSING_FIELD):
        assert not VALIDATOR.is_valid(body)
    related = {"n": "best_of", "logprobs": "echo"}
    said = steps(found.param)
    assert said[0] in (place[0], related.get(str(place[0]))), (found.param, place)


@given(st.integers(0, 3000), st.integers(0, 255))
def test_a_flipped_byte_never_breaks_the_reader(at: int, value: int) -> None:
    raw = bytearray(json.dumps(FULL).encode())
    raw[at % len(raw)] = value
    try:
        found: object = OPENAI_COMPLETIONS.parse(bytes(raw))
    except Problem as problem:
        found = problem.code.kind
    assert isinstance(found, Parsed) or found in CLIENT_FAULTS


@pytest.mark.parametrize("feature", list(Feature))
def test_every_feature_has_a_name_here(feature: Feature) -> None:
    assert OPENAI_COMPLETIONS.param_of(feature) in {row.name for row in PARAMETERS}


def test_a_refusal_of_a_later_step_names_the_field_of_this_dialect() -> None:
    for said, named in (("messages", "prompt"), ("max_completion_tokens", "max_tokens")):
        problem = Problem(Code.INVALID_VALUE, "x", param=said, facts={"a": 1})
        body = json.loads(OPENAI_COMPLETIONS.refusal(problem, "req_1").body)
        assert body["error"]["param"] == named
    plain = Problem(Code.BALANCE_EXHAUSTED, "x")
    assert json.loads(OPENAI_COMPLETIONS.refusal(plain, "req_1").body)["error"]["param"] is None
    assert OPENAI_COMPLETIONS.output_limit_param == "max_tokens"


def test_the_page_tells_every_parameter() -> None:
    page = render().partition("## `POST /v1/completions`")[2].partition("\n## ")[0]
    assert all(f"| `{row.name}` |" in page for row in PARAMETERS)
