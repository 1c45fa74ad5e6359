"""Holds: the worst case is taken at every level at once, or not at all."""

import pytest

from tests.support.bank import CALLER, Bank
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger import service as ledger


def cap(bank: Bank, scope: LimitScope, owner: str, limit: int) -> None:
    bank.write(lambda op, tx: ledger.set_limit(op, tx, scope, owner, limit))


def test_a_hold_is_taken_at_every_level(bank: Bank) -> None:
    price = bank.price(1000, 2000)
    bank.fund(1000)
    hold = bank.hold("req_1")
    assert hold.amount_nano == 120
    assert (hold.input_tokens, hold.output_tokens_max, hold.clamped_by) == (100, 10, None)
    assert hold.price == price
    assert hold.limits == tuple(bank.limits().values())
    assert {state.held_nano for state in hold.limits} == {120}
    assert bank.verify().open_holds == 1


def test_the_worst_case_counts_every_choice_and_the_dearer_input(bank: Bank) -> None:
    bank.price(1000, 2000, 5000)
    bank.fund(10_000)
    assert bank.hold("req_1", choices=3).amount_nano == 100 * 5 + 3 * 10 * 2


def test_the_output_limit_is_lowered_to_what_the_balance_buys(bank: Bank) -> None:
    bank.price(1000, 2000)
    bank.fund(109)
    hold = bank.hold("req_1")
    assert (hold.output_tokens_max, hold.clamped_by) == (4, LimitScope.BALANCE)
    assert hold.amount_nano == 108


def test_the_output_limit_is_lowered_to_what_a_cap_buys(bank: Bank) -> None:
    bank.price(1000, 2000)
    bank.fund(1000)
    cap(bank, LimitScope.PROJECT, CALLER.project_id, 105)
    hold = bank.hold("req_1")
    assert (hold.output_tokens_max, hold.clamped_by) == (2, LimitScope.PROJECT)


def test_a_second_hold_gets_only_what_the_first_left(bank: Bank) -> None:
    bank.price(1000, 2000)
    bank.fund(225)
    assert bank.hold("req_1").amount_nano == 120
    second = bank.hold("req_2")
    assert (second.amount_nano, second.output_tokens_max) == (104, 2)
    with pytest.raises(Problem) as refused:
        bank.hold("req_3")
    assert refused.value.code is Code.BALANCE_EXHAUSTED
    assert refused.value.retry_after_s == 1
    assert bank.verify().open_holds == 2


@pytest.mark.parametrize("scope", [LimitScope.ORGANIZATION, LimitScope.PROJECT, LimitScope.KEY])
def test_a_refused_hold_takes_nothing_anywhere(bank: Bank, scope: LimitScope) -> None:
    bank.price(1000, 2000)
    bank.fund(1000)
    owner = dict(ledger.chain_of(CALLER))[scope]
    cap(bank, scope, owner, 101)
    with pytest.raises(Problem) as refused:
        bank.hold("req_1")
    assert refused.value.code is Code.CAP_REACHED
    assert refused.value.facts["limit_source"] == scope.value
    assert refused.value.facts["needed_nano"] == 102
    assert {state.held_nano for state in bank.limits().values()} == {0}
    assert bank.verify().open_holds == 0


def test_keys_of_one_project_share_its_cap(bank: Bank) -> None:
    bank.price(1000, 2000)
    bank.fund(1000)
    cap(bank, LimitScope.PROJECT, CALLER.project_id, 120)
    bank.hold("req_1")
    other = Caller(CALLER.org_id, CALLER.project_id, "key_b", frozenset(Scope))
    with pytest.raises(Problem) as refused:
        bank.hold("req_2", caller=other)
    assert refused.value.facts["limit_source"] == "project"
    assert bank.limits(other)["key"].held_nano == 0


def test_organizations_do_not_share_balances(bank: Bank) -> None:
    bank.price(1000, 2000)
    bank.fund(1000)
    other = Caller("org_b", "project_b", "key_b", frozenset(Scope))
    with pytest.raises(Problem) as refused:
        bank.hold("req_1", caller=other)
    assert refused.value.code is Code.BALANCE_EXHAUSTED


def test_one_request_id_holds_once(bank: Bank) -> None:
    bank.price(1000, 2000)
    bank.fund(1000)
    bank.hold("req_1")
    with pytest.raises(Problem) as refused:
        bank.hold("req_1")
    assert refused.value.code is Code.STATE_CONFLICT
    assert bank.limits()["balance"].held_nano == 120


def test_a_free_call_is_recorded_and_holds_nothing(bank: Bank) -> None:
    bank.price(0, 0)
    hold = bank.hold("req_1")
    assert (hold.amount_nano, hold.output_tokens_max) == (0, 10)
    receipt = bank.settle("req_1")
    assert receipt.cost_nano == 0
    assert bank.rows("SELECT state FROM call_record") == [("posted",)]
    assert bank.verify().problems == ()


def test_a_hold_keeps_the_price_it_was_admitted_under(bank: Bank) -> None:
    old = bank.price(1000, 2000)
    bank.fund(1000)
    bank.hold("req_1")
    bank.price(9000, 9000)
    receipt = bank.settle("req_1")
    assert receipt.price_version == old.version_id
    assert receipt.cost_nano == 120


def test_a_huge_ask_is_clamped_and_not_overflown(bank: Bank) -> None:
    bank.price(10**12, 10**12)
    bank.fund(10**12)
    hold = bank.hold("req_1", input_tokens=1, output_tokens_max=10**15, choices=128)
    assert hold.amount_nano <= 10**12
    assert hold.clamped_by is LimitScope.BALANCE
    with pytest.raises(Problem) as refused:
        bank.hold("req_2", input_tokens=10**18)
    assert refused.value.facts["needed_nano"] == 10**27 + 10**9


def test_many_holds_near_the_balance_never_pass_it(bank: Bank) -> None:
    bank.price(0, 1_000_000)
    bank.fund(50_000)
    taken, refused = 0, 0
    for number in range(60):
        try:
            bank.hold(f"req_{number:03}", output_tokens_max=1)
            taken += 1
        except Problem:
            refused += 1
    assert (taken, refused) == (50, 10)
    assert bank.limits()["balance"].remaining_nano == 0
    assert bank.verify().problems == ()


def test_more_money_for_a_call_that_has_ended_meanwhile_is_not_taken(bank: Bank) -> None:
    bank.price(1000, 2000)
    bank.fund(1000)
    bank.hold("req_1")
    held = bank.replica().running["req_1"].held
    bank.settle("req_1")
    assert not bank.replica().pool.extend(held, 0, bank.clock.us)
    bank.hold("req_2")
    bank.settle("req_2")
    assert not bank.replica().pool.extend(held, 1, bank.clock.us)
    assert bank.limits()["balance"].held_nano == 0
    assert bank.verify().problems == ()
