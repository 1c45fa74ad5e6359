"""What an operator sees of gateway processes, and what the loss of one costs whom."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bank import Bank, opened_bank
from tests.support.stores import fresh_options
from tokenbooth.control import accounts, replicas
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.money.leases.service import SILENT_US
from tokenbooth.money.ledger import service as ledger


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    """Nobody has money yet."""
    with opened_bank(fresh_options(tmp_path)) as opened:
        opened.price(1000, 2000)
        yield opened


def organization(bank: Bank, name: str) -> Caller:
    def make(op, tx):
        ask = accounts.OrganizationAsk(name)
        made = accounts.create_organization(op, tx, ask, bank.ids)
        accounts.add_credit(op, tx, name, 1000, "first")
        return made

    org = bank.write(make)
    return Caller(org.id, f"project_{name}", f"key_{name}", frozenset(Scope))


def silence(bank: Bank) -> None:
    bank.flush()
    bank.sql(f"UPDATE replica SET seen_us = seen_us - {SILENT_US}")


def test_nobody_ran_yet(bank: Bank) -> None:
    assert bank.seen(replicas.lease_views) == ()


def test_each_process_shows_what_it_has_of_whom(bank: Bank) -> None:
    acme, zeta = organization(bank, "acme"), organization(bank, "zeta")
    bank.hold("req_1", caller=acme)
    bank.hold("req_2", caller=zeta)
    bank.hold("req_3", on="replica_b", caller=acme, output_tokens_max=50)
    bank.flush()
    first, second = bank.seen(replicas.lease_views)
    assert [(s.org, s.granted_nano, s.held_nano) for s in first.shares] == [
        ("acme", 120, 120),
        ("zeta", 120, 120),
    ]
    assert [(s.org, s.granted_nano) for s in second.shares] == [("acme", 200)]
    assert replicas.sums(first.shares) == {"USD": (240, 240)}
    assert first.living
    document = replicas.lease_view_json(first)
    assert (document["name"], document["epoch"], document["living"]) == ("replica_a", 1, True)
    assert document["leases"] == replicas.shares_json(first.shares)


def test_currencies_are_never_added_up(bank: Bank) -> None:
    mixed = [replicas.Share("a", "USD", 5, 1), replicas.Share("b", "EUR", 7, 2)]
    mixed.append(replicas.Share("c", "USD", 10, 3))
    assert replicas.sums(mixed) == {"EUR": (7, 2), "USD": (15, 4)}


def test_an_organization_that_nobody_names_is_shown_by_its_id(bank: Bank) -> None:
    bank.fund(1000)
    bank.hold("req_1")
    bank.flush()
    (view,) = bank.seen(replicas.lease_views)
    assert [share.org for share in view.shares] == ["org_a"]


def test_silence_is_judged_by_the_database(bank: Bank) -> None:
    bank.replica()
    silence(bank)
    (view,) = bank.seen(replicas.lease_views)
    assert not view.living
    assert view.silent_us >= SILENT_US
    assert replicas.lease_view_json(view)["living"] is False


def test_a_forfeit_says_what_each_customer_gets(bank: Bank) -> None:
    acme = organization(bank, "acme")
    bank.hold("req_1", caller=acme)
    silence(bank)
    lost = bank.replicas.pop("replica_a")
    returned = bank.write(lambda op, tx: replicas.forfeit(op, tx, "replica_a", living=False))
    assert [(share.org, share.granted_nano) for share in returned] == [("acme", 120)]
    assert replicas.forfeit_json("replica_a", returned)["returned"] == replicas.shares_json(
        returned
    )
    assert bank.limits(acme)["balance"].remaining_nano == 1000
    lost.restart()
    assert bank.verify() == ledger.Verification(3, 0, 0, ())


def test_a_process_without_money_returns_nothing(bank: Bank) -> None:
    bank.replica()
    silence(bank)
    assert bank.write(lambda op, tx: replicas.forfeit(op, tx, "replica_a", living=False)) == ()


@pytest.mark.parametrize(
    ("name", "code"), [("replica_a", Code.STATE_CONFLICT), ("nobody", Code.NAME_NOT_FOUND)]
)
def test_what_lives_or_never_was_is_not_forfeited(bank: Bank, name: str, code: Code) -> None:
    bank.fund(1000)
    bank.hold("req_1")
    bank.flush()
    with pytest.raises(Problem) as refused:
        bank.write(lambda op, tx: replicas.forfeit(op, tx, name, living=False))
    assert refused.value.code is code
    assert bank.limits()["balance"].held_nano == 120
