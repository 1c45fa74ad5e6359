"""A tool's schema is never refused: what no grammar keeps is left out, and told."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.agent_tools import SCHEMAS
from tests.support.gbnf import Grammar
from tests.unit.engines.grammar.test_schema import SCHEMAS as ANY_SCHEMA
from tokenbooth.engines.grammar.leaves import LEAVES
from tokenbooth.engines.grammar.loosen import UNENFORCED, loosened
from tokenbooth.engines.grammar.schema import Budget, object_rules_of, rules_of

TOLD = {
    "Shell": set(),
    "Edit": set(),
    "Tasks": set(),
    "Search": set(),
    "Fetch": {"format"},
    "Ask": set(),
    "update_plan": set(),
    "mcp__db__query": {"oneOf", "uniqueItems", "pattern", "anyOf beside properties"},
}


def grammar_of_tool(schema: object) -> tuple[Grammar, set[str]]:
    told: set[str] = set()
    name, rules = object_rules_of(json.dumps(schema), "t", told)
    return Grammar("\n".join((f"root ::= {name}", *rules)) + LEAVES), told


def told_by(schema: object) -> set[str]:
    told: set[str] = set()
    rules_of(json.dumps(schema), "t", told)
    return told


@pytest.mark.parametrize("name", SCHEMAS)
@given(picks=st.randoms(use_true_random=False))
def test_what_agents_send_is_kept_and_the_rest_told(name: str, picks: Any) -> None:
    grammar, told = grammar_of_tool(SCHEMAS[name])
    assert told == TOLD[name]
    said = grammar.say(lambda most: picks.randint(0, most))
    if said is not None:
        value = json.loads(said)
        assert isinstance(value, dict)
        if not told:
            jsonschema_rs.validate(SCHEMAS[name], value)


@given(ANY_SCHEMA, st.randoms(use_true_random=False))
def test_a_schema_that_is_kept_is_kept_alike_where_nothing_is_refused(
    schema: dict[str, Any], picks: Any
) -> None:
    told: set[str] = set()
    name, rules = rules_of(json.dumps(schema), "t", told)
    grammar = Grammar("\n".join((f"root ::= {name}", *rules)) + LEAVES)
    said = grammar.say(lambda most: picks.randint(0, most))
    if said is not None and not told:
        jsonschema_rs.validate(schema, json.loads(said))


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "type", "properties", "required", "items", "anyOf", "allOf", "$ref", "enum",
                    "const", "minItems", "maxItems", "minLength", "maximum", "prefixItems",
                    "additionalProperties", "format", "oneOf", "not", "minimum",
                ]
            ),
            st.one_of(inner, st.sampled_from(["object", "array", "string", "#", "date"])),
            max_size=4,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


@given(JUNK, st.randoms(use_true_random=False))
def test_nothing_is_refused_and_only_objects_fit(schema: object, picks: Any) -> None:
    grammar, _ = grammar_of_tool(schema)
    said = grammar.say(lambda most: picks.randint(0, most))
    assert said is None or isinstance(json.loads(said), object)


@pytest.mark.parametrize("keyword", [*UNENFORCED, "uniqueItems"])
def test_each_keyword_that_is_not_enforced_is_told(keyword: str) -> None:
    value: object = [{"type": "null"}] if keyword == "oneOf" else {"a": 1}
    assert told_by({"type": "object", "properties": {"a": {keyword: value}}}) == {keyword}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"propertyNames": {"type": "string"}}, set()),
        ({"uniqueItems": False, "unevaluatedProperties": False}, set()),
        (False, {"a schema that allows nothing"}),
        ({"required": ["b"]}, set()),
        ({"required": "b"}, {"required"}),
        ({"properties": 1}, {"properties"}),
        ({"items": [{"type": "null"}], "minItems": 1}, {"minItems"}),
        ({"format": "date", "maxLength": 3}, {"maxLength"}),
        ({"format": "uri", "maxLength": 3}, {"format"}),
        ({"format": ["odd"], "type": ["null", "string"]}, {"format"}),
        ({"format": "int32", "type": "integer"}, set()),
        ({"minLength": 5000}, {"minLength"}),
        ({"minItems": "x"}, {"minItems"}),
        ({"type": "number", "minimum": 0.2, "maximum": 0.4}, {"minimum", "maximum"}),
        ({"type": "number", "minimum": "x"}, {"minimum"}),
        ({"const": 1, "minimum": 0}, {"const beside minimum"}),
        ({"$ref": "#/$defs/a", "maxLength": 1, "$defs": {"a": True}}, {"$ref beside maxLength"}),
        ({"$ref": "#absent"}, {"a schema too large or not well formed"}),
        ({"type": "strange"}, {"a schema too large or not well formed"}),
        ({"$ref": "#"}, {"a schema that refers to itself without end"}),
        ({"allOf": 1}, {"allOf"}),
        ({"allOf": [{"type": "null"}]}, set()),
        ({"anyOf": 1, "type": "string"}, {"anyOf beside type",
                                          "a schema too large or not well formed"}),
    ],
)  # fmt: skip
def test_what_is_told(schema: object, told: set[str]) -> None:
    assert told_by(schema) == told


def test_parts_of_all_of_add_up() -> None:
    schema = {
        "$defs": {"a": {"properties": {"x": {"type": "null"}}, "required": ["x"]}},
        "properties": {"y": {"type": "null"}},
        "required": ["y"],
        "allOf": [{"$ref": "#/$defs/a"}, {"type": "object"}, True],
    }
    grammar, told = grammar_of_tool(schema)
    assert told == {"allOf"}
    assert json.loads(grammar.say(lambda _: 0) or "") == {"y": None, "x": None}


def test_branches_beside_properties_are_merged() -> None:
    schema = {
        "properties": {"a": {"type": "null"}, "b": {"type": "null"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    grammar, _ = grammar_of_tool(schema)
    said = {tuple(json.loads(grammar.say(lambda m, p=p: min(p, m)) or "{}")) for p in range(2)}  # type: ignore[misc]
    assert all(said)


def test_a_crowd_of_branches_is_not_merged() -> None:
    schema = {"properties": {"a": {"type": "null"}}, "anyOf": [{"required": ["a"]}] * 17}
    grammar, told = grammar_of_tool(schema)
    assert told == {"anyOf beside properties"}
    assert isinstance(json.loads(grammar.say(lambda _: 0) or ""), dict)


def test_a_large_schema_is_looked_at_as_far_as_it_may_be() -> None:
    told: set[str] = set()
    schema = {"properties": {f"k{n}": {"type": "null"} for n in range(9)}}
    name, rules = object_rules_of(json.dumps(schema), "t", told, Budget(5))
    grammar = Grammar("\n".join((f"root ::= {name}", *rules)) + LEAVES)
    assert told == {"schemas over the size limit"}
    assert isinstance(json.loads(grammar.say(lambda _: 0) or ""), dict)


def test_a_required_name_that_nothing_describes_may_have_any_value() -> None:
    assert loosened({"required": ["b"]}, lambda _: None, set()) == {
        "required": ["b"],
        "properties": {"b": True},
    }


@pytest.mark.parametrize("text", ["", "1", '"x"', "true", '{"type":"string"}', '{"enum":[{}]}'])
def test_arguments_are_an_object_whatever_the_schema_says(text: str) -> None:
    told: set[str] = set()
    name, rules = object_rules_of(text, "t", told)
    grammar = Grammar("\n".join((f"root ::= {name}", *rules)) + LEAVES)
    assert json.loads(grammar.say(lambda _: 0) or "") == {}


def test_a_list_is_looked_into_by_a_reference() -> None:
    schema = {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#/anyOf/0"}}]}
    assert told_by(schema) == set()
    assert told_by({**schema, "allOf": [{"$ref": "#/anyOf/7"}]}) != set()
