"""Headers of an answer: money as exact decimals, and nothing that a caller could inject."""

from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.delta import Usage
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome, Receipt
from tokenbooth.gateway.headers import (
    NOTES_MAX,
    hold_headers,
    lowered_header,
    note_headers,
    receipt_headers,
)
from tokenbooth.protocols.dialect import Note

LIMITS = (
    LimitState(LimitScope.BALANCE, "org_1", 5_000_000_000, 1, 999),
    LimitState(LimitScope.KEY, "key_1", None, 1, 999),
)


def test_a_hold_is_told_with_what_remains_beside_it():
    assert hold_headers(1500, LIMITS, 64, "EUR") == (
        ("x-tokenbooth-currency", "EUR"),
        ("x-tokenbooth-held", "0.000001500"),
        ("x-tokenbooth-output-tokens-max", "64"),
        ("x-tokenbooth-remaining-balance", "4.999999000"),
    )


def test_a_receipt_is_told_with_its_price_version():
    receipt = Receipt("req_1", Outcome.COMPLETED, "", Usage(1, 1), 42, "pv_1", LIMITS, "JPY")
    assert receipt_headers(receipt) == (
        ("x-tokenbooth-currency", "JPY"),
        ("x-tokenbooth-cost", "0.000000042"),
        ("x-tokenbooth-price-version", "pv_1"),
        ("x-tokenbooth-remaining-balance", "4.999999000"),
    )


def test_a_lowered_limit_names_the_level_that_lowered_it():
    assert lowered_header(9, LimitScope.KEY) == (("x-tokenbooth-output-lowered", "9; by=key"),)
    assert lowered_header(9, None) == ()


def test_notes_are_listed_and_bounded():
    assert note_headers(()) == ()
    assert note_headers([Note("store", "ignored")]) == (("x-tokenbooth-notes", "store=ignored"),)
    ((_, many),) = note_headers([Note(f"p{i}", "ignored") for i in range(NOTES_MAX + 3)])
    assert many.endswith("and 3 more")


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_note_can_never_break_out_of_its_header(param, what):
    ((_, value),) = note_headers([Note(param, what)])
    assert value.isascii()
    assert value.isprintable()
    assert "," not in value
    assert len(value) <= 201
