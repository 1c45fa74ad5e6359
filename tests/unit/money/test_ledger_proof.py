"""``verify`` finds every bent row, and finds nothing in honest books."""

import pytest

from tests.support.bank import Bank
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.delta import Usage
from tokenbooth.core.receipt import LimitScope, Period
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.ledger.audit import proof, sql


@pytest.fixture
def books(bank: Bank) -> Bank:
    """Three settled calls, each with a charge of its own, one void, one that runs."""
    bank.price(1000, 2000, 100)
    bank.fund(10_000)
    for number, output_tokens in enumerate((1, 5, 10, 0), 1):
        bank.hold(f"req_{number}")
        usage = Usage(100, output_tokens, 30)
        bank.settle(f"req_{number}", usage=usage, charge=output_tokens > 0)
        bank.flush()
    bank.hold("req_5")
    bank.flush()
    return bank


def test_honest_books_are_sound(books: Bank) -> None:
    assert books.verify() == ledger.Verification(3, 0, 1, ())


def test_an_empty_ledger_is_sound(bank: Bank) -> None:
    assert bank.verify() == ledger.Verification(0, 0, 0, ())


def charge(number: int) -> str:
    """The transaction that charged that call."""
    return f"(SELECT txn_id FROM call_record WHERE request_id = 'req_{number}')"


