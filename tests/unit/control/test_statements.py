"""A statement holds every charge of its period once, in order, and adds up to the ledger."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.ops import START_US
from tests.support.settled import USAGE, Desk, opened_desk
from tests.support.stores import fresh_options
from tokenbooth.control.statements import COLUMNS, LAYOUTS, JsonLines, Layout, Table, statement
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.problem import Problem
from tokenbooth.money.prices import service as prices
from tokenbooth.money.receipts.service import PAGE_CALLS_MAX, Span, StatementCheck

FOREVER = Span("org_a", 0, 2**52)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened_desk(fresh_options(tmp_path)) as opened:
        opened.price()
        yield opened


def pieces(desk: Desk, span: Span = FOREVER, layout: Layout | None = None) -> list[bytes]:
    async def gathered() -> list[bytes]:
        made = statement(desk.store, desk.op, desk.signer, span, layout or JsonLines())
        return [piece async for piece in made]

    return desk.runner.run(gathered())


def documents(desk: Desk, span: Span = FOREVER) -> list[dict[str, object]]:
    return [json.loads(line) for line in b"".join(pieces(desk, span)).splitlines()]


def named(*numbers: int, **fields: object) -> list[dict[str, object]]:
    return [{"request_id": f"req_{number:05}", **fields} for number in numbers]


def ledger_nano(desk: Desk, span: Span) -> int:
    """What the ledger's postings say that the organization was charged in the period."""
    ((found,),) = desk.rows(
        "SELECT coalesce(sum(p.amount_nano), 0) FROM ledger_posting p"
        " JOIN ledger_txn t ON t.id = p.txn_id"
        f" WHERE p.account_id = 'revenue:{span.org_id}'"
        f" AND t.created_us >= {span.since_us} AND t.created_us < {span.until_us}"
    )
    return int(found)


def failed(lines: list[dict[str, object]]) -> list[str]:
    check = StatementCheck(())
    steps = [step for line in lines[:-1] for step in check.receipt(line)]
    return [step.told for step in (*steps, *check.end(lines[-1])) if not step.ok]


def test_each_charge_stands_in_it_once_in_the_order_of_its_booking(desk: Desk) -> None:
    desk.settle(*named(5, 3))
    desk.settle(*named(4), *named(9, charged=False), *named(8, usage=Usage(0, 0)))
    desk.settle(*named(1), org="org_b")
    lines = documents(desk)
    ids = [line["request_id"] for line in lines[:-1]]
    assert ids == ["req_00003", "req_00005", "req_00004"]
    assert lines[-1]["calls"] == 3
    assert lines[-1]["totals"][0]["amount_nano"] == ledger_nano(desk, FOREVER)
    assert failed(lines) == []


def test_nothing_charged_makes_an_empty_statement(desk: Desk) -> None:
    desk.settle(*named(1, charged=False))
    (end,) = documents(desk)
    assert (end["object"], end["calls"], end["totals"]) == ("statement", 0, [])
    assert failed([end]) == []


def test_it_comes_in_pieces_of_bounded_size(desk: Desk) -> None:
    """The bound of a page is that of the memory."""
    for start in range(0, 3 * PAGE_CALLS_MAX, 100):
        desk.settle(*named(*range(start, min(start + 100, 3 * PAGE_CALLS_MAX))))
    made = pieces(desk)
    counts = [piece.count(b"\n") for piece in made]
    assert counts == [0, PAGE_CALLS_MAX, PAGE_CALLS_MAX, PAGE_CALLS_MAX, 1]
    lines = [json.loads(line) for line in b"".join(made).splitlines()]
    assert len({line["request_id"] for line in lines[:-1]}) == 3 * PAGE_CALLS_MAX
    assert failed(lines) == []
    assert lines[-1]["totals"][0]["amount_nano"] == ledger_nano(desk, FOREVER)


def test_a_page_may_end_inside_a_charge(desk: Desk) -> None:
    desk.settle(*named(*range(PAGE_CALLS_MAX + 3)))
    lines = documents(desk)
    assert [line["request_id"] for line in lines[:-1]] == [
        call["request_id"] for call in named(*range(PAGE_CALLS_MAX + 3))
    ]


def test_a_later_charge_may_hold_calls_with_earlier_ids(desk: Desk) -> None:
    high = range(5000, 5000 + PAGE_CALLS_MAX + 3)
    desk.settle(*named(*high))
    desk.settle(*named(1, 2))
    ids = [line["request_id"] for line in documents(desk)[:-1]]
    assert ids == [str(call["request_id"]) for call in named(*high, 1, 2)]


def test_what_was_not_signed_yet_is_signed_first(desk: Desk) -> None:
    desk.settle(*named(1, 2))
    desk.sign_all()
    desk.settle(*named(3, 4))
    lines = documents(desk)
    assert len(lines) == 5
    assert desk.rows("SELECT size FROM receipt_batch") == [(2,), (2,)]
    assert desk.sign_all() == 0


def test_the_period_takes_its_start_and_leaves_its_end(desk: Desk) -> None:
    desk.settle(*named(1))
    ((booked_us,),) = desk.rows("SELECT created_us FROM ledger_txn")

    def count(since_us: int, until_us: int) -> int:
        return documents(desk, Span("org_a", since_us, until_us))[-1]["calls"]

    assert count(booked_us, booked_us + 1) == 1
    assert count(booked_us, booked_us) == 0
    assert count(booked_us - 1, booked_us) == 0
    assert count(booked_us + 1, 2**52) == 0


