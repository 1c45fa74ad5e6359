"""A statement adds up, is whole only with its last line, and tells when anything in it changed."""

import copy
import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from tokenbooth.money.receipts.checking import leaf_of_document
from tokenbooth.money.receipts.statements import StatementCheck, Tally, statement_json
from tokenbooth.money.receipts.values import Span
from tokenbooth.signing.canonical import WHOLE_MAX

START_US = 1_763_000_000_000_000
SPAN = Span("org_a", START_US, START_US + 10)
TRUSTED = frozenset({KEY.public})


def receipts_of(count: int):
    return signed([booked(number) for number in range(1, count + 1)]) if count else []


def last_line(documents, span: Span = SPAN, key=KEY):
    tally = Tally()
    for document in documents:
        amount_nano = int(document["amount_nano"])
        tally.add(leaf_of_document(document), document["price"]["currency"], amount_nano)
    return statement_json(tally, span, START_US + 99, key)


def failed(documents, end, trusted=TRUSTED) -> list[str]:
    """Names of failed steps, of receipts first."""
    check = StatementCheck(trusted)
    found = [step for document in documents for step in check.receipt(document)]
    found += check.end(end)
    assert check.lines <= len(documents)
    return [step.name for step in found if not step.ok]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_an_untouched_statement_passes(count: int) -> None:
    documents = json.loads(json.dumps(receipts_of(count)))
    end = json.loads(json.dumps(last_line(documents)))
    assert failed(documents, end) == []
    assert failed(documents, end, ()) == []
    assert end["calls"] == count


def test_the_last_line_tells_what_came_before() -> None:
    documents = receipts_of(3)
    end = last_line(documents)
    (total,) = end["totals"]
    assert total["amount_nano"] == sum(document["amount_nano"] for document in documents)
    assert total["currency"] == "USD"
    leaves = b"".join(map(leaf_of_document, documents))
    assert end["receipts_sha256"] == hashlib.sha256(leaves).hexdigest()
    steps = StatementCheck(()).end(last_line([]))
    assert [step.told for step in steps][:3] == [
        "a statement of org_a",
        "every receipt was booked in the period",
        "0 receipts, nothing",
    ]


def test_sums_are_kept_by_currency() -> None:
    euro = replace(PRICE, currency="EUR")
    documents = [*signed([booked(1)]), *signed([booked(2, price=euro)], euro), *receipts_of(3)[2:]]
    end = last_line(documents)
    assert [total["currency"] for total in end["totals"]] == ["EUR", "USD"]
    assert end["totals"][1]["amount_nano"] == 2 * end["totals"][0]["amount_nano"]
    assert failed(documents, end) == []


def test_a_sum_that_readers_would_bend_travels_as_a_string() -> None:
    tally = Tally()
    tally.add(b"x" * 32, "USD", WHOLE_MAX)
    tally.add(b"y" * 32, "USD", WHOLE_MAX)
    (total,) = tally.totals
    assert total == {
        "currency": "USD",
        "amount": "18014398.509481982",
        "amount_nano": str(2 * WHOLE_MAX),
    }
    assert StatementCheck(()).end(statement_json(tally, SPAN, 1, KEY))[0].ok


def test_a_missing_a_doubled_and_a_foreign_line_are_found() -> None:
    documents = receipts_of(4)
    end = last_line(documents)
    assert failed(documents[:-1], end) == ["sum"]
    assert failed([*documents, documents[-1]], end) == ["period", "sum"]
    assert failed([documents[1], documents[0], *documents[2:]], end) == ["period", "sum"]
    foreign = signed([booked(5, org_id="org_b")])
    assert failed([*documents, *foreign], last_line([*documents, *foreign])) == ["period"]
    third = signed([booked(6, org_id="org_c")])
    assert failed([*foreign, *third], last_line([*foreign, *third])) == ["period"]
    all_three = [*documents, *foreign, *third]
    assert failed(all_three, last_line(all_three)) == ["period"]


@pytest.mark.parametrize(
    ("since", "until", "inside"), [(5, 6, True), (6, 9, False), (0, 5, False), (0, 6, True)]
)
def test_every_receipt_was_booked_in_the_period(since: int, until: int, inside: bool) -> None:
    documents = receipts_of(2)
    end = last_line(documents, Span("org_a", START_US + since, START_US + until))
    assert failed(documents, end) == ([] if inside else ["period"])


def test_a_call_that_cost_nothing_stands_in_no_statement() -> None:
    documents = signed([booked(1, state="void")])
    assert failed(documents, last_line(documents)) == ["period"]


def test_a_broken_receipt_is_told_and_not_counted() -> None:
    documents = receipts_of(2)
    end = last_line(documents)
    assert failed([{"object": "receipt"}, documents[1]], end) == ["form", "sum"]


def test_every_changed_value_of_the_last_line_is_found() -> None:
    documents = receipts_of(2)
    end = last_line(documents)
    for path in places(end):
        *way, name = path
        for value in other_values(at(end, path)):
            changed = copy.deepcopy(end)
            at(changed, tuple(way))[name] = value
            assert failed(documents, changed), f"{path} = {value!r}"
    for name in end:
        assert failed(documents, {k: v for k, v in end.items() if k != name}), name
    assert failed(documents, {**end, "more": 1}) == ["form"]


def test_every_changed_value_of_a_line_is_found() -> None:
    documents = receipts_of(2)
    end = last_line(documents)
    for path in places(documents[0]):
        *way, name = path
        changed = copy.deepcopy(documents[0])
        at(changed, tuple(way))[name] = other_values(at(changed, path))[0]
        assert failed([changed, documents[1]], end), path


def test_a_last_line_by_another_key_is_not_the_booths() -> None:
    documents = receipts_of(1)
    end = last_line(documents, key=OTHER_KEY)
    assert failed(documents, end) == ["key"]
    assert failed(documents, end, ()) == []


@pytest.mark.parametrize("value", [None, [], {}, {"object": "receipt"}, "x", 1.5])
def test_what_is_no_last_line_is_refused_by_its_form(value: object) -> None:
    assert failed([], value) == ["form"]


@pytest.mark.parametrize("made_us", [2**53, -(2**53), True, 1.0, None])
def test_an_impossible_time_is_refused_by_the_form(made_us: object) -> None:
    assert failed([], {**last_line([]), "made_us": made_us}) == ["form"]


def test_a_name_without_a_safe_form_is_refused() -> None:
    end = last_line([], Span("org_a", 0, 1))
    assert failed([], {**end, "organization_id": "\ud800"}) == ["form"]


@given(st.lists(st.integers(0, 10**6), max_size=8))
def test_sums_are_those_of_the_lines(tokens: list[int]) -> None:
    calls = [
        booked(number, usage=replace(USAGE, output_tokens=count))
        for number, count in enumerate(tokens, start=1)
    ]
    documents = signed(calls) if calls else []
    end = last_line(documents)
    assert sum(int(t["amount_nano"]) for t in end["totals"]) == sum(c.cost_nano for c in calls)
    assert failed(documents, end) == []
