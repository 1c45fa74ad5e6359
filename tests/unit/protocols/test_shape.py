"""Shapes read, refuse by path, and document the same rule that they check."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.open_shape import Anything
from tokenbooth.protocols.shape import (
    STRANGERS_MAX,
    Either,
    Field,
    Flag,
    FreeObject,
    Listed,
    Numbers,
    Real,
    Record,
    Refused,
    Shape,
    Strangers,
    Text,
    Whole,
    nullable,
    tagged,
)


def refused(shape: Shape, value: object, path: str = "x") -> Problem:
    with pytest.raises(Problem) as caught:
        shape.read(value, path, Strangers())
    return caught.value


def read(shape: Shape, value: object) -> Any:
    return shape.read(value, "x", Strangers())


PAIR = Record(
    {"a": Field(Whole(0, 9), required=True), "b": Field(Text(high=3), text="A word.")},
)
PART = tagged(
    "type",
    {"text": Record({"text": Field(Text(), required=True)}), "flag": Record({"on": Field(Flag())})},
    {"audio": "no ears"},
)

WRONG_TYPES: list[tuple[Shape, object, str]] = [
    (Text(), 1, "x must be a string, not a number."),
    (Text(), None, "x must be a string, not null."),
    (Whole(0, 1), True, "x must be an integer, not a boolean."),
    (Whole(0, 1), "1", "x must be an integer, not a string."),
    (Whole(0, 1), 0.5, "x must be an integer, not a fraction."),
    (Real(0, 1), False, "x must be a number, not a boolean."),
    (Real(0, 1), [], "x must be a number, not an array."),
    (Flag(), 0, "x must be true or false, not a number."),
    (FreeObject(9), [], "x must be an object, not an array."),
    (Numbers(".*", Real(0, 1), 1), 0.5, "x must be an object of numbers, not a number."),
    (Listed(Flag(), 0, 1), {}, "x must be an array, not an object."),
    (PAIR, [], "x must be an object, not an array."),
    (PART, "text", "x must be an object, not a string."),
    (Either(Text(), Listed(Flag(), 0, 1)), {}, "x must be a string or an array, not an object."),
    (Either(Text(), PAIR), [], "x must be a string or an object, not an array."),
]


@pytest.mark.parametrize(("shape", "value", "says"), WRONG_TYPES)
def test_wrong_types_are_named(shape: Shape, value: object, says: str) -> None:
    problem = refused(shape, value)
    assert (problem.code, problem.param) == (Code.WRONG_TYPE, "x")
    assert says in problem.public


BAD_VALUES: list[tuple[Shape, object, str, str]] = [
    (Text(low=1), "", "x", "must not be empty"),
    (Text(low=3), "ab", "x", "under 3 characters"),
    (Text(high=2), "abc", "x", "has 3 characters; the most is 2"),
    (Text(pattern="^a+$"), "aab", "x", "must match ^a+$"),
    (Text(pattern="^a+$"), "aa\n", "x", "must match"),
    (Text(choices=("a", "b")), "c", "x", "must be one of a, b"),
    (Whole(1, 5), 0, "x", "from 1 to 5"),
    (Whole(1, 5), 1e300, "x", "from 1 to 5"),
    (Whole(1, 5), 6, "x", "from 1 to 5"),
    (Real(0, 1), 1.01, "x", "from 0 to 1"),
    (Real(0, 1, open_low=True), 0, "x", "over 0 to 1"),
    (FreeObject(8), {"a": "é"}, "x", "is 10 bytes of JSON; the most is 8"),
    (Numbers("^[0-9]$", Real(0, 1), 9), {"a": 1}, "x", "does not match ^[0-9]$"),
    (Numbers("^[0-9]$", Real(0, 1), 1), {"1": 1, "2": 1}, "x", "has 2 entries"),
    (Numbers("^[0-9]$", Real(0, 1), 1), {"1": 2}, "x.1", "from 0 to 1"),
    (Listed(Flag(), 1, 2), [], "x", "must not be empty"),
    (Listed(Flag(), 0, 1), [True, False], "x", "has 2 items; the most is 1"),
    (PART, {"type": "video"}, "x.type", "must be one of text, flag"),
]


@pytest.mark.parametrize(("shape", "value", "param", "says"), BAD_VALUES)
def test_bad_values_are_named(shape: Shape, value: object, param: str, says: str) -> None:
    problem = refused(shape, value)
    assert (problem.code, problem.param) == (Code.INVALID_VALUE, param)
    assert says in problem.public


@pytest.mark.parametrize(
    ("shape", "value", "param"),
    [
        (Text(choices=("text",), unsupported=("audio",)), "audio", "x"),
        (Record({"audio": Field(Refused("no"))}), {"audio": {}}, "x.audio"),
        (PART, {"type": "audio"}, "x.type"),
        (PART, {"type": "audio", "audio": {}}, "x.audio"),
    ],
)
def test_unserved_features_are_told_apart(shape: Shape, value: object, param: str) -> None:
    problem = refused(shape, value)
    assert (problem.code, problem.param) == (Code.UNSUPPORTED_FEATURE, param)


@pytest.mark.parametrize(
    ("shape", "value", "param"),
    [
        (PAIR, {}, "x.a"),
        (PART, {}, "x.type"),
        (Listed(PART, 0, 9), [{"type": "text", "text": ""}, {"type": "text"}], "x[1].text"),
    ],
)
def test_missing_fields_are_named_by_path(shape: Shape, value: object, param: str) -> None:
    problem = refused(shape, value)
    assert (problem.code, problem.param) == (Code.MISSING_FIELD, param)


def test_paths_at_the_root_have_no_dot() -> None:
    assert refused(PAIR, {}, "").param == "a"
    assert refused(PAIR, {"a": "1"}, "").param == "a"


def test_null_is_absent_only_where_optional() -> None:
    assert read(PAIR, {"a": 1, "b": None}) == {"a": 1}
    assert refused(PAIR, {"a": None}).code is Code.WRONG_TYPE
    assert read(Record({"audio": Field(Refused("no"))}), {"audio": None}) == {}


def test_tag_must_be_a_string() -> None:
    assert refused(PART, {"type": 1}).param == "x.type"


def test_values_come_back_typed() -> None:
    assert read(Real(0, 2), 1) == 1.0
    assert isinstance(read(Real(0, 2), 1), float)
    assert read(Whole(-5, 5), -5.0) == -5
    assert isinstance(read(Whole(-5, 5), -5.0), int)
    assert read(Listed(Whole(0, 9), 0, 3), [1, 2]) == (1, 2)
    assert read(FreeObject(99), {"b": [1], "a": "é"}) == '{"b":[1],"a":"é"}'
    assert read(FreeObject(99), {"big": 10**30}) == '{"big":1000000000000000000000000000000}'
    assert read(Numbers("^[0-9]+$", Real(0, 9), 9), {"2": 1, "10": 2}) == (("10", 2.0), ("2", 1.0))
    assert read(Anything(), {"a": [1]}) == {"a": [1]}
    assert read(PART, {"type": "flag", "on": True}) == {"type": "flag", "on": True}
    assert read(Either(Text(), Listed(Flag(), 0, 1)), "s") == "s"
    assert read(Either(Text(), Listed(Flag(), 0, 1)), [True]) == (True,)
    assert read(Either(Text(), PAIR), {"a": 1}) == {"a": 1}


def test_strangers_are_gathered_once_safely_and_bounded() -> None:
    strangers = Strangers()
    Listed(PAIR, 0, 9).read([{"a": 1, "z\r\n": 1}, {"a": 1, "z\r\n": 2}], "m", strangers)
    assert list(strangers.paths) == ["m[].z??"]
    for number in range(50):
        strangers.add(f"f{number}")
    assert len(strangers.paths) == STRANGERS_MAX
    long = Strangers()
    long.add("é" * 500)
    assert list(long.paths) == ["?" * 80]


def test_nullable_schemas() -> None:
    assert nullable({"type": "null"}) == {"type": "null"}
    assert nullable({"type": "string", "enum": ["a"]}) == {
        "type": ["string", "null"],
        "enum": ["a", None],
    }
    assert nullable({"anyOf": [{"type": "string"}]})["anyOf"][-1] == {"type": "null"}


def test_record_schema_keeps_texts_and_rules() -> None:
    schema = Record({"a": Field(Flag(), text="A flag.")}, {"minProperties": 1}).schema()
    assert schema["properties"]["a"]["description"] == "A flag."
    assert schema["minProperties"] == 1
    assert "required" not in schema
    assert PAIR.schema()["required"] == ["a"]


EVERY = Record(
    {
        "text": Field(Text(low=2, high=4)),
        "word": Field(Text(choices=("a", "b"))),
        "form": Field(Text(pattern="^[ab]+$")),
        "whole": Field(Whole(-2, 2), required=True),
        "real": Field(Real(-1, 1)),
        "open": Field(Real(0, 1, open_low=True)),
        "flag": Field(Flag()),
        "free": Field(FreeObject(1000)),
        "map": Field(Numbers("^[0-9]+$", Real(0, 1), 2)),
        "list": Field(Listed(PART, 1, 2)),
        "either": Field(Either(Text(low=1), Listed(Flag(), 0, 2))),
        "no": Field(Refused("no")),
        "any": Field(Anything(), text="Whatever."),
    }
)
VALIDATOR = jsonschema_rs.Draft202012Validator(EVERY.schema())
CANDIDATES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-2, 2),
    st.integers(-3, 3).map(float),
    st.text("ab", max_size=5),
    st.lists(st.booleans(), max_size=3),
    st.dictionaries(st.text("01a", min_size=1, max_size=2), st.integers(0, 2), max_size=3),
    st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["text", "flag", "audio"])},
            optional={"text": st.text(max_size=2), "on": st.booleans() | st.none()},
        ),
        max_size=3,
    ),
)


@given(st.dictionaries(st.sampled_from(sorted(EVERY.fields)), CANDIDATES), st.integers(-3, 3))
def test_schema_and_reader_agree(value: dict[str, object], whole: int) -> None:
    value = {"whole": whole, **value}
    valid = VALIDATOR.is_valid(value)
    try:
        EVERY.read(value, "", Strangers())
        accepted = True
    except Problem:
        accepted = False
    assert accepted == valid, value
