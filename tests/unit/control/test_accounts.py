"""An account exists only together with its limits, and money moves only by the ledger's rules."""

from typing import Any

import pytest

from tests.support.ops import CountingIds
from tokenbooth.access.orgs import service as orgs
from tokenbooth.control import accounts
from tokenbooth.core.caller import CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger import service as ledger

USD = 10**9


def test_a_new_organization_has_an_empty_balance_no_cap_and_a_default_project(
    op: Op, tx: Tx, ids: CountingIds
) -> None:
    org = accounts.create_organization(op, tx, accounts.OrganizationAsk("acme"), ids)
    (line,) = accounts.organizations(op, tx)
    balance, cap = line.limits
    assert line.org == org
    assert (balance.scope, balance.limit_nano) == (LimitScope.BALANCE, 0)
    assert (cap.scope, cap.limit_nano) == (LimitScope.ORGANIZATION, None)
    (project,) = accounts.projects(op, tx, "acme")
    assert project.project.name == "default"
    assert project.limits[0].limit_nano is None


def test_an_organization_can_start_with_a_cap_and_rate_limits(
    op: Op, tx: Tx, ids: CountingIds
) -> None:
    limits = CallLimits(7, 8, 9)
    ask = accounts.OrganizationAsk("acme", limits, 3 * USD)
    assert accounts.create_organization(op, tx, ask, ids).limits == limits
    assert accounts.organizations(op, tx)[0].limits[1].limit_nano == 3 * USD


def test_a_taken_name_leaves_the_first_organization_as_it_was(
    op: Op, tx: Tx, ids: CountingIds, acme: Any
) -> None:
    with pytest.raises(Problem) as caught:
        accounts.create_organization(op, tx, accounts.OrganizationAsk("acme"), ids)
    assert caught.value.code is Code.ALREADY_EXISTS
    (line,) = accounts.organizations(op, tx)
    assert line.limits[0].limit_nano == 10 * USD


def test_credit_raises_the_balance_once_for_each_reference(op: Op, tx: Tx, acme: Any) -> None:
    accounts.add_credit(op, tx, "acme", 5 * USD, "invoice 1")
    again = accounts.add_credit(op, tx, acme.id, 5 * USD, "invoice 1")
    assert again.limits[0].limit_nano == 15 * USD
    assert ledger.verify(op, tx).problems == ()


def test_credit_to_nobody_is_refused(op: Op, tx: Tx) -> None:
    with pytest.raises(Problem) as caught:
        accounts.add_credit(op, tx, "nobody", USD, "x")
    assert caught.value.code is Code.NAME_NOT_FOUND


def test_projects_are_listed_for_one_organization_or_all(
    op: Op, tx: Tx, ids: CountingIds, acme: Any
) -> None:
    accounts.create_organization(op, tx, accounts.OrganizationAsk("other"), ids)
    accounts.create_project(op, tx, "acme", "search", cap_nano=2 * USD, ids=ids)
    of_acme = accounts.projects(op, tx, "acme")
    assert [line.project.name for line in of_acme] == ["default", "search"]
    assert [line.limits[0].limit_nano for line in of_acme] == [None, 2 * USD]
    assert len(accounts.projects(op, tx, None)) == 3


def test_a_project_of_an_unknown_organization_is_refused(op: Op, tx: Tx, ids: CountingIds) -> None:
    with pytest.raises(Problem) as caught:
        accounts.create_project(op, tx, "nobody", "p", cap_nano=None, ids=ids)
    assert caught.value.code is Code.NAME_NOT_FOUND


def test_caps_are_set_and_lifted(op: Op, tx: Tx, ids: CountingIds, acme: Any) -> None:
    assert accounts.cap_organization(op, tx, "acme", USD).limits[1].limit_nano == USD
    assert accounts.cap_organization(op, tx, "acme", None).limits[1].limit_nano is None
    project = accounts.cap_project(op, tx, "acme", "default", 2 * USD)
    assert project.limits[0].limit_nano == 2 * USD
    assert accounts.cap_project(op, tx, "acme", "default", None).limits[0].limit_nano is None


def test_a_foreign_project_cannot_be_capped(op: Op, tx: Tx, ids: CountingIds, acme: Any) -> None:
    other = accounts.create_organization(op, tx, accounts.OrganizationAsk("other"), ids)
    (foreign,) = orgs.projects(op, tx, other.id)
    with pytest.raises(Problem) as caught:
        accounts.cap_project(op, tx, "acme", foreign.id, USD)
    assert caught.value.code is Code.NAME_NOT_FOUND
