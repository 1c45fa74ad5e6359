"""The refusals that engines share."""

import pytest

from tests.support.turns import UNASKED, asking, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.features import Capabilities, Feature
from tokenbooth.engines.refusals import closed, not_open, too_long, unsupported

ASKABLE = [feature for feature in Feature if feature not in UNASKED]


def without(feature: Feature) -> Capabilities:
    return Capabilities(frozenset(Feature) - {feature})


@pytest.mark.parametrize("feature", ASKABLE)
def test_each_missing_feature_is_named(feature: Feature) -> None:
    problem = unsupported(asking(feature), without(feature))
    assert problem is not None
    assert problem.code is Code.UNSUPPORTED_FEATURE
    assert problem.param == feature.value
    assert feature.value in problem.public


@pytest.mark.parametrize("feature", ASKABLE)
def test_what_the_engine_can_do_is_not_refused(feature: Feature) -> None:
    assert unsupported(asking(feature), Capabilities(frozenset(Feature))) is None


def test_a_plain_turn_needs_nothing() -> None:
    assert unsupported(turn_of("hi"), Capabilities(frozenset())) is None


@pytest.mark.parametrize(("tokens", "window"), [(10, 10), (11, 10), (1, 1)])
def test_a_prompt_that_fills_the_window_is_too_long(tokens: int, window: int) -> None:
    problem = too_long(tokens, window)
    assert problem is not None
    assert problem.code is Code.CONTEXT_LENGTH_EXCEEDED
    assert problem.param == "messages"
    assert problem.facts == {"input_tokens": tokens, "context_tokens": window}
    assert str(tokens) in problem.public
    assert str(window) in problem.public


@pytest.mark.parametrize(("tokens", "window"), [(9, 10), (0, 1), (10**9, None)])
def test_a_prompt_that_leaves_room_is_not(tokens: int, window: int | None) -> None:
    assert too_long(tokens, window) is None


def test_a_closed_engine_fails_and_one_not_open_asks_to_retry() -> None:
    assert closed().code is Code.ENGINE_FAILED
    assert not_open().code is Code.ENGINE_NOT_READY
    assert not_open().retry_after_s == 1