def test_a_period_that_ends_before_it_starts_is_refused(desk: Desk) -> None:
    with pytest.raises(Problem) as refused:
        pieces(desk, Span("org_a", 5, 4))
    assert (refused.value.code, refused.value.param) == (Code.INVALID_VALUE, "until")


def test_a_changed_record_ends_it_with_a_fault(desk: Desk) -> None:
    desk.settle(*named(1))
    desk.sign_all()
    desk.forged("UPDATE call_record SET reason = 'other'")
    with pytest.raises(Problem) as refused:
        pieces(desk)
    assert refused.value.code is Code.INTERNAL


def test_whoever_signed_a_statement_is_known_afterwards(desk: Desk) -> None:
    (end,) = documents(desk)
    rows = desk.rows("SELECT id FROM receipt_key")
    assert rows == [(end["proof"]["key_id"],)]


def rows_of(desk: Desk) -> list[list[str]]:
    text = b"".join(pieces(desk, layout=Table())).decode()
    assert text.endswith("\r\n")
    return list(csv.reader(io.StringIO(text, newline="")))


def test_the_table_says_the_same_in_columns(desk: Desk) -> None:
    usage = replace(USAGE, images=7, searches=9)
    desk.settle(*named(1, usage=usage, end_customer="ada"), *named(2))
    head, first, second, total = rows_of(desk)
    assert tuple(head) == COLUMNS
    cells = dict(zip(head, first, strict=True))
    (document, *_) = documents(desk)
    assert cells["request_id"] == "req_00001"
    assert cells["amount"] == document["amount"]
    assert (cells["images"], cells["searches"], cells["input_tokens"]) == ("7", "9", "100")
    assert (cells["tier"], cells["data_terms"], cells["currency"]) == ("standard", "private", "USD")
    assert (cells["end_customer"], cells["created_at"][:11]) == ("ada", "2023-11-14T")
    assert dict(zip(head, second, strict=True))["end_customer"] == ""
    assert (total[0], total[-2]) == ("total", "USD")
    assert total[-1] == documents(desk)[-1]["totals"][0]["amount"]


def test_an_empty_table_has_a_sum_of_nothing(desk: Desk) -> None:
    head, total = rows_of(desk)
    assert len(head) == len(total) == len(COLUMNS)
    assert (total[0], total[-1]) == ("total", "0.000000000")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", 'a"b', "a,b", "a\nb", "ä€"])
def test_no_cell_is_a_formula_and_every_text_comes_back(desk: Desk, text: str) -> None:
    desk.settle(*named(1, end_customer=text))
    _, row, _ = rows_of(desk)
    cell = dict(zip(COLUMNS, row, strict=True))["end_customer"]
    assert cell == (f"'{text}" if text[0] in "=+-@\t\r" else text)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_failure_is_told_in_place_of_the_last_line(name: str) -> None:
    layout = LAYOUTS[name]()
    told = layout.failure(Problem(Code.LEDGER_UNAVAILABLE, "Gone."))
    assert b"billing_unavailable" in told
    assert told.endswith(b"\n")
    assert layout.suffix in {"jsonl", "csv"}


COUNTS = st.integers(0, 5000)
PERCENT = st.integers(0, 100)
CALLS = st.lists(
    st.tuples(COUNTS, COUNTS, st.booleans(), st.integers(0, 5_000_000), st.sampled_from("ab")),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(CALLS, max_size=5), st.integers(0, 4), st.tuples(PERCENT, PERCENT))
def test_receipts_statement_and_ledger_agree_to_the_nano_over_any_history(
    desk: Desk,
    rounds: list[list[tuple[int, int, bool, int, str]]],
    sign_at: int,
    cut: tuple[int, int],
) -> None:
    known = len(desk.rows("SELECT request_id FROM call_record"))
    for number, calls in enumerate(rounds):
        for org in "ab":
            mine = [call for call in calls if call[4] == org]
            made = []
            for used_in, used_out, charged, held_nano, _ in mine:
                known += 1
                usage = Usage(used_in, used_out, used_in // 3)
                (call,) = named(known, usage=usage, charged=charged, held_nano=held_nano)
                made.append(call)
            desk.settle(*made, org=f"org_{org}")
        if number == sign_at:
            desk.sign_all()
    long_us = desk.clock.us + 2 - START_US
    since, until = (START_US + long_us * percent // 100 for percent in sorted(cut))
    for org in ("org_a", "org_b"):
        span = Span(org, since, until)
        *lines, end = documents(desk, span)
        sums = {t["currency"]: int(t["amount_nano"]) for t in end["totals"]}
        by_line = sum(int(line["amount_nano"]) for line in lines)
        assert sums.get("USD", 0) == by_line == ledger_nano(desk, span)
        assert failed([*lines, end]) == []
        for line in lines:
            assert desk.receipt(line["request_id"], org) == line


def test_books_in_other_currencies_are_summed_apart(desk: Desk) -> None:
    book = desk.write(lambda op, tx: prices.create_book(op, tx, "europe", "EUR", desk.ids))
    euro = desk.price("m", book=book)
    desk.settle(*named(1))
    desk.settle(*named(2, version=euro))
    lines = documents(desk)
    assert [total["currency"] for total in lines[-1]["totals"]] == ["EUR", "USD"]
    assert failed(lines) == []
    assert [row[-2] for row in rows_of(desk)[-2:]] == ["EUR", "USD"]
