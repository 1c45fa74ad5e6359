"""The shapes of this dialect: what they read, what they refuse, and that their schemas agree."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.openai_responses.shapes import SKIPPED, Anything, Kinds, TextMap
from tokenbooth.protocols.shape import Field, Record, Shape, Strangers, Text, Whole

KINDS = Kinds(
    {
        "a": Record({"n": Field(Whole(0, 9), required=True)}),
        "b": Record({"role": Field(Text(), required=True)}),
    },
    refused={"never": "it is not served here"},
    untyped={"role": "b"},
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 12) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "n", "role", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
TYPED = st.fixed_dictionaries(
    {"type": st.sampled_from(["a", "b", "never", "new"])}, optional={"n": JSON, "role": JSON}
)


def read(shape: Shape, value: object) -> Any:
    return shape.read(value, "at", Strangers())


def outcome(shape: Shape, value: object) -> Problem | None:
    try:
        read(shape, value)
    except Problem as problem:
        return problem
    return None


@pytest.mark.parametrize("shape", [TextMap(2, 3, Text(high=2)), KINDS, Anything()])
@given(value=JSON | TYPED)
def test_the_schema_says_what_the_reader_does(shape: Shape, value: Any) -> None:
    if value is None:
        return
    valid = jsonschema_rs.Draft202012Validator(shape.schema()).is_valid(value)
    problem = outcome(shape, value)
    assert valid == (problem is None), problem
    if problem is not None:
        assert problem.param is not None
        assert problem.param.startswith("at")


def test_anything_is_kept_as_it_is() -> None:
    value = {"deep": [1, None]}
    assert read(Anything(), value) is value


def test_a_map_of_texts() -> None:
    shape = TextMap(2, 3, Text(high=2))
    assert read(shape, {"a": "b", "abc": "de"}) == {"a": "b", "abc": "de"}
    for value, says, param in (
        ({"a": "", "b": "", "c": ""}, "3 entries", "at"),
        ({"abcd": ""}, "more than 3 characters", "at"),
        ({"a": "abc"}, "the most is 2", "at.a"),
        ([], "an object of strings", "at"),
    ):
        problem = outcome(shape, value)
        assert problem is not None
        assert says in problem.public
        assert problem.param == param


def test_kinds() -> None:
    assert read(KINDS, {"type": "a", "n": 1}) == {"type": "a", "n": 1}
    assert read(KINDS, {"role": "x"}) == {"type": "b", "role": "x"}
    assert read(KINDS, {"type": None, "role": "x"}) == {"type": "b", "role": "x"}
    assert read(KINDS, {"type": "new", "n": "anything"}) == {SKIPPED: "new"}
    for value, code, param in (
        ({"type": "never"}, Code.UNSUPPORTED_FEATURE, "at.type"),
        ({"type": "a"}, Code.MISSING_FIELD, "at.n"),
        ({"n": 1}, Code.MISSING_FIELD, "at.type"),
        ({"type": 1}, Code.WRONG_TYPE, "at.type"),
        ("a", Code.WRONG_TYPE, "at"),
    ):
        problem = outcome(KINDS, value)
        assert problem is not None
        assert (problem.code, problem.param) == (code, param)


def test_strangers_are_met_inside_a_kind() -> None:
    strangers = Strangers()
    KINDS.read({"type": "a", "n": 1, "zebra": 1}, "at", strangers)
    assert list(strangers.paths) == ["at.zebra"]
