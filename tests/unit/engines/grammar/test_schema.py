"""Whatever a grammar of ours says is valid under the schema it was made from."""

import json
import random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gbnf import Grammar
from tests.support.grammars import grammar_of
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.grammar.loosen import UNENFORCED
from tokenbooth.engines.grammar.schema import ANY_OBJECT


def grammar_for(schema: object) -> Grammar:
    return Grammar(grammar_of(json.dumps(schema)))


def problem_of(schema: object) -> Problem:
    with pytest.raises(Problem) as caught:
        grammar_of(json.dumps(schema))
    assert caught.value.param == "response_format"
    return caught.value


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "tags": {"type": "array", "items": {"enum": ["a", 'b"\\', 3, None]}, "maxItems": 2},
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "born": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"},
        "hour": {"type": "string", "format": "time"},
        "id": {"type": "string", "format": "uuid"},
        "note": {"type": ["string", "null"]},
        "é\n": {"const": {"x": [1, "日"]}},
        "pair": {"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "null"}]},
        "many": {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
        "none": {"type": "array", "maxItems": 0},
        "exact": {"type": "array", "items": {"type": "null"}, "minItems": 2, "maxItems": 2},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        "empty": {"type": "object", "additionalProperties": False},
        "any": {},
        "yes": True,
        "either": {"anyOf": [{"type": "integer", "exclusiveMinimum": 3}, {"type": "boolean"}]},
        "below": {"type": "integer", "exclusiveMaximum": -3, "minimum": -9.5},
    },
    "required": ["name", "many", "é\n"],
    "additionalProperties": False,
}
TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2},
            },
            "required": ["value"],
        },
        "a/b~c": {"type": "boolean"},
    },
    "type": "object",
    "properties": {"root": {"$ref": "#/$defs/node"}, "odd": {"$ref": "#/$defs/a~1b~0c"}},
    "required": ["root"],
}
SELF = {"type": "object", "properties": {"next": {"$ref": "#"}}}


@pytest.mark.parametrize("schema", [PERSON, TREE, SELF], ids=["person", "tree", "self"])
@given(picks=st.randoms(use_true_random=False))
def test_everything_said_is_valid(schema: dict[str, Any], picks: Any) -> None:
    said = grammar_for(schema).say(lambda most: picks.randint(0, most))
    if said is not None:
        jsonschema_rs.validate(schema, json.loads(said), validate_formats=True)


SIMPLE: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.just({"type": "null"}),
    st.just({"type": "boolean"}),
    st.builds(lambda low, size: {"type": "string", "minLength": low, "maxLength": low + size},
              st.integers(0, 3), st.integers(0, 3)),
    st.builds(lambda low, size: {"type": "integer", "minimum": low, "maximum": low + size},
              st.integers(-200, 200), st.integers(0, 300)),
    st.builds(lambda low, size: {"type": "number", "minimum": low, "maximum": low + size + 1},
              st.floats(-20, 20), st.floats(0, 30)),
    st.builds(lambda values: {"enum": values},
              st.lists(st.one_of(st.text(max_size=4), st.integers(), st.none(), st.booleans()),
                       min_size=1, max_size=4)),
)  # fmt: skip
NAMES = st.text(min_size=1, max_size=4)


