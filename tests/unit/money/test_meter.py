"""Reading what was used: one call, pages of calls, sums by day and by organization."""

import pytest

from tests.support.bank import CALLER, Bank
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.money.meter import service as meter
from tokenbooth.money.meter.service import DAY_US, PageAsk

OTHER = Caller("org_b", "project_b", "key_b", frozenset(Scope))
NEIGHBOUR = Caller(CALLER.org_id, "project_n", "key_n", frozenset(Scope), end_customer="ada")
FOREVER_US = 2**62


@pytest.fixture
def used(bank: Bank) -> Bank:
    """Seven calls of three keys: ``req_7`` is of another organization, ``req_6`` still runs."""
    bank.price(1000, 2000)
    bank.fund(100_000)
    bank.fund(100_000, "org_b")
    for number in range(1, 8):
        caller = OTHER if number == 7 else NEIGHBOUR if number % 2 else CALLER
        bank.hold(f"req_{number}", caller=caller, stream=number % 2 == 0)
        if number != 6:
            bank.settle(f"req_{number}", usage=Usage(100, number, 10, 1))
    return bank


def ids(page: meter.Page) -> list[str]:
    return [record.request_id for record in page.records]


def page(bank: Bank, org_id: str = "org_a", **fields: object) -> meter.Page:
    return bank.read(lambda op, tx: meter.calls(op, tx, org_id, PageAsk(**fields)))


def test_one_call_tells_everything(used: Bank) -> None:
    record = used.call("req_3")
    assert record.org_id == "org_a"
    assert (record.project_id, record.key_id) == ("project_n", "key_n")
    assert record.end_customer == "ada"
    assert (record.model, record.stream) == ("m", False)
    assert record.outcome is Outcome.COMPLETED
    assert record.usage == Usage(100, 3, 10, 1)
    assert (record.cost_nano, record.held_nano) == (106, 120)
    assert not record.running


def test_a_running_call_is_seen_with_what_it_holds(used: Bank) -> None:
    record = used.call("req_6")
    assert record.running
    assert (record.outcome, record.usage, record.reason) == (None, None, "")
    assert (record.held_nano, record.cost_nano, record.stream) == (120, 0, True)


@pytest.mark.parametrize(("org_id", "request_id"), [("org_b", "req_1"), ("org_a", "req_7")])
def test_a_foreign_call_is_as_unknown_as_none(used: Bank, org_id: str, request_id: str) -> None:
    with pytest.raises(Problem) as refused:
        used.call(request_id, org_id)
    assert refused.value.code is Code.RECORD_NOT_FOUND
    with pytest.raises(Problem) as unknown:
        used.call("req_none", org_id)
    assert unknown.value.public == refused.value.public.replace(request_id, "req_none")


def test_calls_are_newest_first_and_of_one_tenant(used: Bank) -> None:
    found = used.read(lambda op, tx: meter.calls(op, tx, "org_a"))
    assert ids(found) == ["req_6", "req_5", "req_4", "req_3", "req_2", "req_1"]
    assert found.next_after is None
    assert ids(page(used, "org_b")) == ["req_7"]
    assert ids(page(used, "org_none")) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 7])
def test_pages_join_without_gap_or_overlap(used: Bank, limit: int) -> None:
    found: list[str] = []
    after = None
    while True:
        part = page(used, limit=limit, after=after)
        assert len(part.records) <= limit
        found += ids(part)
        after = part.next_after
        if after is None:
            break
    assert found == ["req_6", "req_5", "req_4", "req_3", "req_2", "req_1"]


def test_a_new_call_and_a_settlement_do_not_shift_the_next_page(used: Bank) -> None:
    first = page(used, limit=2)
    used.hold("req_8")
    used.settle("req_6")
    second = page(used, limit=2, after=first.next_after)
    assert ids(second) == ["req_4", "req_3"]