PLANTED = {
    "a posting changed": (
        "ledger_posting",
        "UPDATE ledger_posting SET amount_nano = 9 WHERE amount_nano = 75",
        "postings of charge:org_a:replica_a/1/",
    ),
    "both sides changed": (
        "ledger_posting",
        "UPDATE ledger_posting SET amount_nano = 2 * amount_nano WHERE abs(amount_nano) = 83",
        "postings of charge charge:org_a:replica_a/1/",
    ),
    "a posting removed": (
        "ledger_posting",
        f"DELETE FROM ledger_posting WHERE txn_id = {charge(1)} AND line = 1",
        "1 lines instead of 2",
    ),
    "a charge without a call": (
        "call_record",
        "UPDATE call_record SET txn_id = NULL WHERE request_id = 'req_1'",
        "postings of charge none",
    ),
    "a charge moved to another call": (
        "call_record",
        f"UPDATE call_record SET txn_id = {charge(2)} WHERE request_id = 'req_1'",
        "postings of charge charge:org_a:replica_a/1/",
    ),
    "a call that another organization pays": (
        "call_record",
        "UPDATE call_record SET org_id = 'org_b' WHERE request_id = 'req_1'",
        "postings of charge charge:org_a:replica_a/1/",
    ),
    "a credit invented": (
        "spend_limit",
        "UPDATE spend_limit SET limit_nano = limit_nano + 5 WHERE scope = 'balance'",
        "balance:org_a credited",
    ),
    "spending forgotten on the balance": (
        "spend_limit",
        "UPDATE spend_limit SET spent_nano = 0 WHERE scope = 'balance'",
        "balance:org_a spent",
    ),
    "spending forgotten on a key": (
        "spend_limit",
        "UPDATE spend_limit SET spent_nano = spent_nano - 1 WHERE scope = 'key'",
        "key:key_a spent",
    ),
    "a hold leaked": (
        "spend_limit",
        "UPDATE spend_limit SET held_nano = held_nano + 9 WHERE scope = 'project'",
        "project:project_a held",
    ),
    "a lease forgotten": (
        "lease",
        "DELETE FROM lease WHERE limit_id = 'key:key_a'",
        "key:key_a leased",
    ),
    "a lease raised": (
        "lease",
        "UPDATE lease SET granted_nano = granted_nano + 1 WHERE limit_id = 'balance:org_a'",
        "balance:org_a leased",
    ),
    "money leased to nobody": (
        "spend_limit",
        "UPDATE spend_limit SET leased_nano = leased_nano + 9 WHERE scope = 'project'",
        "project:project_a leased",
    ),
    "a limit row lost": (
        "spend_limit",
        "DELETE FROM spend_limit WHERE scope = 'organization'",
        "organization:org_a spent, without a limit row",
    ),
    "a cost lowered": (
        "call_record",
        "UPDATE call_record SET cost_nano = cost_nano - 1 WHERE request_id = 'req_3'",
        "cost of call req_3",
    ),
    "usage changed after the fact": (
        "call_record",
        "UPDATE call_record SET output_tokens = 2 WHERE request_id = 'req_1'",
        "cost of call req_1",
    ),
    "a call deleted": (
        "call_record",
        "DELETE FROM call_record WHERE request_id = 'req_2'",
        "postings of charge charge:org_a:replica_a/1/",
    ),
    "a call that did not pay its project": (
        "call_record",
        "UPDATE call_record SET chain = 'balance:org_a key:key_a' WHERE request_id = 'req_2'",
        "project:project_a spent",
    ),
    "a call that paid another window": (
        "call_record",
        "UPDATE call_record SET chain = chain || '@2026-11' WHERE request_id = 'req_2'",
        "key:key_a@2026-11 spent, without a limit row",
    ),
    "a call moved to another model": (
        "call_record",
        "UPDATE call_record SET model = 'other' WHERE request_id = 'req_3'",
        "of other is gone or cut",
    ),
    "a price changed": (
        "price_line",
        "UPDATE price_line SET unit_pico = 3000 WHERE meter = 'output'",
        "cost of call req_1",
    ),
    "a price line lost": (
        "price_line",
        "DELETE FROM price_line WHERE meter = 'input'",
        "is gone or cut",
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_every_planted_fault_is_found(books: Bank, planted: str) -> None:
    table, statement, expected = PLANTED[planted]
    books.unguarded(table, statement)
    found = books.verify()
    assert any(expected in problem for problem in found.problems), found
    assert found.difference_nano > 0


def test_a_limit_passed_by_force_is_found(books: Bank) -> None:
    books.unguarded("spend_limit", "UPDATE spend_limit SET limit_nano = 1 WHERE scope = 'key'")
    books.replicas.clear()
    found = books.verify()
    assert any("key:key_a above its limit" in problem for problem in found.problems)


def test_a_renewing_cap_is_no_limit_of_what_was_spent_before_it_renewed(books: Bank) -> None:
    books.write(lambda op, tx: ledger.set_limit(op, tx, LimitScope.KEY, "key_a", 1, Period.DAY))
    assert books.verify() == ledger.Verification(3, 0, 1, ())


def test_a_window_passed_by_force_is_found(books: Bank) -> None:
    books.write(lambda op, tx: ledger.set_limit(op, tx, LimitScope.KEY, "key_b", 500, Period.DAY))
    books.hold("req_6", caller=Caller("org_a", "project_a", "key_b", frozenset(Scope)))
    books.flush()
    statement = "UPDATE spend_limit SET limit_nano = 1 WHERE window_id <> ''"
    books.unguarded("spend_limit", statement)
    (problem,) = books.verify().problems
    assert problem.startswith("key:key_b@")
    assert "above its limit" in problem


def test_the_difference_is_the_sum_of_what_is_off(books: Bank) -> None:
    books.sql("UPDATE spend_limit SET leased_nano = leased_nano + 9 WHERE scope = 'key'")
    books.sql("UPDATE spend_limit SET spent_nano = spent_nano - 4 WHERE scope = 'project'")
    found = books.verify()
    assert found.difference_nano == 13
    assert len(found.problems) == 2


def test_a_flood_of_findings_is_counted_and_cut(
    books: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "FINDINGS_MAX", 2)
    books.unguarded("price_line", "UPDATE price_line SET unit_pico = 3000 WHERE meter = 'output'")
    assert books.verify().problems[2:] == ("and 1 more",)


def test_calls_are_read_in_pages(books: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "_RESOLVED", sql._RESOLVED.limit(2))
    found = books.read(lambda op, tx: [call.request_id for call in sql.resolved_calls(tx)])
    assert found == ["req_1", "req_2", "req_3", "req_4"]