def objects(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    def build(properties: dict[str, Any], needed: int) -> dict[str, Any]:
        required = [key for place, key in enumerate(properties) if needed >> place & 1]
        return {"type": "object", "properties": properties, "required": required}

    return st.builds(build, st.dictionaries(NAMES, parts, max_size=4), st.integers(0, 15))


SCHEMAS = st.recursive(
    SIMPLE,
    lambda parts: st.one_of(
        objects(parts),
        st.builds(lambda items: {"type": "array", "items": items, "maxItems": 3}, parts),
        st.builds(lambda either: {"anyOf": either}, st.lists(parts, min_size=1, max_size=3)),
        st.builds(lambda first: {"type": "array", "prefixItems": [first]}, parts),
    ),
    max_leaves=6,
)


@given(SCHEMAS, st.randoms(use_true_random=False))
def test_any_schema_is_followed(schema: dict[str, Any], picks: Any) -> None:
    said = grammar_for(schema).say(lambda most: picks.randint(0, most))
    assert said is not None or "{}" in json.dumps(schema)
    if said is not None:
        jsonschema_rs.validate(schema, json.loads(said))


@given(st.text(max_size=60))
def test_text_that_is_no_schema_is_the_callers_fault(text: str) -> None:
    with pytest.raises(Problem) as caught:
        grammar_of("!" + text)
    assert caught.value.code is Code.INVALID_VALUE


def test_required_keys_are_always_there_and_optional_ones_not() -> None:
    schema = {
        "properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}},
        "required": ["b"],
    }
    grammar = grammar_for(schema)
    seen = set()
    for number in range(200):
        picks = random.Random(number)
        said = grammar.say(lambda most, picks=picks: picks.randint(0, most))  # type: ignore[misc]
        assert said is not None
        seen.add(tuple(json.loads(said)))
    assert seen == {("b",), ("a", "b"), ("b", "c"), ("a", "b", "c")}


def test_an_object_of_any_kind() -> None:
    grammar = Grammar(grammar_of(ANY_OBJECT))
    assert grammar.say(lambda _: 0) == "{}"
    said = grammar.say(lambda most: min(most, 1))
    assert said is None or isinstance(json.loads(said), dict)


def test_types_are_guessed_from_their_keywords() -> None:
    assert json.loads(grammar_for({"items": {"type": "null"}}).say(lambda _: 0) or "") == []
    assert json.loads(grammar_for({"maxLength": 3}).say(lambda _: 0) or "") == ""
    assert json.loads(grammar_for({"required": []}).say(lambda _: 0) or "") == {}


@pytest.mark.parametrize("keyword", UNENFORCED)
def test_keywords_that_cannot_be_enforced_are_named(keyword: str) -> None:
    problem = problem_of({"type": "object", "properties": {"a": {keyword: 1}}})
    assert problem.code is Code.UNSUPPORTED_FEATURE
    assert keyword in problem.public
    assert "#/properties/a" in problem.public


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "uniqueItems": True},
        {"$ref": "https://example.org/schema"},
        {"$ref": "#name"},
        {"type": "string", "format": "date", "maxLength": 4},
        {"type": "string", "minLength": 100_000},
        {"type": "array", "minItems": 101},
        {"type": "array", "prefixItems": [True], "minItems": 2},
        {"type": "array", "prefixItems": [True, True], "maxItems": 1},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"anyOf": [True], "type": "string"},
        {"$ref": "#/$defs/a", "$defs": {"a": True}, "maxLength": 3},
        {"enum": [1], "minimum": 3},
        {"const": 1, "anyOf": [True]},
        {"allOf": [True, True]},
        {"allOf": {}},
    ],
)
def test_what_cannot_be_enforced_is_refused(schema: dict[str, object]) -> None:
    assert problem_of(schema).code is Code.UNSUPPORTED_FEATURE


