from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.access.rules import LIMIT_MAX, checked_limits, checked_name, may_exist
from tokenbooth.core.caller import CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

BAD_CHARACTERS = ["\0", "\n", "\x1b", "\x7f", "\x85", "\u200b", "\u202e", "\u2028", "\ud800"]


@pytest.mark.parametrize(
    "name", ["a", "Ärzte & Söhne", "株式会社 例", "o'Neill; DROP TABLE", "x" * 128]
)
def test_names_of_people_and_firms_are_accepted(name: str) -> None:
    assert checked_name(name) == name
    assert may_exist(name)


@pytest.mark.parametrize("character", BAD_CHARACTERS)
def test_control_and_invisible_characters_are_refused(character: str) -> None:
    with pytest.raises(Problem) as caught:
        checked_name(f"a{character}b", "project")
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == "project"
    assert not may_exist(f"a{character}b")


@pytest.mark.parametrize("name", ["", "x" * 129])
def test_lengths_are_bounded(name: str) -> None:
    with pytest.raises(Problem) as caught:
        checked_name(name)
    assert caught.value.param == "name"
    assert "128" in caught.value.public


@pytest.mark.parametrize("name", [" a", "a ", "\u00a0a", " "])
def test_outer_blanks_are_refused(name: str) -> None:
    with pytest.raises(Problem, match="blank"):
        checked_name(name)


def test_a_text_too_long_for_any_name_is_not_looked_up() -> None:
    assert not may_exist("x" * 129)


@given(st.text(max_size=200))
def test_every_accepted_name_can_be_stored_and_printed(name: str) -> None:
    try:
        accepted = checked_name(name)
    except Problem:
        return
    assert accepted.encode().decode() == name
    assert "\0" not in accepted
    assert "\n" not in accepted


@pytest.mark.parametrize("limit", [None, 1, 60, LIMIT_MAX])
def test_possible_limits_are_accepted(limit: int | None) -> None:
    limits = CallLimits(limit, limit, limit)
    assert checked_limits(limits) is limits


@pytest.mark.parametrize("param", ["requests_per_minute", "tokens_per_minute", "parallel_calls"])
@pytest.mark.parametrize("limit", [0, -1, LIMIT_MAX + 1, 2**63, True, 1.5, "5"])
def test_impossible_limits_are_refused_by_name(param: str, limit: Any) -> None:
    with pytest.raises(Problem) as caught:
        checked_limits(CallLimits(**{param: limit}))
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == param
