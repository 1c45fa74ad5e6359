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
from tests.support.spoiled import CLIENT_FAULTS, JUNK, Place, holder_of, places, steps
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.bounds import turn_tokens_max
from tokenbooth.gateway.headers import note_headers
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from tokenbooth.protocols.anthropic_messages.parameters import BODY
from tokenbooth.protocols.dialect import Parsed
from tokenbooth.protocols.problems import ANTHROPIC, status_of

CACHED = {"cache_control": {"type": "ephemeral"}}
FULL: dict[str, Any] = {
    "model": "m",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "be kind", **CACHED}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                },
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "d"},
                    "title": "t",
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "content": [{"type": "text", "text": "a cat"}],
                    "is_error": False,
                }
            ],
        },
        {"role": "system", "content": "be short"},
    ],
    "tools": [
        {
            "name": "look",
            "description": "Look.",
            "input_schema": {"type": "object", "properties": {"at": {"$ref": "#"}}},
            **CACHED,
        },
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
    "output_config": {
        "effort": "low",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
    },
    "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized"},
    "stop_sequences": ["a"],
    "stream": True,
    "temperature": 0.5,
    "top_p": 1,
    "top_k": 5,
    "metadata": {"user_id": "u"},
    "service_tier": "auto",
    "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
}
VALIDATOR = jsonschema_rs.Draft202012Validator(BODY.schema())

changed = partial(spoiled.changed, FULL)
without = partial(spoiled.without, FULL)
outcome = partial(spoiled.outcome, ANTHROPIC_MESSAGES)
PLACES = sorted(places(FULL), key=repr)


def sound(found: Parsed) -> None:
    """A turn that the rest of the booth can count, screen and tell of in headers."""
    assert turn_tokens_max(found.turn) > 0
    assert found.turn.messages
    for _, value in note_headers(found.notes):
        assert value.isascii()
        assert value.isprintable()


def test_the_full_body_is_taken() -> None:
    parsed = outcome(FULL)
    assert isinstance(parsed, Parsed)
    assert len(parsed.turn.messages) == 5
    sound(parsed)
    assert VALIDATOR.is_valid(FULL)


@settings(max_examples=400, derandomize=True)
@given(st.sampled_from(PLACES), JUNK)
def test_junk_anywhere_is_taken_or_named(place: Place, junk: Any) -> None:
    body = changed(place, junk)
    found = outcome(body)
    if isinstance(found, Parsed):
        assert VALIDATOR.is_valid(body)
        sound(found)
        return
    assert found.code.kind in CLIENT_FAULTS
    assert status_of(found.code, ANTHROPIC) == 400
    if found.code in (Code.WRONG_TYPE, Code.MISSING_FIELD):
        assert not VALIDATOR.is_valid(body)
    assert found.param is not None
    assert points_at(found.param, place), (found.param, place)


def points_at(param: str, place: Place) -> bool:
    """At the changed place, inside what was put there, at what now lacks it, beside a ``type`` that
    asks for something else now, or at the choice of a tool that is no longer offered."""
    said = steps(param)
    shared = min(len(said), len(place))
    if place[-1] == "type" and said[: len(place) - 1] == place[:-1]:
        return True
    return said[:shared] == place[:shared] or (place[0], said[0]) == ("tools", "tool_choice")


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
        sound(found)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_stranger_beside_anything_never_refuses_the_call(place: Place) -> None:
    body = copy.deepcopy(FULL)
    holder = holder_of(body, place)
    if isinstance(holder, list):
        return
    holder["x_stranger"] = {"deep": [1, {"er": None}]}
    found = outcome(body)
    expected = outcome(FULL)
    assert isinstance(found, Parsed)
    assert isinstance(expected, Parsed)
    assert VALIDATOR.is_valid(body)
    free = {"input", "input_schema", "schema", "properties", "at", "cache_control", "edits"}
    if not free.intersection(map(str, place[:-1])):
        assert found.turn == expected.turn
        noted = {note.param for note in found.notes} - {note.param for note in expected.notes}
        held = place[-2] if len(place) > 1 else ""
        assert noted or held in ("context_management", 1)


@settings(max_examples=300, derandomize=True)
@given(st.binary(max_size=60))
def test_bytes_are_never_a_fault_of_ours(raw: bytes) -> None:
    with pytest.raises(Problem) as caught:
        ANTHROPIC_MESSAGES.parse(raw)
    assert caught.value.kind in CLIENT_FAULTS


@settings(max_examples=200, derandomize=True)
@given(st.integers(0, 5000))
def test_a_cut_body_is_malformed(length: int) -> None:
    raw = json.dumps(FULL).encode()
    with pytest.raises(Problem) as caught:
        ANTHROPIC_MESSAGES.parse(raw[: min(length, len(raw) - 1)])
    assert caught.value.code is Code.MALFORMED_JSON


@settings(max_examples=300, derandomize=True)
@given(st.integers(0, 5000), st.integers(0, 255))
def test_a_flipped_byte_never_breaks_the_reader(at: int, value: int) -> None:
    raw = bytearray(json.dumps(FULL).encode())
    raw[at % len(raw)] = value
    try:
        found: object = ANTHROPIC_MESSAGES.parse(bytes(raw))
    except Problem as problem:
        found = problem.code.kind
    assert isinstance(found, Parsed) or found in CLIENT_FAULTS


KINDS = ["text", "image", "tool_use", "tool_result", "thinking", "document", "novel", ""]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([*KINDS, "base64", "url"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "content", "source", "data", "input", "id", "name", "thinking"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=400, derandomize=True)
@given(st.sampled_from(["user", "assistant", "system"]), st.lists(VALUES, max_size=4))
def test_any_blocks_are_taken_or_named(role: str, blocks: list[Any]) -> None:
    body = {"model": "m", "messages": [{"role": role, "content": blocks}]}
    found = outcome(body)
    if isinstance(found, Parsed):
        assert VALIDATOR.is_valid(body)
        sound(found)
    else:
        assert found.code.kind in CLIENT_FAULTS
        assert found.param is not None
        assert found.param.startswith("messages")