@pytest.mark.parametrize(
    "schema",
    [
        [],
        False,
        3,
        {"type": "strange"},
        {"type": []},
        {"type": [1]},
        {"type": {}},
        {"enum": []},
        {"enum": ["a"], "type": "integer"},
        {"const": True, "type": "number"},
        {"enum": "a"},
        {"anyOf": {}},
        {"anyOf": []},
        {"anyOf": [False]},
        {"properties": []},
        {"properties": {}, "required": "a"},
        {"required": ["a"]},
        {"type": "object", "required": [1]},
        {"type": "array", "prefixItems": 1},
        {"type": "array", "items": 1},
        {"type": "array", "minItems": -1},
        {"type": "array", "minItems": True},
        {"type": "array", "minItems": 2, "maxItems": 1},
        {"type": "string", "maxLength": "1"},
        {"type": "integer", "minimum": "1"},
        {"type": "integer", "maximum": True},
        {"$ref": "#"},
        {"$ref": "#/absent"},
        {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$defs": [1], "$ref": "#/$defs/0"},
        {"enum": list(range(2000))},
        {"anyOf": [{"type": "null"}] * 3000},
        {"type": "object", "additionalProperties": 1},
    ],
)
def test_what_is_no_schema_is_the_callers_fault(schema: object) -> None:
    assert problem_of(schema).code is Code.INVALID_VALUE


@pytest.mark.parametrize("text", ["", "no json", '{"type":"null"', "[" * 100_000, "\ud83d"])
def test_what_is_no_json_is_the_callers_fault(text: str) -> None:
    with pytest.raises(Problem) as caught:
        grammar_of(text)
    assert caught.value.code is Code.INVALID_VALUE


def test_a_schema_that_is_too_deep_is_refused() -> None:
    schema: dict[str, object] = {"type": "null"}
    for _ in range(40):
        schema = {"type": "array", "items": schema}
    assert problem_of(schema).code is Code.INVALID_VALUE


def test_a_schema_that_is_too_long_is_refused() -> None:
    assert "longer than" in problem_of({"description": "x" * 70_000}).public


@pytest.mark.parametrize(
    ("kinds", "kept"),
    [
        ("integer", [1, 2.0]),
        ("number", [1, 2.0, 2.5]),
        (["boolean", "null"], [True, None]),
        ("string", ["a"]),
        (["object", "array"], [{}, []]),
    ],
)
def test_a_type_beside_an_enum_picks_its_values(kinds: object, kept: list[object]) -> None:
    grammar = grammar_for({"enum": [1, 2.0, 2.5, True, None, "a", {}, []], "type": kinds})
    said = {grammar.say(lambda most, place=place: min(place, most)) for place in range(8)}  # type: ignore[misc]
    assert said == {json.dumps(value) for value in kept}


def test_all_of_one_schema_is_that_schema() -> None:
    grammar = grammar_for({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "null"}}})
    assert grammar.say(lambda _: 0) == "null"


def test_unknown_keywords_are_annotations() -> None:
    grammar = grammar_for({"type": "null", "title": "t", "x-mine": {"pattern": 1}})
    assert grammar.say(lambda _: 0) == "null"


@pytest.mark.parametrize(
    ("least", "most"),
    [(0, 1), (0, 31), (0, 32), (0, 33), (0, 64), (5, 40), (32, 32), (33, 97), (70, 1000)],
)
def test_lengths_are_kept_to_the_character(least: int, most: int) -> None:
    grammar = grammar_for({"type": "string", "minLength": least, "maxLength": most})
    lengths = set()
    for number in range(60):
        picks = random.Random(number)
        said = grammar.say(lambda up, picks=picks: picks.choice((0, up)), 80)  # type: ignore[misc]
        assert said is not None
        lengths.add(len(json.loads(said)))
    assert least <= min(lengths)
    assert max(lengths) <= most
    assert max(lengths) > least or least == most


@pytest.mark.parametrize(
    ("least", "most"),
    [(0, 1), (1, 8), (0, 9), (0, 10), (2, 30), (9, 9), (17, 17), (10, 100), (12, None), (3, None)],
)
def test_counts_are_kept_to_the_item(least: int, most: int | None) -> None:
    bounds = {"minItems": least} | ({} if most is None else {"maxItems": most})
    grammar = grammar_for({"type": "array", "items": {"type": "null"}, **bounds})
    counts = set()
    for number in range(60):
        picks = random.Random(number)
        said = grammar.say(lambda up, picks=picks: picks.choice((0, up)), 80)  # type: ignore[misc]
        assert said is not None
        counts.add(len(json.loads(said)))
    assert least <= min(counts)
    assert most is None or max(counts) <= most
    assert max(counts) > least or least == most


def test_long_texts_share_their_rules() -> None:
    one = {"type": "string", "maxLength": 900}
    few = grammar_of(json.dumps({"properties": {"a": one}}))
    many = grammar_of(json.dumps({"properties": {f"k{n}": one for n in range(20)}}))
    assert many.count("more28a4 ::=") == few.count("more28a4 ::=") == 1
    assert "chr{0,900}" not in many
