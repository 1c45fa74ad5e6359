"""Money and tokens in JSON: the decimal string is exact, the integer says the same."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.delta import Usage, UsageSource
from tokenbooth.core.money import parse_decimal
from tokenbooth.core.receipt import LimitScope, LimitState, LimitWindow, Outcome, Period, Receipt
from tokenbooth.protocols.receipts import (
    amount_json,
    cost_json,
    limit_json,
    limits_json,
    limits_wire,
    receipt_json,
    sum_json,
    tokens_json,
)
from tokenbooth.protocols.wire_json import encode


@given(st.integers(0, 2**63 - 1))
def test_both_forms_of_an_amount_agree(nano: int) -> None:
    made = amount_json(nano)
    assert made["amount_nano"] == nano
    assert parse_decimal(str(made["amount"]), decimals=9, param="amount") == nano


def test_negative_amounts_keep_their_sign() -> None:
    assert amount_json(-1) == {"amount": "-0.000000001", "amount_nano": -1}


def test_cost_names_currency_and_price() -> None:
    assert cost_json(1_500_000_000, "price_1", "CHF") == {
        "amount": "1.500000000",
        "amount_nano": 1_500_000_000,
        "currency": "CHF",
        "price_version": "price_1",
    }
    assert cost_json(0, None, "USD")["price_version"] is None


def test_unknown_cached_count_is_left_out() -> None:
    assert tokens_json(Usage(10, 5, None, 2)) == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "completion_tokens_details": {"reasoning_tokens": 2},
        "source": "engine",
    }


def test_known_cached_count_stands_even_when_zero() -> None:
    made = tokens_json(Usage(10, 5, 0, source=UsageSource.BOUND))
    assert made["prompt_tokens_details"] == {"cached_tokens": 0}
    assert made["source"] == "bound"


def test_what_was_used_and_is_no_token_stands_only_where_it_was_used() -> None:
    plain = tokens_json(Usage(10, 5))
    assert "uses" not in plain
    assert "prompt_tokens_details" not in plain
    used = Usage(10, 5, cache_write_tokens=7, images=2, audio_s=3, video_s=4, searches=1)
    made = tokens_json(used)
    assert made["prompt_tokens_details"] == {"cache_write_tokens": 7}
    assert made["uses"] == {"image": 2, "audio_s": 3, "video_s": 4, "search": 1}
    assert tokens_json(Usage(10, 5, images=1))["uses"] == {"image": 1}


def test_a_sum_names_its_currency() -> None:
    assert sum_json(7, "XAF") == {"amount": "0.000000007", "amount_nano": 7, "currency": "XAF"}


def test_limit_of_a_capped_level() -> None:
    made = limit_json(LimitState(LimitScope.KEY, "key_1", 10, 3, 2), "EUR")
    assert made == {
        "scope": "key",
        "owner_id": "key_1",
        "currency": "EUR",
        "limit": amount_json(10),
        "spent": amount_json(3),
        "held": amount_json(2),
        "remaining": amount_json(5),
    }


def test_a_cap_that_renews_shows_its_window() -> None:
    window = LimitWindow(Period.MONTH, "2026-11", 1_796_083_200_000_000)
    made = limit_json(LimitState(LimitScope.KEY, "key_1", 10, 3, 2, window), "EUR")
    assert made["window"] == {
        "period": "month",
        "id": "2026-11",
        "renews_at": "2026-12-01T00:00:00Z",
    }


def test_limit_of_an_uncapped_level() -> None:
    made = limit_json(LimitState(LimitScope.PROJECT, "proj_1", None, 3, 0), "USD")
    assert made["limit"] is None
    assert made["remaining"] is None


def test_receipt_is_tokens_cost_and_limits() -> None:
    states = (
        LimitState(LimitScope.BALANCE, "org_1", 100, 10, 0),
        LimitState(LimitScope.KEY, "key_1", None, 10, 0),
    )
    usage = Usage(4, 6)
    receipt = Receipt("req_1", Outcome.COMPLETED, "stop", usage, 10, "p1", states, "JPY")
    made = receipt_json(receipt)
    assert json.loads(encode(made)) == {
        **tokens_json(usage),
        "cost": cost_json(10, "p1", "JPY"),
        "limits": limits_json(states, "JPY"),
    }


AMOUNTS = st.integers(-(2**40), 2**62)


@given(
    st.lists(
        st.builds(
            LimitState,
            st.sampled_from(LimitScope),
            st.text(max_size=8).filter(lambda text: text.isprintable()),
            st.none() | AMOUNTS,
            AMOUNTS,
            AMOUNTS,
            st.none() | st.just(LimitWindow(Period.DAY, "2026-11-20", 0)),
        ),
        max_size=4,
    )
)
def test_limits_written_by_hand_say_what_the_document_says(states: list[LimitState]) -> None:
    assert bytes(limits_wire(states, "USD")) == encode(limits_json(states, "USD"))


def test_half_a_character_beside_what_stands_as_json_already() -> None:
    states = (LimitState(LimitScope.KEY, "key_1", 100, 10, 0),)
    written = encode({"text": "\ud800", "limits": limits_wire(states, "USD")})
    assert json.loads(written) == {"text": "\ud800", "limits": limits_json(states, "USD")}
