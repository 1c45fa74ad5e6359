"""What the databases refuse by themselves, whatever program writes to them."""

import pytest
from sqlalchemy.exc import DBAPIError

from tests.support.bank import Bank, opened_bank
from tokenbooth.money.ledger import service as ledger
from tokenbooth.store.options import StoreOptions

APPEND_ONLY = {
    "price_version": "author = 'x'",
    "price_line": "unit_pico = unit_pico + 1",
    "ledger_txn": "actor = 'x'",
    "ledger_posting": "amount_nano = amount_nano + 1",
}
NEVER_DELETED = (*APPEND_ONLY, "spend_limit", "ledger_account", "call_record")
CALL_FIXED = (
    *("request_id", "org_id", "project_id", "key_id", "end_customer", "model", "replica_id"),
    "price_version",
)
CALL_FIXED_NUMBERS = ("epoch", "created_us")
CALL_FINAL = ("outcome", "reason", "usage_source", "fingerprint")
CALL_FINAL_NUMBERS = (
    *("held_nano", "held_input_tokens", "held_output_tokens"),
    *("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "cost_nano"),
    *("started_us", "first_output_us", "ended_us"),
)


@pytest.fixture
def bank(store_options: StoreOptions):
    """One settled call and one that runs."""
    with opened_bank(store_options) as opened:
        opened.price(1000, 2000)
        opened.fund(1000)
        opened.hold("req_1")
        opened.settle("req_1")
        opened.hold("req_2")
        yield opened


def refuses(bank: Bank, *statements: str) -> None:
    before = bank.verify()
    for statement in statements:
        with pytest.raises(DBAPIError):
            bank.sql(statement)
    assert bank.verify() == before == ledger.Verification(3, 0, 1, ())


def test_booked_rows_are_not_changed(bank: Bank) -> None:
    refuses(bank, *(f"UPDATE {table} SET {change}" for table, change in APPEND_ONLY.items()))


def test_rows_of_money_are_not_deleted(bank: Bank) -> None:
    refuses(bank, *(f"DELETE FROM {table}" for table in NEVER_DELETED))


def test_tables_of_money_are_not_emptied(bank: Bank) -> None:
    if bank.is_sqlite:
        refuses(bank, *(f"DELETE FROM {table} WHERE true" for table in NEVER_DELETED))
    else:
        refuses(bank, *(f"TRUNCATE {table} CASCADE" for table in NEVER_DELETED))


@pytest.mark.parametrize("request_id", ["req_1", "req_2"])
def test_what_a_hold_was_taken_for_is_not_changed(bank: Bank, request_id: str) -> None:
    where = f"WHERE request_id = '{request_id}'"
    refuses(
        bank,
        *(f"UPDATE call_record SET {name} = 'x' {where}" for name in CALL_FIXED),
        *(f"UPDATE call_record SET {name} = {name} + 1 {where}" for name in CALL_FIXED_NUMBERS),
    )


def test_what_a_settled_call_cost_is_not_changed(bank: Bank) -> None:
    where = "WHERE request_id = 'req_1'"
    refuses(
        bank,
        *(f"UPDATE call_record SET {name} = 'x' {where}" for name in CALL_FINAL),
        *(f"UPDATE call_record SET {name} = 5 {where}" for name in CALL_FINAL_NUMBERS),
        f"UPDATE call_record SET state = 'void', cost_nano = 0 {where}",
        f"UPDATE call_record SET swept = 1 {where}",
    )


def test_a_loss_may_still_be_noted_on_a_settled_call(bank: Bank) -> None:
    bank.sql("UPDATE call_record SET operator_loss_nano = 9 WHERE request_id = 'req_1'")
    assert bank.call("req_1").operator_loss_nano == 9
    refuses(bank, "UPDATE call_record SET operator_loss_nano = -1")


@pytest.mark.parametrize(
    "values",
    [
        "'key:k', 'key', 'k', 10, 6, 5",
        "'key:k', 'key', 'k', 10, 11, 0",
        "'key:k', 'key', 'k', 10, 0, 11",
        "'key:k', 'key', 'k', -1, 0, 0",
        "'key:k', 'key', 'k', 10, -1, 0",
        "'key:k', 'key', 'k', 10, 0, -1",
        "'key:k', 'key', 'other', 10, 0, 0",
        "'balance:o', 'balance', 'o', NULL, 0, 0",
        "'planet:p', 'planet', 'p', 10, 0, 0",
    ],
)
def test_no_limit_is_ever_born_wrong(bank: Bank, values: str) -> None:
    refuses(bank, f"INSERT INTO spend_limit VALUES ({values})")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ledger_account VALUES ('prepaid:x', 'prepaid', 'y')",
        "INSERT INTO ledger_account VALUES ('gift:x', 'gift', 'x')",
        "INSERT INTO ledger_txn VALUES ('credit:o:r', 'credit', 'o', 'other', 'me', 1)",
        "INSERT INTO ledger_txn VALUES ('gift:o:r', 'gift', 'o', 'r', 'me', 1)",
        "INSERT INTO ledger_posting VALUES ('credit:org_a:first', 0, 'prepaid:org_a', 1)",
        "INSERT INTO ledger_posting VALUES ('credit:org_a:first', 7, 'prepaid:none', 1)",
        "INSERT INTO ledger_posting VALUES ('credit:org_a:first', -1, 'prepaid:org_a', 1)",
        "INSERT INTO price_version VALUES ('v', 'm', 1, 'me', 1, 'default', 'USD')",
        "INSERT INTO price_version VALUES ('v', 'm', 0, 'me', 1, 'default', 'USD')",
        "INSERT INTO price_line (version_id, meter, unit_pico) VALUES ('none', 'input', 1)",
    ],
)
def test_no_row_of_the_books_is_born_wrong(bank: Bank, statement: str) -> None:
    refuses(bank, statement)
