"""Whoever has a receipt and a public key needs nothing else; whatever is changed is found."""

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins

from tests.support.signed import (
    KEY,
    OTHER_KEY,
    PRICE,
    USAGE,
    at,
    booked,
    other_values,
    places,
    signed,
)
from tokenbooth.core.delta import Usage
from tokenbooth.core.money import format_nano
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices.service import Meter, Price, Step, cost_nano
from tokenbooth.money.receipts.checking import leaf_of_document, verify
from tokenbooth.money.receipts.rules import leaf_of, price_form, receipt_form
from tokenbooth.signing.canonical import WHOLE_MAX, canonical, encoded

TRUSTED = frozenset({KEY.public})
COUNTS = st.integers(0, 10**6)
PICO = st.integers(0, 10**9)


def good(*calls, price=PRICE):
    return signed(calls or (booked(1), booked(2), booked(3)), price)


def verdict(document, trusted=TRUSTED):
    return {step.name: step.ok for step in verify(document, trusted)}


def failed(document, trusted=TRUSTED):
    return [step.name for step in verify(document, trusted) if not step.ok]


def test_an_untouched_receipt_passes_every_step() -> None:
    for document in good():
        steps = verify(json.loads(json.dumps(document)), TRUSTED)
        assert [step.name for step in steps] == ["form", "amount", "inclusion", "signature", "key"]
        assert all(step.ok for step in steps)
    assert [step.told for step in steps] == [
        "a receipt for req_00003",
        f"{format_nano(cost_nano(PRICE, USAGE))} USD by usage and price",
        f"{leaf_of_document(document).hex()[:16]} is leaf 2 of 3",
        f"is by key {KEY.key_id}",
        "is one that you named",
    ]


def test_without_a_named_key_the_signature_is_checked_and_the_key_is_not() -> None:
    (document,) = good(booked())
    steps = verify(document, ())
    assert all(step.ok for step in steps)
    assert steps[-1].told == "not compared; name the one you trust"


def test_a_receipt_by_another_key_is_not_the_booths() -> None:
    (document,) = signed([booked()], key=OTHER_KEY)
    assert failed(document) == ["key"]
    assert failed(document, frozenset({OTHER_KEY.public, KEY.public})) == []


def test_every_changed_value_is_found() -> None:
    document = good()[1]
    found = list(places(document))
    assert len(found) > 45
    for path in found:
        *way, name = path
        for value in other_values(at(document, path)):
            changed = copy.deepcopy(document)
            at(changed, tuple(way))[name] = value
            assert failed(changed), f"{path} = {value!r}"
            assert failed(changed, ()), f"{path} = {value!r} without a named key"


def test_every_missing_member_is_found() -> None:
    document = good()[1]
    parents = {path[:-1] for path in places(document)} | {()}
    for parent in parents:
        inside = at(document, parent)
        for name in list(inside) if isinstance(inside, dict) else range(len(inside)):
            changed = copy.deepcopy(document)
            del at(changed, parent)[name]
            assert failed(changed), f"{parent} without {name}"


def test_every_added_member_is_found() -> None:
    document = good()[1]
    parents = {path[:-1] for path in places(document)} | {()}
    for parent in parents:
        changed = copy.deepcopy(document)
        inside = at(changed, parent)
        if isinstance(inside, dict):
            inside["more"] = 0
        else:
            inside.append(inside[-1])
        assert failed(changed), parent


@given(st.data())
def test_a_value_of_one_receipt_does_not_pass_in_another(data) -> None:
    one, other = good(booked(1), booked(2, usage=Usage(7, 9), model="m"))
    shared = [path for path in places(one) if path in set(places(other))]
    path = data.draw(st.sampled_from(shared))
    *way, name = path
    changed = copy.deepcopy(one)
    at(changed, tuple(way))[name] = at(other, path)
    assert bool(failed(changed)) == (changed != one)


@pytest.mark.parametrize("value", ["{}", "[]", "0", '"x"', "null", "true", "1.5"])
def test_any_other_json_is_refused_by_its_form(value: str) -> None:
    assert verdict(json.loads(value)) == {"form": False}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("proof", "root"), "\n" + "a" * 64),
        (("proof", "root"), "a" * 64 + "\n"),
        (("proof", "root"), "A" * 64),
        (("proof", "tree_size"), 2**53),
        (("proof", "signed_us"), 2**53),
        (("proof", "signed_us"), -(2**60)),
        (("proof", "path"), ["0" * 64] * 65),
        (("created_us",), 2**53),
        (("amount_nano",), "0042"),
        (("amount_nano",), "4" * 40),
        (("held_nano",), -1),
        (("usage", "input_tokens"), 1e3),
        (("model",), "\ud800"),
        (("price", "steps"), []),
        (("price", "steps", 0, "context_min_tokens"), 5),
        (("price", "steps", 1, "context_min_tokens"), 0),
        (("price", "steps", 0, "unit_pico"), {"input": 1}),
        (("price", "steps", 0, "unit_pico"), {"input": 1, "output": 2, "wishes": 3}),
        (("price", "tier"), "luxury"),
        (("price", "currency"), "usd"),
    ],
)
def test_an_impossible_value_is_refused_by_the_form_alone(path, value) -> None:
    document = good()[0]
    *way, name = path
    at(document, tuple(way))[name] = value
    assert failed(document) == ["form"]


