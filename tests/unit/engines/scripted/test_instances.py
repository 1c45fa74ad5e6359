"""Minimal instances of JSON schemas."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.scripted.instances import LENGTH_MAX, minimal_instance


def made(schema: object) -> object:
    return minimal_instance(json.dumps(schema))


@pytest.mark.parametrize(
    ("schema", "instance"),
    [
        ({"type": "object"}, {}),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {}),
        (
            {"properties": {"a": {"type": "string"}, "b": {"type": "null"}}, "required": ["b"]},
            {"b": None},
        ),
        ({"type": "object", "required": ["free"]}, {"free": {}}),
        ({"type": "array"}, []),
        ({"type": "array", "minItems": 2, "items": {"type": "boolean"}}, [False, False]),
        ({"type": "array", "minItems": 1}, [{}]),
        ({"type": "string"}, ""),
        ({"type": "string", "minLength": 3}, "xxx"),
        ({"type": "boolean"}, False),
        ({"type": "null"}, None),
        ({"type": ["string", "null"]}, None),
        ({"type": ["integer", "string"]}, 0),
        ({"const": {"deep": [1]}}, {"deep": [1]}),
        ({"const": None}, None),
        ({"enum": ["b", "a"]}, "b"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 0),
        ({"oneOf": [{"pattern": "x"}, {"type": "null"}]}, None),
        ({"allOf": [{"type": "string"}, {"minLength": 1}]}, "x"),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "boolean"}}}, False),
        ({}, None),
        (True, {}),
    ],
)
def test_simple_schemas(schema: object, instance: object) -> None:
    assert made(schema) == instance


def test_no_schema_at_all_allows_anything() -> None:
    assert minimal_instance("") is None


@pytest.mark.parametrize(
    ("bounds", "number"),
    [
        ({}, 0),
        ({"minimum": 3}, 3),
        ({"minimum": -3}, 0),
        ({"maximum": -3}, -3),
        ({"exclusiveMinimum": 3}, 4),
        ({"exclusiveMaximum": 0}, -1),
        ({"exclusiveMaximum": -3}, -4),
        ({"minimum": 5, "multipleOf": 4}, 8),
        ({"maximum": -5, "multipleOf": 4}, -8),
        ({"minimum": 2, "maximum": 2}, 2),
    ],
)
def test_whole_numbers_keep_their_bounds(bounds: dict[str, int], number: int) -> None:
    instance = made({"type": "integer", **bounds})
    assert instance == number
    assert type(instance) is int


@pytest.mark.parametrize(
    ("bounds", "number"),
    [
        ({"minimum": 0.5}, 1),
        ({"minimum": 0.25, "maximum": 0.75}, 0.5),
        ({"exclusiveMinimum": 0.0, "exclusiveMaximum": 1.0}, 0.5),
        ({"multipleOf": 0.5, "minimum": 0.25}, 0.5),
    ],
)
def test_numbers_keep_their_bounds(bounds: dict[str, float], number: float) -> None:
    assert made({"type": "number", **bounds}) == number


@given(st.integers(-1000, 1000), st.integers(0, 1000))
def test_every_whole_range_has_an_instance_in_it(least: int, width: int) -> None:
    instance = made({"type": "integer", "minimum": least, "maximum": least + width})
    assert isinstance(instance, int)
    assert least <= instance <= least + width


def test_a_recursive_schema_ends_where_it_can() -> None:
    tree = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["next"],
    }
    instance = made(tree)
    while instance is not None:
        assert isinstance(instance, dict)
        assert set(instance) == {"next"}
        instance = instance["next"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^a"},
        {"type": "string", "format": "date"},
        {"not": {"type": "null"}},
        {"$ref": "https://elsewhere"},
        {"$ref": "#"},
        {"anyOf": [{"pattern": "a"}]},
        {"anyOf": [{"$ref": "#"}] * 3},
        {"type": "array", "minItems": 1000, "items": {"$ref": "#"}},
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    ],
)
def test_what_it_cannot_build_it_refuses(schema: object) -> None:
    with pytest.raises(Problem) as caught:
        made(schema)
    assert caught.value.code is Code.UNSUPPORTED_FEATURE


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "nope",
        "5",
        "null",
        "false",
        "[" * 100_000,
        '{"type":"colour"}',
        '{"type":[]}',
        '{"$ref":"#/$defs/gone"}',
        '{"enum":5}',
        '{"anyOf":5}',
        '{"allOf":[5]}',
        '{"required":5}',
        '{"properties":[]}',
        '{"type":"object","required":["a"],"properties":5}',
        '{"type":"integer","minimum":"a"}',
        '{"type":"integer","multipleOf":0}',
        '{"type":"string","minLength":-1}',
        '{"type":"string","minLength":"3"}',
        f'{{"type":"array","minItems":{LENGTH_MAX + 1}}}',
        '{"$ref":5}',
    ],
)
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        minimal_instance(text)
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == "schema"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
WORDS = ("type", "properties", "required", "items", "enum", "anyOf", "allOf", "minItems", "$ref")
wild: st.SearchStrategy[Any] = st.dictionaries(st.sampled_from(WORDS), json_values)


@given(wild)
def test_wild_schemas_end_in_an_instance_or_a_problem(schema: dict[str, object]) -> None:
    with contextlib.suppress(Problem):
        json.dumps(made(schema))
