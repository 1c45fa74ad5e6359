"""What a caller is told whose call the money refuses."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.money import NANO_MAX, format_nano
from tokenbooth.core.receipt import LimitScope, LimitState, LimitWindow, Period
from tokenbooth.money.prices.service import Meter, Price, worst_case_nano
from tokenbooth.money.refusals import HELD, HOLDS_WAIT_S, USED_UP, start_refusal, strict_refusal

PRICE = Price("v", "m", {Meter.INPUT: 1000, Meter.OUTPUT: 2000})
PLENTY = tuple(LimitState(scope, "x", 10**9, 0, 0) for scope in LimitScope)


def chain(scope: LimitScope, limit: int | None, spent: int = 0, held: int = 0):
    """Plenty at every level but one."""
    return tuple(
        LimitState(scope, "x", limit, spent, held) if each.scope is scope else each
        for each in PLENTY
    )


def test_the_facts_of_an_empty_balance():
    refused = start_refusal(chain(LimitScope.BALANCE, 50, 45), PRICE, 10, 1)
    assert refused.code is Code.BALANCE_EXHAUSTED
    assert refused.kind is Kind.PAYMENT_REQUIRED
    assert refused.retry_after_s is None
    assert refused.facts == {
        "limit_source": "balance",
        "reason": USED_UP,
        "limit": "0.000000050",
        "spent": "0.000000045",
        "held": "0.000000000",
        "needed": "0.000000012",
        "limit_nano": 50,
        "spent_nano": 45,
        "held_nano": 0,
        "needed_nano": 12,
        "affordable_output_tokens": 0,
        "remedy": "Add at least 0.000000007 of credit, or shorten the prompt.",
    }
    assert refused.public == (
        "The prepaid balance has 0.000000005 left (0.000000000 held by running calls);"
        " this call needs at least 0.000000012."
    )


@pytest.mark.parametrize(
    ("scope", "remedy"),
    [
        (LimitScope.ORGANIZATION, "Raise the organization's cap by at least 0.000000007"),
        (LimitScope.PROJECT, "Raise the project's cap by at least 0.000000007"),
        (LimitScope.KEY, "Raise the key's cap by at least 0.000000007, use another key"),
    ],
)
def test_a_cap_is_named_with_what_cures_it(scope, remedy):
    refused = start_refusal(chain(scope, 50, 45), PRICE, 10, 1)
    assert refused.code is Code.CAP_REACHED
    assert refused.facts["limit_source"] == scope.value
    assert refused.facts["remedy"] == f"{remedy}, or shorten the prompt."
    assert refused.public.startswith(f"The {scope.value}'s hard cap has 0.000000005 left")


def test_what_only_waits_for_holds_says_so_and_when_to_come_back():
    refused = start_refusal(chain(LimitScope.KEY, 50, 38, 1), PRICE, 10, 1)
    assert refused.retry_after_s == HOLDS_WAIT_S
    assert refused.facts["reason"] == HELD
    assert refused.facts["remedy"] == "Wait until running calls end."
    assert refused.public.endswith("it fits once they have ended.")
    spent = start_refusal(chain(LimitScope.KEY, 50, 39, 0), PRICE, 10, 1)
    assert spent.retry_after_s is None
    assert spent.facts["reason"] == USED_UP


def test_a_level_without_hope_is_named_before_one_that_only_waits():
    """Waiting for the key's holds would not help: the project's cap refuses all the same."""
    limits = tuple(
        replace(state, limit_nano=100, held_nano=100)
        if state.scope is LimitScope.KEY
        else replace(state, limit_nano=11)
        if state.scope is LimitScope.PROJECT
        else state
        for state in PLENTY
    )
    refused = start_refusal(limits, PRICE, 10, 1)
    assert refused.facts["limit_source"] == "project"
    assert refused.retry_after_s is None


def test_of_equal_levels_the_outermost_is_named():
    limits = tuple(replace(state, limit_nano=5) for state in PLENTY)
    assert start_refusal(limits, PRICE, 10, 1).facts["limit_source"] == "balance"
    held = tuple(replace(state, limit_nano=50, held_nano=50) for state in PLENTY)
    assert start_refusal(held, PRICE, 10, 1).facts["limit_source"] == "balance"


def test_an_uncapped_level_counts_as_what_can_be_booked():
    full = tuple(replace(s, limit_nano=None, spent_nano=NANO_MAX - 5) for s in PLENTY)
    refused = start_refusal(full, PRICE, 10, 1)
    assert refused.facts["limit_nano"] == NANO_MAX
    assert refused.facts["needed_nano"] == 12


def test_a_strict_call_hears_what_would_fit():
    refused = strict_refusal(chain(LimitScope.PROJECT, 100, 70), PRICE, 10, 20, 2)
    assert refused.code is Code.OUTPUT_UNAFFORDABLE
    assert refused.retry_after_s is None
    assert refused.facts["limit_source"] == "project"
    assert refused.facts["needed_nano"] == 10 + 2 * 20 * 2
    assert refused.facts["affordable_output_tokens"] == 5
    assert refused.facts["remedy"] == (
        "Lower the output limit to 5 or less, or leave out x-tokenbooth-strict."
        " Raise the project's cap by at least 0.000000060 otherwise."
    )
    assert "20 output tokens need 0.000000090, and 5 fit." in refused.public


def test_a_strict_call_may_wait_for_holds():
    refused = strict_refusal(chain(LimitScope.BALANCE, 100, 0, 70), PRICE, 10, 20, 1)
    assert refused.retry_after_s == HOLDS_WAIT_S
    assert refused.facts["reason"] == HELD
    assert refused.facts["affordable_output_tokens"] == 10
    assert refused.facts["remedy"] == (
        "Wait until running calls end, or lower the output limit to 10 or less,"
        " or leave out x-tokenbooth-strict."
    )


STATES = st.builds(
    lambda limit, spent, held: (limit, spent, held),
    st.one_of(st.none(), st.integers(0, 10_000)),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
).filter(lambda s: s[0] is None or s[1] + s[2] <= s[0])


@given(
    st.tuples(*[STATES] * len(LimitScope)),
    st.integers(1, 4),
    st.integers(0, 500),
    st.integers(1, 500),
)
def test_the_affordable_limit_is_exact_and_the_named_level_refuses(raw, choices, tokens, wanted):
    limits = tuple(
        LimitState(scope, "x", *state) for scope, state in zip(LimitScope, raw, strict=True)
    )
    rooms = [NANO_MAX if s.remaining_nano is None else s.remaining_nano for s in limits]
    needed = worst_case_nano(PRICE, tokens, choices * wanted)
    if needed <= min(rooms):
        return
    refused = strict_refusal(limits, PRICE, tokens, wanted, choices)
    (named,) = [s for s in limits if s.scope.value == refused.facts["limit_source"]]
    assert named.limit_nano is not None
    assert named.remaining_nano < needed
    affordable = refused.facts["affordable_output_tokens"]
    assert 0 <= affordable < wanted
    if affordable:
        assert worst_case_nano(PRICE, tokens, choices * affordable) <= min(rooms)
    assert worst_case_nano(PRICE, tokens, choices * (affordable + 1)) > min(rooms)
    after = [10**9 if s.limit_nano is None else s.limit_nano - s.spent_nano for s in limits]
    assert (refused.retry_after_s is not None) == (needed <= min(after))
    for name in ("limit", "spent", "held", "needed"):
        assert refused.facts[name] == format_nano(refused.facts[f"{name}_nano"])


DAY = LimitWindow(Period.DAY, "2026-11-20", 1_795_219_200_000_000)


@pytest.mark.parametrize("refuse", ["start", "strict"])
def test_a_cap_that_renews_says_when(refuse):
    limits = tuple(
        replace(state, limit_nano=50, spent_nano=40, window=DAY)
        if state.scope is LimitScope.KEY
        else state
        for state in PLENTY
    )
    if refuse == "start":
        refused = start_refusal(limits, PRICE, 10, 1)
    else:
        refused = strict_refusal(limits, PRICE, 6, 10, 1)
    assert refused.facts["limit_source"] == "key"
    assert refused.facts["renews_at"] == "2026-11-21T00:00:00Z"
    assert "and renews at 2026-11-21T00:00:00Z;" in refused.public


def test_what_never_renews_says_nothing_of_it():
    refused = start_refusal(chain(LimitScope.KEY, 50, 45), PRICE, 10, 1)
    assert "renews_at" not in refused.facts
    assert "renews" not in refused.public
