"""Pages of calls, for every page size, filter and order of business."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bank import Bank, opened_bank
from tests.support.stores import fresh_options
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.delta import Usage
from tokenbooth.money.meter import service as meter
from tokenbooth.money.meter.service import DAY_US, PageAsk

CALLS = 40
PROJECTS, KEYS = ("project_0", "project_1"), ("key_0", "key_1", "key_2")


def caller_of(number: int) -> Caller:
    return Caller("org_a", PROJECTS[number % 2], KEYS[number % 3], frozenset(Scope))


@pytest.fixture(scope="module")
def bank():
    """Forty calls of six owners over several days, each tenth still running."""
    with (
        tempfile.TemporaryDirectory() as directory,
        opened_bank(fresh_options(Path(directory))) as opened,
    ):
        opened.price(1000, 2000)
        opened.fund(10**9)
        for number in range(CALLS):
            opened.clock.us += DAY_US // 7
            opened.hold(f"req_{number:03}", caller=caller_of(number))
            if number % 10:
                opened.settle(f"req_{number:03}", usage=Usage(number, number % 7))
        yield opened


def walk(bank: Bank, limit: int, project_id: str | None, key_id: str | None) -> list[str]:
    found: list[str] = []
    after: str | None = None
    for _ in range(CALLS + 1):
        ask = PageAsk(limit, after, project_id, key_id)
        page = bank.read(lambda op, tx, ask=ask: meter.calls(op, tx, "org_a", ask))
        found += [record.request_id for record in page.records]
        assert len(page.records) == limit or page.next_after is None
        after = page.next_after
        if after is None:
            return found
        assert after == found[-1]
    raise AssertionError("the pages never end")


@settings(max_examples=40, deadline=None, database=None)
@given(
    limit=st.integers(1, CALLS + 5),
    project_id=st.none() | st.sampled_from([*PROJECTS, "project_none"]),
    key_id=st.none() | st.sampled_from([*KEYS, "key_none"]),
)
def test_every_walk_sees_each_call_once(
    bank: Bank, limit: int, project_id: str | None, key_id: str | None
) -> None:
    expected = [
        f"req_{number:03}"
        for number in reversed(range(CALLS))
        if project_id in (None, caller_of(number).project_id)
        and key_id in (None, caller_of(number).key_id)
    ]
    assert walk(bank, limit, project_id, key_id) == expected


@settings(max_examples=40, deadline=None, database=None)
@given(first=st.integers(0, 12), second=st.integers(0, 12), third=st.integers(0, 12))
def test_usage_of_neighbouring_spans_adds_up(
    bank: Bank, first: int, second: int, third: int
) -> None:
    start, middle, end = sorted((first, second, third))
    zero_us = bank.call("req_000").created_us

    def used(since: int, until: int) -> tuple[int, int, int]:
        span = (zero_us + since * DAY_US // 2, zero_us + until * DAY_US // 2)
        lines = bank.read(lambda op, tx: meter.usage(op, tx, "org_a", *span))
        assert all(line.day_us % DAY_US == 0 for line in lines)
        return (
            sum(line.calls for line in lines),
            sum(line.usage.input_tokens for line in lines),
            sum(line.cost_nano for line in lines),
        )

    parts = zip(used(start, middle), used(middle, end), strict=True)
    assert tuple(map(sum, parts)) == used(start, end)


def test_days_totals_and_calls_tell_one_story(bank: Bank) -> None:
    lines = bank.read(lambda op, tx: meter.usage(op, tx, "org_a", 0, 2**62))
    (total,) = bank.read(meter.totals)
    assert len(lines) >= CALLS // 7
    assert total.calls == CALLS
    assert total.calls - total.running == sum(line.calls for line in lines)
    assert total.output_tokens == sum(line.usage.output_tokens for line in lines)
    assert total.cost_nano == sum(line.cost_nano for line in lines)
    assert total.cost_nano == bank.limits()["balance"].spent_nano
