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
from tests.support.responses import FRAME, checked_body
from tests.support.spoiled import CLIENT_FAULTS, Place, holder_of, places, steps
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, RunEnd
from tokenbooth.core.problem import Problem
from tokenbooth.engines.bounds import turn_tokens_max
from tokenbooth.protocols.dialect import Parsed
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.openai_responses.memory import completed
from tokenbooth.protocols.openai_responses.parameters import BODY
from tokenbooth.protocols.problems import status_of

FULL: dict[str, Any] = {
    "model": "m",
    "instructions": "be kind",
    "input": [
        {"type": "message", "role": "developer", "content": "be short"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "what is this?"},
                {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "hm"},
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "a cat"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "x"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "ok"}],
        },
        {"type": "item_reference", "id": "rs_2"},
        {"type": "web_search_call", "id": "ws_1"},
    ],
    "tools": [
        {
            "type": "function",
            "name": "look",
            "description": "Look.",
            "parameters": {"type": "object", "properties": {"at": {"$ref": "#"}}},
            "strict": False,
        },
        {
            "type": "custom",
            "name": "patch",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"},
        },
        {"type": "web_search"},
        {"type": "namespace", "name": "wiki", "tools": [{"type": "function", "name": "find"}]},
    ],
    "tool_choice": {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "look"}],
    },
    "parallel_tool_calls": True,
    "text": {
        "format": {
            "type": "json_schema",
            "name": "seen",
            "schema": {"type": "object"},
            "strict": True,
        },
        "verbosity": "low",
    },
    "reasoning": {"effort": "low", "summary": "auto"},
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "temperature": 0.5,
    "top_p": 1,
    "top_logprobs": 3,
    "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
    "max_output_tokens": 100,
    "max_tool_calls": 2,
    "metadata": {"user_id": "u", "k": "v"},
    "safety_identifier": "s",
    "user": "u",
    "prompt_cache_key": "k",
    "service_tier": "auto",
    "store": False,
    "truncation": "disabled",
    "background": False,
}
VALIDATOR = jsonschema_rs.Draft202012Validator(BODY.schema())

changed = partial(spoiled.changed, FULL)
without = partial(spoiled.without, FULL)
outcome = partial(spoiled.outcome, OPENAI_RESPONSES)
PLACES = list(places(FULL))
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "a", "auto", "function", "rs_1", "é" * 300, "\u2028"])
    | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "id", "role", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def test_the_full_body_is_read() -> None:
    parsed = outcome(FULL)
    assert isinstance(parsed, Parsed)
    assert parsed.turn.messages == ()
    parsed = completed(parsed, [], {})
    assert [message.role.value for message in parsed.turn.messages] == [
        "system",
        "developer",
        "user",
        "assistant",
        "tool",
        "assistant",
        "tool",
    ]
    assert turn_tokens_max(parsed.turn) > 0
    assert VALIDATOR.is_valid(FULL)


@settings(max_examples=300, deadline=None, derandomize=True)
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
    assert found.param is not None
    assert points_at(found.param, place), (found.param, place)
    if found.code is Code.WRONG_TYPE:
        assert not VALIDATOR.is_valid(body)


def points_at(param: str, place: Place) -> bool:
    """At the changed place, inside what was put there, at what now lacks it, beside a ``type`` that
    asks for something else now, or at the choice of a tool that is no longer offered."""
    said = steps(param)
    shared = min(len(said), len(place))
    if place[-1] == "type" and said[: len(place) - 1] == place[:-1]:
        return True
    return said[:shared] == place[:shared] or (place[0] == "tools" and said[0] == "tool_choice")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(PLACES), JUNK)
def test_whatever_is_read_can_be_given_back(place: Place, junk: Any) -> None:
    found = outcome(changed(place, junk))
    if isinstance(found, Problem):
        assert found.param
        return
    writer = OPENAI_RESPONSES.writer(found, FRAME)
    raw = writer.delta(Delta(text="a")) + writer.closing(RunEnd(None), None)
    last = json.loads(raw.rpartition(b"data: ")[2] if found.stream else raw)
    checked_body(last["response"] if found.stream else last)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_leaving_anything_out_is_taken_or_named(place: Place) -> None:
    body = without(place)
    found = outcome(body)
    if isinstance(found, Problem):
        assert found.code in (Code.MISSING_FIELD, Code.INVALID_VALUE, Code.UNSUPPORTED_FEATURE)
        assert found.param is not None
        assert points_at(found.param, place) or steps(found.param)[: len(place) - 1] == place[:-1]
    else:
        assert VALIDATOR.is_valid(body)


FREE = {"parameters", "schema"}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_stranger_beside_anything_changes_nothing(place: Place) -> None:
    body = copy.deepcopy(FULL)
    holder = holder_of(body, place)
    plain = outcome(FULL)
    assert isinstance(plain, Parsed)
    if isinstance(holder, dict) and not FREE & set(map(str, place[:-1])):
        holder["zebra"] = "deep"
    found = outcome(body)
    assert isinstance(found, Parsed)
    assert found.turn == plain.turn
    noted = {note.param for note in found.notes} - {note.param for note in plain.notes}
    assert all(param.endswith("zebra") for param in noted)


def test_every_stranger_is_told_where_a_field_is_known() -> None:
    known = [(), ("text",), ("reasoning",), ("tools", 0), ("input", 0), ("input", 1, "content", 0)]
    for place in known:
        body = changed((*place, "zebra"), 1)
        found = outcome(body)
        assert isinstance(found, Parsed)
        assert any(note.param.endswith("zebra") for note in found.notes), place


@given(st.data())
def test_the_order_of_fields_means_nothing(data: st.DataObject) -> None:
    names = data.draw(st.permutations(sorted(FULL)))
    found = outcome({name: FULL[name] for name in names})
    plain = outcome(FULL)
    assert isinstance(found, Parsed)
    assert isinstance(plain, Parsed)
    assert found.turn == plain.turn
    assert found.echo == plain.echo
    assert set(found.notes) == set(plain.notes)


@given(st.integers(0, 4000))
def test_a_cut_body_is_malformed(length: int) -> None:
    raw = json.dumps(FULL).encode()
    with pytest.raises(Problem) as caught:
        OPENAI_RESPONSES.parse(raw[: min(length, len(raw) - 1)])
    assert caught.value.code is Code.MALFORMED_JSON


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 5000), st.integers(0, 255))
def test_a_flipped_byte_never_breaks_the_reader(at: int, value: int) -> None:
    raw = bytearray(json.dumps(FULL).encode())
    raw[at % len(raw)] = value
    try:
        found: object = OPENAI_RESPONSES.parse(bytes(raw))
    except Problem as problem:
        found = problem.code.kind
    assert isinstance(found, Parsed) or found in CLIENT_FAULTS


def test_names_of_a_caller_are_shown_only_where_a_header_can_carry_them() -> None:
    """What a caller calls a kind becomes a note; it is made visible and short on its way out."""
    from tokenbooth.gateway.headers import note_headers

    kind = "evil\r\nx-other: 1, é" + "x" * 500
    found = outcome({"model": "m", "input": "hi", "tools": [{"type": kind}]})
    assert isinstance(found, Parsed)
    ((name, value),) = note_headers(found.notes)
    assert name == "x-tokenbooth-notes"
    assert value.isascii()
    assert value.isprintable()
    assert len(value) < 300
