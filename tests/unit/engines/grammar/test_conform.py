"""The product's own check of a JSON text against a schema, held against an independent one."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.agent_tools import SCHEMAS
from tests.unit.engines.grammar.test_loosen import JUNK
from tests.unit.engines.grammar.test_schema import PERSON, TREE
from tests.unit.engines.grammar.test_schema import SCHEMAS as KEPT
from tokenbooth.engines.grammar.conform import unchecked, violation

VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-9, 9), st.floats(-9, 9), st.text("abx", max_size=3)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text("abx", max_size=1), inner, max_size=3),
    ),
    max_leaves=6,
)
WORDS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "number", "integer", "object", "array", ["null"]]),
        "minLength": st.integers(0, 2),
        "maxLength": st.integers(0, 2),
        "minimum": st.integers(-3, 3),
        "exclusiveMaximum": st.floats(-3, 3),
        "multipleOf": st.sampled_from([1, 2, 0.5, 0.1]),
        "minItems": st.integers(0, 2),
        "maxItems": st.integers(0, 2),
        "uniqueItems": st.booleans(),
        "required": st.lists(st.sampled_from(["a", "b"]), unique=True),
        "minProperties": st.integers(0, 2),
        "maxProperties": st.integers(0, 2),
        "const": VALUES,
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "dependentRequired": st.just({"a": ["b"]}),
    },
)
ANY_SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.booleans(), WORDS),
    lambda inner: st.one_of(
        st.builds(
            lambda words, more: {**words, **more},
            WORDS,
            st.fixed_dictionaries(
                {},
                optional={
                    "properties": st.dictionaries(st.sampled_from("abx"), inner, max_size=2),
                    "additionalProperties": inner,
                    "propertyNames": inner,
                    "items": inner,
                    "prefixItems": st.lists(inner, min_size=1, max_size=2),
                    "contains": inner,
                    "anyOf": st.lists(inner, min_size=1, max_size=2),
                    "oneOf": st.lists(inner, min_size=1, max_size=2),
                    "allOf": st.lists(inner, min_size=1, max_size=2),
                    "not": inner,
                    "if": inner,
                    "then": inner,
                    "else": inner,
                },
            ),
        ),
    ),
    max_leaves=5,
)


@given(ANY_SCHEMAS, VALUES)
def test_it_finds_what_an_independent_validator_finds(schema: Any, value: Any) -> None:
    # Both read the texts: numbers are what JSON says they are.
    schema, value = json.loads(json.dumps(schema)), json.loads(json.dumps(value))
    found = violation(json.dumps(schema), json.dumps(value))
    assert (found is None) == jsonschema_rs.is_valid(schema, value)


@given(st.one_of(KEPT, st.sampled_from([PERSON, TREE, *SCHEMAS.values()])), VALUES)
def test_real_schemas_are_judged_alike(schema: Any, value: Any) -> None:
    assume(not unchecked(json.dumps(schema)))
    found = violation(json.dumps(schema), json.dumps(value))
    assert (found is None) == jsonschema_rs.is_valid(schema, value)


@given(JUNK, VALUES)
def test_no_schema_makes_it_fail(schema: Any, value: Any) -> None:
    found = violation(json.dumps(schema), json.dumps(value))
    assert found is None or found.startswith("$")


@pytest.mark.parametrize("text", ["", "{", "x", "NaN", "Infinity", "1 2", "[" * 100_000])
def test_what_is_no_json_is_said_so(text: str) -> None:
    assert violation("{}", text) == "it is not one JSON value"


@pytest.mark.parametrize(
    ("schema", "text", "why"),
    [
        ({"required": ["a"]}, "{}", "$ lacks 'a'"),
        ({"properties": {"a": {"type": ["integer", "null"]}}}, '{"a": "b"}',
         "$.a is not of type integer or null"),
        ({"items": {"enum": [1, True]}}, "[1, 2]", "$[1] is none of the values that it may be"),
        ({"properties": {"a": False}}, '{"a": 1}', "$.a may not be there"),
        ({"maximum": 3}, "4", "$ breaks maximum 3"),
        ({"type": "number"}, "1e999", "$ is too large"),
        ({"items": [{"type": "null"}], "additionalItems": False}, "[null, 1]",
         "$[1] may not be there"),
        ({"maxLength": 2}, '"abc"', "$ breaks minLength or maxLength"),
    ],
)  # fmt: skip
def test_the_place_and_the_reason_are_named(schema: object, text: str, why: str) -> None:
    assert violation(json.dumps(schema), text) == why


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "https://example.org"},
        {"$ref": "#/absent"},
        {"$ref": 1},
        {"anyOf": 1},
        {"properties": 1},
        {"minLength": "x"},
        {"multipleOf": 0},
        {"multipleOf": True},
        {"dependentRequired": [1]},
        {"dependentRequired": {"a": 1}},
        {"contains": True, "minContains": "x"},
        3,
    ],
)
def test_what_cannot_be_checked_is_not_held_against_the_text(schema: object) -> None:
    for text in ('"a"', '{"a": 1}', "5", "[1]"):
        assert violation(json.dumps(schema), text) is None


def test_endless_work_is_given_up() -> None:
    schema = {"anyOf": [{"$ref": "#/$defs/a"}] * 30, "$defs": {"a": {"anyOf": [False] * 2000}}}
    assert violation(json.dumps(schema), "1") is None


def test_references_are_followed_through_lists() -> None:
    schema = {"allOf": [{"type": "integer"}, {"$ref": "#/allOf/0"}]}
    assert violation(json.dumps(schema), '"x"') is not None
    assert violation("", "1") is None


def test_patterns_and_formats_are_told_as_unchecked() -> None:
    assert unchecked('{"pattern":"a","format":"date"}') == ("pattern", "format")
    assert (
        violation('{"patternProperties":{"a":false},"additionalProperties":false}', '{"b":1}')
        is None
    )
