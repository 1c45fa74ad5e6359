"""Any single amount changed behind the ledger's back shows as exactly that difference."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.bank import Bank, opened_bank
from tests.support.stores import fresh_options
from tokenbooth.core.delta import Usage
from tokenbooth.store.options import StoreOptions

TAMPER = settings(
    max_examples=12,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
DELTAS = st.integers(-50, 50).filter(bool)


@pytest.fixture(scope="module")
def books() -> bytes:
    """The file of a small business, to be tampered with copy by copy."""
    with tempfile.TemporaryDirectory() as directory:
        options = fresh_options(Path(directory))
        with opened_bank(options) as bank:
            bank.price(1000, 2000)
            bank.fund(10_000)
            for number in range(1, 5):
                bank.hold(f"req_{number}")
            for number in range(1, 4):
                bank.settle(f"req_{number}", usage=Usage(100, 10 - number))
                bank.flush()
        return options.sqlite_path.read_bytes()


def tampered(tmp_path: Path, books: bytes, table: str, statement: str) -> tuple[int, str]:
    path = tmp_path / "books.db"
    for old in tmp_path.glob("books.db*"):
        old.unlink()
    path.write_bytes(books)
    with opened_bank(StoreOptions(f"sqlite:///{path}")) as bank:
        assert bank.verify().problems == ()
        bank.unguarded(table, statement)
        found = bank.verify()
        return found.difference_nano, " ".join(found.problems)


@TAMPER
@given(
    scope=st.sampled_from(["balance", "organization", "project", "key"]),
    column=st.sampled_from(["spent_nano", "leased_nano", "held_nano"]),
    delta=DELTAS,
)
def test_a_limit_bent_by_any_amount(
    tmp_path: Path, books: bytes, scope: str, column: str, delta: int
) -> None:
    difference, problems = tampered(
        tmp_path,
        books,
        "spend_limit",
        f"UPDATE spend_limit SET {column} = {column} + {delta} WHERE scope = '{scope}'",
    )
    assert difference == abs(delta)
    assert scope in problems


@TAMPER
@given(delta=DELTAS)
def test_a_balance_bent_by_any_amount(tmp_path: Path, books: bytes, delta: int) -> None:
    difference, problems = tampered(
        tmp_path,
        books,
        "spend_limit",
        f"UPDATE spend_limit SET limit_nano = limit_nano + {delta} WHERE scope = 'balance'",
    )
    assert difference == abs(delta)
    assert "credited" in problems


@TAMPER
@given(call=st.integers(1, 3), line=st.integers(0, 1), delta=DELTAS)
def test_a_posting_bent_by_any_amount(
    tmp_path: Path, books: bytes, call: int, line: int, delta: int
) -> None:
    difference, problems = tampered(
        tmp_path,
        books,
        "ledger_posting",
        f"UPDATE ledger_posting SET amount_nano = amount_nano + {delta}"
        f" WHERE line = {line} AND txn_id ="
        f" (SELECT txn_id FROM call_record WHERE request_id = 'req_{call}')",
    )
    assert difference >= 2 * abs(delta)
    assert "charge:org_a:replica_a/1/" in problems


@TAMPER
@given(call=st.integers(1, 3), delta=DELTAS)
def test_a_cost_bent_by_any_amount(tmp_path: Path, books: bytes, call: int, delta: int) -> None:
    difference, problems = tampered(
        tmp_path,
        books,
        "call_record",
        f"UPDATE call_record SET cost_nano = cost_nano + {delta} WHERE request_id = 'req_{call}'",
    )
    assert difference >= abs(delta)
    assert f"call req_{call}" in problems


@TAMPER
@given(delta=DELTAS)
def test_a_hold_below_its_charge_by_any_amount(tmp_path: Path, books: bytes, delta: int) -> None:
    difference, problems = tampered(
        tmp_path,
        books,
        "call_record",
        f"UPDATE call_record SET held_nano = cost_nano - {abs(delta)} WHERE request_id = 'req_3'",
    )
    assert difference == abs(delta)
    assert "cost of call req_3" in problems


@TAMPER
@given(
    scope=st.sampled_from(["balance", "organization", "project", "key"]),
    column=st.sampled_from(["granted_nano", "held_nano"]),
    delta=DELTAS,
)
def test_a_lease_bent_by_any_amount(
    tmp_path: Path, books: bytes, scope: str, column: str, delta: int
) -> None:
    difference, problems = tampered(
        tmp_path,
        books,
        "lease",
        f"UPDATE lease SET {column} = {column} + {delta} WHERE limit_id LIKE '{scope}:%'",
    )
    assert difference == abs(delta)
    assert scope in problems


@TAMPER
@given(
    call=st.integers(1, 3),
    column=st.sampled_from(["input_tokens", "output_tokens"]),
    delta=st.integers(-5, -1),
)
def test_usage_bent_by_any_amount(
    tmp_path: Path, books: bytes, call: int, column: str, delta: int
) -> None:
    difference, problems = tampered(
        tmp_path,
        books,
        "call_record",
        f"UPDATE call_record SET {column} = {column} + {delta} WHERE request_id = 'req_{call}'",
    )
    assert difference == (1 if column == "input_tokens" else 2) * -delta
    assert problems.startswith(f"cost of call req_{call}")


def test_an_untouched_copy_stays_sound(tmp_path: Path, books: bytes) -> None:
    path = tmp_path / "books.db"
    path.write_bytes(books)
    with opened_bank(StoreOptions(f"sqlite:///{path}")) as bank:
        assert isinstance(bank, Bank)
        assert (bank.verify().difference_nano, bank.verify().open_holds) == (0, 1)