def test_calls_are_narrowed_by_project_and_key(used: Bank) -> None:
    assert ids(page(used, project_id="project_n")) == ["req_5", "req_3", "req_1"]
    assert ids(page(used, key_id=CALLER.key_id)) == ["req_6", "req_4", "req_2"]
    assert ids(page(used, key_id=CALLER.key_id, project_id="project_n")) == []
    assert ids(page(used, key_id="key_n", after="req_5", limit=1)) == ["req_3"]


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_an_unbounded_page_is_refused(bank: Bank, limit: int) -> None:
    with pytest.raises(Problem) as refused:
        page(bank, limit=limit)
    assert refused.value.code is Code.INVALID_VALUE
    assert refused.value.param == "limit"


def test_usage_adds_up_by_day_and_model(used: Bank) -> None:
    day_us = used.clock.us - used.clock.us % DAY_US
    used.price(0, 1000, model="b")
    used.hold("req_80", model="b")
    used.settle("req_80")
    used.clock.us += DAY_US
    used.hold("req_90")
    used.settle("req_90", usage=Usage(1, 1), charge=False)
    lines = used.read(lambda op, tx: meter.usage(op, tx, "org_a", 0, FOREVER_US))
    assert [(line.day_us, line.model, line.calls) for line in lines] == [
        (day_us, "b", 1),
        (day_us, "m", 5),
        (day_us + DAY_US, "m", 1),
    ]
    assert lines[1].usage.input_tokens == 500
    assert lines[1].usage.cached_input_tokens == 50
    assert lines[1].usage.output_tokens == 15
    assert lines[1].usage.reasoning_tokens == 5
    assert lines[1].cost_nano == 530
    assert lines[2].cost_nano == 0


def test_usage_takes_the_start_and_leaves_the_end(used: Bank) -> None:
    at_us = used.call("req_3").created_us

    def calls(since_us: int, until_us: int) -> int:
        lines = used.read(lambda op, tx: meter.usage(op, tx, "org_a", since_us, until_us))
        return sum(line.calls for line in lines)

    assert calls(at_us, at_us + 1) == 1
    assert calls(at_us, at_us) == 0
    assert calls(at_us + 1, FOREVER_US) == 2


def test_a_span_that_ends_before_it_starts_is_refused(bank: Bank) -> None:
    with pytest.raises(Problem) as refused:
        bank.read(lambda op, tx: meter.usage(op, tx, "org_a", 5, 4))
    assert refused.value.param == "until"


def test_totals_have_one_line_for_each_organization(used: Bank) -> None:
    first, second = used.read(meter.totals)
    assert (first.org_id, first.calls, first.running) == ("org_a", 6, 1)
    assert (first.input_tokens, first.output_tokens, first.cost_nano) == (500, 15, 530)
    assert first.operator_loss_nano == 0
    assert (second.org_id, second.calls, second.running) == ("org_b", 1, 0)
    assert second.cost_nano == 114


def test_call_costs_add_up_to_the_ledger(used: Bank) -> None:
    costs = sum(record.cost_nano for record in page(used).records)
    assert costs == used.limits()["balance"].spent_nano
    assert used.rows(
        "SELECT CAST(sum(amount_nano) AS BIGINT) FROM ledger_posting"
        " WHERE account_id = 'revenue:org_a'"
    ) == [(costs,)]


def test_busy_minutes_are_counted_by_organization(used: Bank) -> None:
    minutes = used.read(lambda op, tx: meter.busy_minutes(op, tx, "m", 0, FOREVER_US))
    assert {org: sum(counts) for org, counts in minutes.items()} == {"org_a": 6, "org_b": 1}
    assert used.read(lambda op, tx: meter.busy_minutes(op, tx, "n", 0, FOREVER_US)) == {}
    assert used.read(lambda op, tx: meter.busy_minutes(op, tx, "m", 0, 1)) == {}


def test_the_newest_fingerprint_is_what_the_newest_call_was_told(used: Bank) -> None:
    found = [
        used.read(lambda op, tx, model=model: meter.newest_fingerprint(op, tx, model))
        for model in ("m", "n")
    ]
    assert found == [used.call("req_7", "org_b").fingerprint, None]
