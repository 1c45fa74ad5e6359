"""Organizations and projects together with their money limits."""

from dataclasses import dataclass

from tokenbooth.access.orgs import service as orgs
from tokenbooth.access.orgs.service import Org, Project
from tokenbooth.core.caller import CallLimits
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Ids, Tx
from tokenbooth.core.receipt import LimitScope, LimitState
from tokenbooth.money.ledger import service as ledger


@dataclass(frozen=True, slots=True)
class OrganizationAsk:
    """``cap_nano`` is a hard cap on all spending; ``None`` leaves the balance as the only one.

    ``limits`` of ``None`` takes the product's defaults.
    """

    name: str
    limits: CallLimits | None = None
    cap_nano: int | None = None


@dataclass(frozen=True, slots=True)
class AccountLine:
    """An organization with its two limits, balance first."""

    org: Org
    limits: tuple[LimitState, ...]


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """A project with its own limit."""

    project: Project
    limits: tuple[LimitState, ...]


def create_organization(op: Op, tx: Tx, ask: OrganizationAsk, ids: Ids) -> Org:
    """Open an organization with an empty balance, its cap and a project named ``default``.

    Raises ALREADY_EXISTS for a taken name.
    """
    if ask.limits is None:
        org = orgs.create_org(op, tx, ask.name, ids)
    else:
        org = orgs.create_org(op, tx, ask.name, ids, ask.limits)
    ledger.open_limit(op, tx, LimitScope.BALANCE, org.id, 0)
    ledger.open_limit(op, tx, LimitScope.ORGANIZATION, org.id, ask.cap_nano)
    for project in orgs.projects(op, tx, org.id):
        ledger.open_limit(op, tx, LimitScope.PROJECT, project.id, None)
    return org


def create_project(
    op: Op, tx: Tx, org: str, name: str, *, cap_nano: int | None, ids: Ids
) -> Project:
    """``org`` is a name or an id. Raises NAME_NOT_FOUND, ALREADY_EXISTS."""
    owner = orgs.org_by(op, tx, org)
    project = orgs.create_project(op, tx, owner.id, name, ids)
    ledger.open_limit(op, tx, LimitScope.PROJECT, project.id, cap_nano)
    return project


def organizations(op: Op, tx: Tx) -> tuple[AccountLine, ...]:
    return tuple(AccountLine(org, _org_limits(op, tx, org.id)) for org in orgs.orgs(op, tx))


def projects(op: Op, tx: Tx, org: str | None) -> tuple[ProjectLine, ...]:
    """All projects, or those of one organization by name or id."""
    owner_id = None if org is None else orgs.org_by(op, tx, org).id
    return tuple(
        ProjectLine(project, ledger.limits(op, tx, ((LimitScope.PROJECT, project.id),)))
        for project in orgs.projects(op, tx, owner_id)
    )


def add_credit(op: Op, tx: Tx, org: str, amount_nano: int, ref: str) -> AccountLine:
    """Book prepaid credit; the same ``ref`` twice books once."""
    owner = orgs.org_by(op, tx, org)
    ledger.credit(op, tx, owner.id, amount_nano, ref)
    return AccountLine(owner, _org_limits(op, tx, owner.id))


def cap_organization(op: Op, tx: Tx, org: str, cap_nano: int | None) -> AccountLine:
    """Set or lift the hard cap. Refused below what is already spent and held."""
    owner = orgs.org_by(op, tx, org)
    ledger.set_limit(op, tx, LimitScope.ORGANIZATION, owner.id, cap_nano)
    return AccountLine(owner, _org_limits(op, tx, owner.id))


def cap_project(op: Op, tx: Tx, org: str, project: str, cap_nano: int | None) -> ProjectLine:
    """Set or lift the hard cap. Refused below what is already spent and held."""
    owner = orgs.project_by(op, tx, orgs.org_by(op, tx, org).id, project)
    ledger.set_limit(op, tx, LimitScope.PROJECT, owner.id, cap_nano)
    return ProjectLine(owner, ledger.limits(op, tx, ((LimitScope.PROJECT, owner.id),)))


def _org_limits(op: Op, tx: Tx, org_id: str) -> tuple[LimitState, ...]:
    chain = ((LimitScope.BALANCE, org_id), (LimitScope.ORGANIZATION, org_id))
    return ledger.limits(op, tx, chain)
