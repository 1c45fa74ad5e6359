"""Credit under one reference is one credit: typed twice, at once, or with another amount."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.outside.cli.conftest import Ran, Run
from tokenbooth.store.options import StoreOptions

CREDIT = ("org", "credit", "acme", "12.50", "--ref", "invoice 7", "--json")


@pytest.fixture
def operator(run: Run, empty_options: StoreOptions) -> Run:
    """Commands on a booth of each database, with one organization."""

    def command(*arguments: str) -> Ran:
        return run(*arguments, variables={"TOKENBOOTH_STORE__URL": empty_options.url})

    assert command("init").code == 0
    assert command("org", "create", "acme").code == 0
    return command


def left(operator: Run) -> dict[str, str]:
    rows = operator("org", "list", "--json").document["data"]
    return {row["name"]: row["limits"][0]["remaining"]["amount"] for row in rows}


def test_a_credit_is_booked_once_however_often_it_is_typed(operator: Run) -> None:
    first = operator(*CREDIT)
    with ThreadPoolExecutor(4) as crowd:
        said = list(crowd.map(lambda _: operator(*CREDIT), range(4)))
    assert [ran.code for ran in (first, *said)] == [0] * 5
    assert {ran.out for ran in said} == {first.out}
    refused = operator("org", "credit", "acme", "12.500000001", "--ref", "invoice 7", "--json")
    assert refused.code == 1
    error = refused.document["error"]
    assert (error["code"], error["param"]) == ("state_conflict", "ref")
    assert error["booked_nano"] == 12_500_000_000
    assert left(operator) == {"acme": "12.500000000"}
    assert operator("ledger", "verify").code == 0


def test_references_are_a_customers_own_and_without_one_each_credit_counts(operator: Run) -> None:
    assert operator("org", "create", "other").code == 0
    operator(*CREDIT)
    assert operator("org", "credit", "other", "1", "--ref", "invoice 7").code == 0
    for _ in range(2):
        assert operator("org", "credit", "acme", "1").code == 0
    assert left(operator) == {"acme": "14.500000000", "other": "1.000000000"}
