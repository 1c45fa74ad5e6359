import pytest

from tokenbooth.admission.rates.rules import (
    anthropic_headers,
    check_fits,
    headers,
    refusal,
    tighter,
    tokens_fit_max,
    whole_seconds,
)
from tokenbooth.admission.rates.values import Breach, RateFigure, RateState
from tokenbooth.core.caller import Caller, CallLimits
from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.problem import Problem


def caller(key_tpm: int | None, org_tpm: int | None) -> Caller:
    return Caller(
        org_id="org_1",
        project_id="proj_1",
        key_id="key_1",
        scopes=frozenset(),
        key_limits=CallLimits(tokens_per_minute=key_tpm),
        org_limits=CallLimits(tokens_per_minute=org_tpm),
    )


def test_tighter_is_the_one_with_least_left() -> None:
    assert tighter(RateFigure(100, 9, 1), RateFigure(10, 10, 0)) == RateFigure(100, 9, 1)


def test_tighter_of_equal_rest_is_the_lower_limit() -> None:
    assert tighter(RateFigure(100, 5, 1), RateFigure(10, 5, 1)) == RateFigure(10, 5, 1)


def test_tighter_of_equal_limits_is_the_later_reset() -> None:
    assert tighter(RateFigure(10, 5, 1), RateFigure(10, 5, 30)) == RateFigure(10, 5, 30)


@pytest.mark.parametrize(
    ("key_tpm", "org_tpm", "fit_max"),
    [(None, None, None), (5, None, 5), (None, 7, 7), (5, 7, 5), (9, 7, 7)],
)
def test_the_lower_limit_bounds_a_single_call(
    key_tpm: int | None, org_tpm: int | None, fit_max: int | None
) -> None:
    assert tokens_fit_max(caller(key_tpm, org_tpm)) == fit_max


def test_a_call_of_exactly_the_limit_fits() -> None:
    check_fits(caller(100, None), 100)
    check_fits(caller(None, None), 10**15)


def test_a_call_over_the_limit_is_not_to_be_retried() -> None:
    with pytest.raises(Problem) as caught:
        check_fits(caller(100, 1000), 101)
    problem = caught.value
    assert problem.code is Code.INVALID_VALUE
    assert problem.kind is Kind.INVALID_REQUEST
    assert problem.retry_after_s is None
    assert "never" in problem.public
    assert problem.facts == {"tokens_asked": 101, "tokens_per_minute": 100}


def test_refusal_names_the_limit_that_lasts_longest() -> None:
    problem = refusal(
        [
            Breach("key", "parallel_calls", 2, 1),
            Breach("organization", "requests_per_minute", 60, 17),
            Breach("key", "tokens_per_minute", 900, 3),
        ]
    )
    assert problem.code is Code.RATE_LIMITED
    assert problem.retry_after_s == 17
    assert problem.public == "The organization's limit of 60 calls per minute is reached."
    assert problem.facts == {
        "owner": "organization",
        "limit": "requests_per_minute",
        "allowed": 60,
    }


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("requests_per_minute", "calls per minute"),
        ("tokens_per_minute", "tokens per minute"),
        ("parallel_calls", "calls at once"),
    ],
)
def test_each_limit_has_its_words(limit: str, words: str) -> None:
    assert words in refusal([Breach("key", limit, 3, 1)]).public


@pytest.mark.parametrize(
    ("wait_us", "wait_s"), [(-5, 1), (0, 1), (1, 1), (1_000_000, 1), (1_000_001, 2), (9_000_000, 9)]
)
def test_waits_are_rounded_up_to_whole_seconds(wait_us: int, wait_s: int) -> None:
    assert whole_seconds(wait_us) == wait_s


def test_the_other_names_tell_the_moment_of_a_reset() -> None:
    state = RateState(RateFigure(60, 59, 61), RateFigure(1000, 0, 0))
    before_midnight_us = 1_795_219_199_500_000
    assert anthropic_headers(state, before_midnight_us) == (
        ("anthropic-ratelimit-requests-limit", "60"),
        ("anthropic-ratelimit-requests-remaining", "59"),
        ("anthropic-ratelimit-requests-reset", "2026-11-21T00:01:00Z"),
        ("anthropic-ratelimit-tokens-limit", "1000"),
        ("anthropic-ratelimit-tokens-remaining", "0"),
        ("anthropic-ratelimit-tokens-reset", "2026-11-20T23:59:59Z"),
    )


def test_headers_are_six_plain_pairs() -> None:
    state = RateState(RateFigure(60, 59, 61), RateFigure(1000, 0, 0))
    assert headers(state) == (
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-reset-requests", "61s"),
        ("x-ratelimit-limit-tokens", "1000"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "0s"),
    )
