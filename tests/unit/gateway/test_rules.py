"""Output limits and the charge table, branch by branch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import RunEnd, Usage, UsageSource
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.gateway.rules import (
    IMPOSSIBLE,
    NOTHING_DELIVERED,
    REASONS,
    SLOWED,
    TOKENS_MAX,
    UNCOUNTED,
    Delivery,
    OutputAsk,
    billed_input_tokens,
    charge_of,
    is_possible,
    output_limit,
    shown_fingerprint,
    within_rate,
)


def limit(asked=None, model_max=None, context=100, used=10, exact=True) -> int:
    return output_limit(OutputAsk(asked, model_max, context, used, exact), param="max_tokens")


def test_an_unstated_limit_is_what_the_window_leaves():
    assert limit() == 90


def test_an_unstated_limit_is_bounded_by_the_model():
    assert limit(model_max=20) == 20


def test_a_stated_limit_that_fits_stays():
    assert limit(asked=30) == 30


def test_a_stated_limit_is_lowered_to_what_the_prompt_leaves():
    assert limit(asked=95) == 90


@pytest.mark.parametrize(("model_max", "ceiling"), [(None, 100), (50, 50)])
def test_a_stated_limit_over_the_models_own_is_refused_with_the_number(model_max, ceiling):
    with pytest.raises(Problem) as refused:
        limit(asked=101, model_max=model_max)
    assert refused.value.code is Code.INVALID_VALUE
    assert refused.value.param == "max_tokens"
    assert refused.value.facts == {"output_tokens_max": ceiling}


@pytest.mark.parametrize("used", [100, 101, 5000])
def test_a_prompt_that_fills_the_window_is_refused_with_both_numbers(used):
    with pytest.raises(Problem) as refused:
        limit(used=used)
    assert refused.value.code is Code.CONTEXT_LENGTH_EXCEEDED
    assert refused.value.facts == {"input_tokens": used, "context_tokens": 100}
    assert str(used) in refused.value.public


def test_a_bound_over_the_window_is_left_to_the_engine():
    assert limit(asked=30, used=5000, exact=False) == 30
    assert limit(used=5000, exact=False) == 100


def test_an_unknown_window_leaves_the_models_own_limit():
    assert limit(asked=7, model_max=50, context=None) == 7
    assert limit(model_max=50, context=None) == 50


def test_a_model_without_any_limit_is_the_operators_fault():
    with pytest.raises(Problem) as refused:
        limit(context=None)
    assert refused.value.code is Code.INTERNAL


@given(
    asked=st.none() | st.integers(1, 300),
    model_max=st.none() | st.integers(1, 300),
    context=st.integers(1, 300),
    used=st.integers(0, 400),
    exact=st.booleans(),
)
def test_a_limit_never_passes_any_ceiling(asked, model_max, context, used, exact):
    try:
        allowed = limit(asked, model_max, context, used, exact)
    except Problem:
        too_much = asked is not None and asked > min(context, model_max or context)
        assert too_much or (exact and used >= context)
        return
    assert 1 <= allowed <= context
    assert model_max is None or allowed <= model_max
    assert asked is None or allowed <= asked
    assert not exact or used + allowed <= context


@pytest.mark.parametrize(
    ("fit_tokens", "allowed"), [(None, 90), (1000, 90), (70, 30), (12, 1), (3, 1)]
)
def test_an_unstated_limit_fits_the_tokens_per_minute(fit_tokens, allowed):
    assert within_rate(90, 10, 2, fit_tokens) == allowed


def test_billed_input_never_passes_the_window():
    assert billed_input_tokens(500, 100) == 100
    assert billed_input_tokens(50, 100) == 50
    assert billed_input_tokens(500, None) == 500


ENGINE_USAGE = Usage(11, 7)


def test_a_complete_answer_is_charged_by_the_engines_usage():
    charge = charge_of(Outcome.COMPLETED, RunEnd(ENGINE_USAGE), Delivery(3, 0, 9), 5, exact=True)
    assert (charge.charge, charge.usage, charge.reason) == (
        True,
        ENGINE_USAGE,
        REASONS[Outcome.COMPLETED],
    )


@pytest.mark.parametrize("end", [None, RunEnd(usage=None)])
def test_a_complete_answer_without_usage_is_charged_by_the_bound(end):
    charge = charge_of(Outcome.COMPLETED, end, Delivery(3, 0, 9), 5, exact=True)
    assert charge.charge
    assert charge.usage == Usage(5, 9, source=UsageSource.BOUND)
    assert charge.reason == UNCOUNTED


PAID_IF_DELIVERED = [
    Outcome.CLIENT_GONE,
    Outcome.KEY_REVOKED,
    Outcome.INTERRUPTED,
    Outcome.CAP_REACHED,
]


@pytest.mark.parametrize("outcome", PAID_IF_DELIVERED)
def test_what_the_caller_ended_is_charged_as_far_as_delivered(outcome):
    charge = charge_of(outcome, None, Delivery(3, 0, 9), 5, exact=True)
    assert charge.charge
    assert charge.usage == Usage(5, 3, source=UsageSource.ENGINE)
    assert charge.reason == REASONS[outcome]


@pytest.mark.parametrize("outcome", PAID_IF_DELIVERED)
def test_nothing_delivered_costs_nothing(outcome):
    charge = charge_of(outcome, None, Delivery(0, 0, 900), 5, exact=True)
    assert not charge.charge
    assert charge.reason == NOTHING_DELIVERED


def test_uncounted_output_and_a_bound_of_the_input_are_said_to_be_bounds():
    uncounted = charge_of(Outcome.CLIENT_GONE, None, Delivery(1, 4, 5), 5, exact=True)
    assert uncounted.usage == Usage(5, 5, source=UsageSource.BOUND)
    inexact = charge_of(Outcome.CLIENT_GONE, None, Delivery(1, 0, 5), 5, exact=False)
    assert inexact.usage == Usage(5, 1, source=UsageSource.BOUND)


@pytest.mark.parametrize(
    "outcome",
    [Outcome.ENGINE_FAILED, Outcome.TIMED_OUT, Outcome.REFUSED],
)
def test_what_we_or_the_engine_ended_costs_nothing(outcome):
    charge = charge_of(outcome, RunEnd(ENGINE_USAGE), Delivery(30, 5, 90), 5, exact=True)
    assert not charge.charge
    assert charge.reason == REASONS[outcome]


@pytest.mark.parametrize(
    "told",
    [
        Usage(-1, 1),
        Usage(1, -1),
        Usage(TOKENS_MAX + 1, 1),
        Usage(5, 1, cached_input_tokens=6),
        Usage(5, 1, cached_input_tokens=-1),
        Usage(5, 1, cached_input_tokens=3, cache_write_tokens=3),
        Usage(5, 1, cache_write_tokens=-1),
        Usage(5, 1, searches=-1),
        Usage(5, 1, video_s=TOKENS_MAX + 1),
        Usage(5, 1, reasoning_tokens=2),
        Usage(5, 1, reasoning_tokens=-1),
    ],
)
def test_usage_that_cannot_be_true_is_replaced_by_the_bound(told):
    assert not is_possible(told)
    charge = charge_of(Outcome.COMPLETED, RunEnd(told), Delivery(3, 0, 9), 5, exact=True)
    assert (charge.charge, charge.usage) == (True, Usage(5, 9, source=UsageSource.BOUND))
    assert charge.reason == IMPOSSIBLE


def test_usage_at_its_edges_is_possible():
    assert is_possible(Usage(0, 0))
    assert is_possible(Usage(TOKENS_MAX, TOKENS_MAX, TOKENS_MAX, TOKENS_MAX))
    assert is_possible(Usage(5, 1, cached_input_tokens=3, cache_write_tokens=2, images=TOKENS_MAX))


def test_a_reader_that_stalls_until_the_time_is_over_pays_for_what_it_got():
    slow, nothing = Delivery(3, 0, 9, slowed=True), Delivery(0, 0, 9, slowed=True)
    charge = charge_of(Outcome.TIMED_OUT, None, slow, 5, exact=True)
    assert (charge.charge, charge.usage, charge.reason) == (True, Usage(5, 3), SLOWED)
    assert not charge_of(Outcome.TIMED_OUT, None, nothing, 5, exact=True).charge
    assert not charge_of(Outcome.ENGINE_FAILED, None, slow, 5, exact=True).charge


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "x" * 201, "\ud800", "\u202e"])
def test_a_fingerprint_that_cannot_be_stored_or_shown_is_dropped(text):
    assert shown_fingerprint(text) is None


def test_a_plain_fingerprint_stays():
    assert [shown_fingerprint(text) for text in (None, "fp_1", "x" * 200)] == [
        None,
        "fp_1",
        "x" * 200,
    ]


def test_every_outcome_has_a_reason_in_words():
    assert set(REASONS) == set(Outcome)
