"""Leases and renewing caps from the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.bank import Bank, opened_bank
from tests.unit.cli.conftest import Command
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.money.ledger import service as ledger
from tokenbooth.store.options import StoreOptions

Ask = Callable[..., Any]


@pytest.fixture
def acme(ask: Ask) -> Caller:
    """An organization with 1000 nano-USD."""
    org_id = ask("org", "create", "acme")["id"]
    ask("org", "credit", "acme", "0.000001")
    return Caller(org_id, "project_a", "key_a", frozenset(Scope))


@pytest.fixture
def lost(home: Path, acme: Caller) -> Any:
    """A process that holds 120 for a call, whose end only its journal knows."""
    with opened_bank(StoreOptions(f"sqlite:///{home / 'tokenbooth.db'}")) as bank:
        bank.price(1000, 2000)
        bank.hold("req_1", caller=acme)
        bank.flush()
        bank.settle("req_1")
        yield bank.replicas.pop("replica_a")


def bank_of(lost: Any) -> Bank:
    return lost.bank


def test_processes_are_listed_with_their_leases(ask: Ask, command: Command, lost: Any) -> None:
    (row,) = ask("lease", "list")["data"]
    assert (row["name"], row["epoch"], row["living"]) == ("replica_a", 1, True)
    (share,) = row["leases"]
    assert share["organization"] == "acme"
    assert share["leased"] == {
        "amount": "0.000000120",
        "amount_nano": 120,
        "currency": "USD",
    }
    shown = command("lease", "list").out
    assert "replica_a" in shown
    assert "living" in shown
    assert "0.000000120" in shown


def test_a_process_without_money_is_listed_too(ask: Ask, command: Command, lost: Any) -> None:
    ask("lease", "forfeit", "replica_a", "--force")
    (row,) = ask("lease", "list")["data"]
    assert (row["leases"], row["forfeited_epoch"]) == ([], 1)
    assert "replica_a" in command("lease", "list").out


def test_no_process_ran_yet(ask: Ask, command: Command) -> None:
    assert ask("lease", "list")["data"] == []
    assert command("lease", "list").out == "None.\n"


def test_a_living_process_is_forfeited_only_by_force(ask: Ask, command: Command, lost: Any) -> None:
    refused = command("lease", "forfeit", "replica_a")
    assert refused.code == 1
    assert "--force" in refused.err
    returned = ask("lease", "forfeit", "replica_a", "--force")["returned"]
    assert [(r["organization"], r["leased"]["amount_nano"]) for r in returned] == [("acme", 120)]


def test_a_forfeit_says_who_gets_what(command: Command, lost: Any) -> None:
    said = command("lease", "forfeit", "replica_a", "--force").out
    assert said == "acme gets 0.000000120 USD back.\n"
    again = command("lease", "forfeit", "replica_a", "--force").out
    assert again == "The replica replica_a had no money leased.\n"


def test_a_forfeited_process_that_comes_back_cannot_charge(
    ask: Ask, acme: Caller, lost: Any
) -> None:
    ask("lease", "forfeit", "replica_a", "--force")
    lost.restart()
    record = bank_of(lost).call("req_1", acme.org_id)
    assert (record.cost_nano, record.operator_loss_nano) == (0, 120)
    assert ask("ledger", "verify")["sound"] is True
    assert bank_of(lost).verify() == ledger.Verification(3, 0, 0, ())
    (row,) = ask("org", "list")["data"]
    assert row["limits"][0]["remaining"]["amount_nano"] == 1000


def test_an_unknown_process_cannot_be_forfeited(command: Command) -> None:
    said = command("lease", "forfeit", "nobody", "--json")
    assert said.code == 1
    assert said.document["error"]["code"] == "not_found"


# Caps that renew


@pytest.mark.parametrize("period", ["day", "month"])
def test_a_cap_may_renew_at_every_level(ask: Ask, period: str) -> None:
    renews = ("--cap", "2", "--cap-period", period)
    ask("org", "create", "zeta", *renews)
    (row,) = ask("org", "list")["data"]
    assert row["limits"][1]["window"]["period"] == period
    made = ask("project", "create", "zeta", "search", *renews)
    assert made["limits"][0]["window"]["period"] == period
    ask("key", "create", "zeta", *renews)
    (key,) = ask("key", "list")["data"]
    assert key["limits"][0]["window"]["period"] == period
    assert key["limits"][0]["window"]["renews_at"].endswith("T00:00:00Z")


def test_a_rhythm_is_changed_with_the_cap_and_kept_without(ask: Ask) -> None:
    ask("org", "create", "zeta")
    key_id = ask("key", "create", "zeta")["id"]
    levels = (("org", "cap", "zeta"), ("project", "cap", "zeta", "default"), ("key", "cap", key_id))
    for level in levels:
        (*_, limit) = ask(*level, "3", "--cap-period", "day")["limits"]
        assert limit["window"]["period"] == "day"
        (*_, limit) = ask(*level, "4")["limits"]
        assert (limit["window"]["period"], limit["limit"]["amount"]) == ("day", "4.000000000")
        (*_, limit) = ask(*level, "4", "--cap-period", "none")["limits"]
        assert "window" not in limit


@pytest.mark.parametrize(
    "options", [("--cap", "1", "--cap-period", "week"), ("--cap-period", "day")]
)
def test_an_impossible_rhythm_is_refused(
    ask: Ask, command: Command, options: tuple[str, ...]
) -> None:
    ask("org", "create", "zeta")
    for made in (
        ("org", "create", "new"),
        ("project", "create", "zeta", "p"),
        ("key", "create", "zeta"),
    ):
        said = command(*made, *options, "--json")
        assert said.code == 1
        assert said.document["error"]["param"] == "cap-period"
    assert [row["name"] for row in ask("org", "list")["data"]] == ["zeta"]
    assert ask("key", "list")["data"] == []


def test_a_cap_below_what_was_spent_is_refused_by_name(
    ask: Ask, command: Command, acme: Caller, lost: Any
) -> None:
    lost.restart()
    said = command("org", "cap", "acme", "0.000000119", "--json")
    assert said.code == 1
    assert said.document["error"]["spent_nano"] == 120
    (row,) = ask("org", "list")["data"]
    assert row["limits"][1]["limit"] is None
