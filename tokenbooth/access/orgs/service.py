"""Verbs on organizations and projects."""

from dataclasses import replace

from tokenbooth.access.orgs import sql
from tokenbooth.access.orgs.rules import explicit_limits
from tokenbooth.access.orgs.values import (
    DEFAULT_ORG_LIMITS,
    DEFAULT_PROJECT_NAME,
    Org,
    Project,
)
from tokenbooth.access.rules import checked_limits, checked_name, may_exist
from tokenbooth.core.caller import CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Ids, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms

__all__ = [
    "DEFAULT_ORG_LIMITS",
    "DEFAULT_PROJECT_NAME",
    "Org",
    "Project",
    "create_org",
    "create_project",
    "org_by",
    "orgs",
    "project_by",
    "projects",
    "set_data_terms",
]


def create_org(op: Op, tx: Tx, name: str, ids: Ids, limits: CallLimits = DEFAULT_ORG_LIMITS) -> Org:
    """A new organization with its project "default"; an unstated limit becomes the default one.

    Raises Problem INVALID_VALUE for a name or limit, ALREADY_EXISTS for a taken name.
    """
    org = Org(
        id=ids.new("org"),
        name=checked_name(name),
        limits=explicit_limits(checked_limits(limits)),
        created_us=op.now(),
    )
    if not sql.insert_org(tx, org, op.actor):
        raise Problem(Code.ALREADY_EXISTS, "An organization of that name exists.", param="name")
    create_project(op, tx, org.id, DEFAULT_PROJECT_NAME, ids)
    return org


def create_project(op: Op, tx: Tx, org_id: str, name: str, ids: Ids) -> Project:
    """Raises Problem INVALID_VALUE, NAME_NOT_FOUND (organization) or ALREADY_EXISTS."""
    project = Project(
        id=ids.new("proj"), org_id=org_id, name=checked_name(name), created_us=op.now()
    )
    if org_by(op, tx, org_id).id != org_id:
        raise _no_org()
    if not sql.insert_project(tx, project, op.actor):
        raise Problem(
            Code.ALREADY_EXISTS,
            "The organization has a project of that name.",
            param="name",
        )
    return project


def set_data_terms(op: Op, tx: Tx, project: Project, data_terms: DataTerms) -> Project:
    """What may become of what the project's keys send, from the next call on."""
    sql.set_data_terms(tx, project.id, data_terms)
    return replace(project, data_terms=data_terms)


def orgs(op: Op, tx: Tx) -> tuple[Org, ...]:
    """Every organization, oldest first."""
    return sql.select_orgs(tx)


def projects(op: Op, tx: Tx, org_id: str | None) -> tuple[Project, ...]:
    """One organization's projects, or with ``None`` everybody's (the operator's view)."""
    return sql.select_projects(tx, org_id)


def org_by(op: Op, tx: Tx, name_or_id: str) -> Org:
    """Raises Problem NAME_NOT_FOUND."""
    org = sql.select_org(tx, name_or_id) if may_exist(name_or_id) else None
    if org is None:
        raise _no_org()
    return org


def project_by(op: Op, tx: Tx, org_id: str, name_or_id: str) -> Project:
    """Raises Problem NAME_NOT_FOUND, also for another organization's project."""
    project = sql.select_project(tx, org_id, name_or_id) if may_exist(name_or_id) else None
    if project is None:
        raise Problem(
            Code.NAME_NOT_FOUND,
            "The organization has no project of that name or id.",
            param="project",
        )
    return project


def _no_org() -> Problem:
    return Problem(
        Code.NAME_NOT_FOUND, "No organization of that name or id exists.", param="organization"
    )
