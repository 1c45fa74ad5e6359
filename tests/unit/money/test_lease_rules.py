"""Decisions about leases, without a database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.changed import changed
from tokenbooth.core.delta import Usage
from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.receipt import LimitScope, Outcome, Period
from tokenbooth.money.leases.rules import (
    FORFEITED,
    block_nano,
    booked,
    closed,
    cover,
    give,
    grant,
    is_current,
    spend,
    spent_by_limit,
    spent_by_org,
)
from tokenbooth.money.leases.values import (
    CallFacts,
    Giving,
    LeaseRow,
    LimitRow,
    SettledCall,
    Settlement,
)
from tokenbooth.money.ledger.rules import empty_row, window_row

NOON_US = 1_795_176_000_000_000


def limit(leased: int = 0, held: int = 0, spent: int = 0) -> LimitRow:
    row = empty_row(LimitScope.KEY, "k")
    return changed(row, limit_nano=1000, leased_nano=leased, held_nano=held, spent_nano=spent)


def lease(granted: int = 0, held: int = 0) -> LeaseRow:
    return LeaseRow(limit_id="key:k", granted_nano=granted, held_nano=held, recall_seen=0)


def call(
    cost: int = 5, *, org: str = "o", chain: tuple[str, ...] = ("key:k",), **fields: object
) -> SettledCall:
    facts = CallFacts(
        request_id="r",
        org_id=org,
        project_id="p",
        key_id="k",
        end_customer=None,
        model="m",
        stream=False,
        price_version="v",
        tier="standard",
        data_terms="private",
        chain=chain,
        held_nano=10,
        input_tokens=1,
        output_tokens=1,
        created_us=1,
    )
    end = Settlement(
        request_id="r",
        outcome=Outcome.COMPLETED,
        reason="done",
        usage=Usage(1, 1),
        charged=True,
        cost_nano=cost,
        loss_nano=0,
        held_nano=10,
        started_us=1,
        first_output_us=None,
        ended_us=2,
        fingerprint=None,
        deployment_id=None,
    )
    return SettledCall(facts, changed(end, **fields), epoch=3)


@pytest.mark.parametrize("period", [Period.DAY, Period.MONTH])
def test_new_calls_count_in_the_window_of_the_rhythm_of_now(period: Period) -> None:
    plain = limit()
    window = window_row(changed(plain, period=period), NOON_US)
    assert is_current(plain, Period.NONE)
    assert is_current(window, period)
    assert not is_current(changed(plain, period=period), period)
    assert not is_current(window, Period.NONE)
    assert not is_current(window, Period.DAY if period is Period.MONTH else Period.MONTH)


@pytest.mark.parametrize(
    ("needed", "rate", "most", "block"),
    [(10, 0, 10**9, 160), (10, 50, 10**9, 500), (10, 50, 100, 100), (0, 0, 100, 0)],
)
def test_an_advance_serves_some_calls_or_some_seconds(
    needed: int, rate: int, most: int, block: int
) -> None:
    assert block_nano(needed, rate, most) == block


def test_a_call_of_a_living_lease_is_booked_as_it_is() -> None:
    settled = call()
    assert booked(settled, forfeited_epoch=2) is settled


@pytest.mark.parametrize("forfeited_epoch", [3, 4])
def test_what_a_forfeited_lease_cannot_pay_is_the_operators_loss(forfeited_epoch: int) -> None:
    after = booked(call(5, loss_nano=2), forfeited_epoch)
    assert after.forfeited
    assert (after.settlement.charged, after.settlement.cost_nano) == (False, 0)
    assert (after.settlement.loss_nano, after.settlement.reason) == (7, FORFEITED)
    assert after.settlement.usage == Usage(1, 1)


def test_a_loss_never_passes_what_a_row_can_hold() -> None:
    assert booked(call(5, loss_nano=NANO_MAX), 3).settlement.loss_nano == NANO_MAX


def test_a_call_that_costs_nothing_is_no_loss() -> None:
    void = call(0, charged=False)
    assert booked(void, forfeited_epoch=3) is void


def test_costs_are_added_up_by_limit_and_by_organization() -> None:
    calls = [
        call(5, chain=("balance:o", "key:k")),
        call(7, chain=("balance:o", "key:l@2026-11")),
        call(2, org="q", chain=("balance:q", "key:m")),
        call(0, org="z", chain=("balance:z",)),
    ]
    assert spent_by_limit(calls) == {
        "balance:o": 12,
        "balance:q": 2,
        "key:k": 5,
        "key:l@2026-11": 7,
        "key:m": 2,
    }
    assert spent_by_org(calls) == {"o": 12, "q": 2}


def test_spent_money_leaves_the_lease() -> None:
    row, own = spend(limit(leased=90, held=70), lease(granted=50, held=40), 20)
    assert (row.spent_nano, row.leased_nano, row.held_nano) == (20, 70, 60)
    assert (own.granted_nano, own.held_nano) == (30, 30)


def test_spending_what_no_call_held_leaves_the_holds() -> None:
    row, own = spend(limit(leased=90, held=70), lease(granted=50, held=10), 20)
    assert (row.held_nano, own.held_nano) == (70, 10)


def test_nothing_is_charged_beyond_the_lease() -> None:
    spend(limit(leased=50), lease(granted=50), 50)
    with pytest.raises(AssertionError, match="closed lease"):
        spend(limit(leased=50), lease(granted=50), 51)


@pytest.mark.parametrize(
    ("cap", "granted", "cost", "covered"), [(100, 50, 50, 50), (100, 20, 50, 50), (60, 20, 50, 30)]
)
def test_what_a_lost_lease_should_pay_is_leased_anew_where_there_is_room(
    cap: int, granted: int, cost: int, covered: int
) -> None:
    row = changed(limit(leased=50), limit_nano=cap)
    after, own = cover(row, lease(granted=granted), cost)
    assert own.granted_nano == covered
    assert after.leased_nano == 50 + covered - granted


def test_what_is_returned_leaves_the_lease_and_holds_are_noted() -> None:
    row, own = give(limit(leased=90, held=70), lease(granted=50, held=40), Giving(15, 30))
    assert (row.leased_nano, row.held_nano) == (75, 60)
    assert (own.granted_nano, own.held_nano) == (35, 30)


@pytest.mark.parametrize("giving", [Giving(11, 40), Giving(51, 0), Giving(0, 51), Giving(0, -1)])
def test_more_than_is_leased_is_neither_held_nor_returned(giving: Giving) -> None:
    with pytest.raises(AssertionError, match="more is held"):
        give(limit(leased=50, held=40), lease(granted=50, held=40), giving)


def test_closing_gives_everything_back() -> None:
    own = lease(granted=50, held=40)
    assert give(limit(leased=90, held=70), own, closed(own)) == (limit(leased=40, held=30), lease())


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_money_only_moves(leased: int, more: int, cost: int) -> None:
    """What is spent and what is left of the limit always add up to the limit."""
    row, own = grant(limit(leased=leased), lease(granted=leased), more)
    assert row.leased_nano == own.granted_nano == leased + more
    if cost <= own.granted_nano:
        row, own = spend(row, own, cost)
    row, own = give(row, own, closed(own))
    assert row.limit_nano == row.spent_nano + row.room_nano
    assert (own.granted_nano, row.leased_nano, row.held_nano) == (0, 0, 0)