def test_an_amount_that_the_usage_does_not_make_is_found_even_when_it_is_signed() -> None:
    (document,) = good(booked(cost_nano=1))
    assert verdict(document) == {
        "form": True,
        "amount": False,
        "inclusion": True,
        "signature": True,
        "key": True,
    }
    assert "not 0.000000001 (1 nano)" in verify(document, TRUSTED)[1].told


def test_the_decimal_and_the_integer_must_be_the_same_amount() -> None:
    (document,) = good(booked())
    assert failed({**document, "amount": "0.000000001"}) == ["amount", "inclusion"]
    assert failed({**document, "amount": document["amount"] + "0"}) == ["amount", "inclusion"]


@pytest.mark.parametrize("held_nano", [0, 1, 100])
def test_a_charge_stays_within_its_hold(held_nano: int) -> None:
    (document,) = good(booked(held_nano=held_nano))
    assert document["amount_nano"] == held_nano
    assert failed(document) == []


def test_what_is_not_charged_costs_nothing_whatever_was_used() -> None:
    (document,) = good(booked(state="void"))
    assert (document["charged"], document["amount"]) == (False, "0.000000000")
    assert document["transaction_id"] is document["booked_us"] is None
    assert failed(document) == []
    (charged,) = good(booked(state="void", cost_nano=5))
    assert failed(charged) == ["amount"]


def test_numbers_that_readers_bend_travel_as_strings() -> None:
    usage = Usage(WHOLE_MAX + 2, 1)
    price = Price("price_1", "m", {Meter.INPUT: 1, Meter.OUTPUT: 2**62})
    (document,) = good(booked(usage=usage, price=price, held_nano=2**63 - 1), price=price)
    assert document["usage"]["input_tokens"] == str(WHOLE_MAX + 2)
    assert document["price"]["steps"][0]["unit_pico"]["output"] == str(2**62)
    assert document["held_nano"] == str(2**63 - 1)
    assert failed(json.loads(json.dumps(document))) == []
    document["held_nano"] = 2**63 - 1
    assert failed(document) == ["form"]


LINES = st.fixed_dictionaries(
    {Meter.INPUT: PICO, Meter.OUTPUT: PICO},
    optional={m: PICO for m in Meter if m not in (Meter.INPUT, Meter.OUTPUT)},
)
PRICES = st.builds(
    Price,
    st.just("price_1"),
    st.just("m"),
    LINES,
    st.lists(st.tuples(st.integers(1, 10**6), LINES), max_size=3, unique_by=lambda s: s[0]).map(
        lambda steps: tuple(Step(*step) for step in sorted(steps, key=lambda s: s[0]))
    ),
    st.sampled_from(["USD", "EUR", "JPY"]),
    st.sampled_from(ServiceTier),
    st.sampled_from(DataTerms),
)
USAGES = st.builds(
    Usage,
    COUNTS,
    COUNTS,
    st.none() | COUNTS,
    COUNTS,
    cache_write_tokens=COUNTS,
    images=COUNTS,
    audio_s=COUNTS,
    video_s=COUNTS,
    searches=COUNTS,
)


@given(PRICES, USAGES, st.integers(0, 10**15), st.sampled_from(["posted", "void"]))
def test_any_call_on_any_price_has_a_receipt_that_verifies(price, usage, held_nano, state) -> None:
    call = booked(usage=usage, price=price, held_nano=held_nano, state=state)
    (document,) = good(call, price=price)
    assert failed(json.loads(json.dumps(document))) == []


@given(PRICES, USAGES, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_what_is_signed_is_the_canonical_form(price, usage, name) -> None:
    """The quick writer of the signer and the strict one of the reader agree."""
    call = booked(usage=usage, price=price, end_customer=name, fingerprint=name)
    made = receipt_form(call, price_form(price))
    document = to_builtins(made)
    assert encoded(made) == canonical(document)
    assert leaf_of(made) == leaf_of_document({**document, "proof": {}})


def test_one_leaf_alone_needs_no_path() -> None:
    (document,) = good(booked())
    assert document["proof"]["path"] == []
    assert (document["proof"]["leaf_index"], document["proof"]["tree_size"]) == (0, 1)
    assert failed(document) == []


def test_a_path_of_another_batch_leads_nowhere() -> None:
    document = good()[0]
    other = good(booked(8), booked(9), booked(10))[0]
    mixed = {**document, "proof": {**document["proof"], "path": other["proof"]["path"]}}
    assert failed(mixed) == ["inclusion"]
    swapped = {**document, "proof": other["proof"]}
    assert failed(swapped) == ["inclusion"]


def test_the_step_of_a_long_prompt_prices_it() -> None:
    """The second context step begins at 1,000 tokens and asks for a sum on each call."""
    (document,) = good(booked(usage=replace(USAGE, input_tokens=1000, searches=0)))
    assert failed(document) == []
    assert document["amount_nano"] > 7_000_000
    shortened = copy.deepcopy(document)
    del shortened["price"]["steps"][1]
    assert set(failed(shortened)) == {"amount", "inclusion"}
