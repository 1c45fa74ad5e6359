"""Options of engines as texts of a deployment row."""

from dataclasses import dataclass

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.engines.options import options_from
from tokenbooth.engines.scripted import AnswerKind, Fault, ScriptOptions
from tokenbooth.engines.upstream import OutputLimitField, UpstreamOptions


@dataclass(frozen=True)
class Small:
    place: str
    count: int = 3
    ratio: float = 0.5
    on: bool = False
    limit: int | None = 4
    features: frozenset[Feature] = frozenset()


def test_texts_become_the_types_of_their_fields() -> None:
    texts = {
        "count": "7",
        "ratio": "0.25",
        "on": "true",
        "limit": "null",
        "features": "tools,seed",
    }
    found = options_from(Small, texts, place="here")
    assert found == Small("here", 7, 0.25, True, None, frozenset({Feature.TOOLS, Feature.SEED}))


def test_without_texts_the_defaults_hold() -> None:
    assert options_from(Small, {}, place="here") == Small("here")


def test_given_values_are_taken_as_they_are() -> None:
    given = frozenset({Feature.STOP})
    assert options_from(Small, {}, place="here", features=given).features == given


def test_an_empty_text_is_the_empty_set() -> None:
    given = options_from(ScriptOptions, {"features": ""})
    assert given.features == frozenset()


@pytest.mark.parametrize("texts", [{"speed": "1"}, {"place": "there"}, {"": "x"}])
def test_a_name_that_cannot_be_set_is_refused(texts: dict[str, str]) -> None:
    with pytest.raises(Problem) as caught:
        options_from(Small, texts, place="here")
    assert caught.value.code is Code.UNKNOWN_FIELD
    assert caught.value.param == next(iter(texts))


@pytest.mark.parametrize(
    "texts",
    [{"count": "many"}, {"on": "perhaps"}, {"features": "flying"}, {"limit": "1.5"}],
)
def test_a_wrong_value_is_refused_with_its_place(texts: dict[str, str]) -> None:
    with pytest.raises(Problem) as caught:
        options_from(Small, texts, place="here")
    assert caught.value.code is Code.INVALID_VALUE
    assert next(iter(texts)) in caught.value.public


def test_scripted_options_from_texts() -> None:
    texts = {"chunks": "4", "answer": "echo", "fault": "hang", "features": "tools"}
    found = options_from(ScriptOptions, texts)
    assert found == ScriptOptions(
        chunks=4,
        answer=AnswerKind.ECHO,
        fault=Fault.HANG,
        features=frozenset({Feature.TOOLS}),
    )


def test_the_checks_of_the_options_are_kept() -> None:
    with pytest.raises(Problem, match="chunks must be between"):
        options_from(ScriptOptions, {"chunks": "-1"})


def test_upstream_options_from_texts() -> None:
    texts = {"output_limit_field": "max_tokens", "pool_max": "9", "developer_role": "true"}
    found = options_from(UpstreamOptions, texts, base_url="http://far", model="m", key=None)
    assert found.output_limit_field is OutputLimitField.MAX_TOKENS
    assert found.pool_max == 9
    assert found.developer_role


def test_a_bad_upstream_is_a_problem_and_its_key_is_not_shown() -> None:
    with pytest.raises(Problem) as caught:
        options_from(UpstreamOptions, {}, base_url="http://far", model="m", key="se cret")
    assert "se cret" not in caught.value.public
    assert "key must be printable" in caught.value.public
