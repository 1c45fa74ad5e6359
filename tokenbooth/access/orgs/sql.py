"""Statements on organizations and projects."""

from typing import Any

from sqlalchemy import insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from tokenbooth.access.orgs.values import Org, Project
from tokenbooth.core.caller import CallLimits
from tokenbooth.core.ports import Tx
from tokenbooth.core.terms import DataTerms
from tokenbooth.store.tables.access import ORGANIZATION, PROJECT


def insert_org(tx: Tx, org: Org, author: str) -> bool:
    """False when the name is taken; the transaction must then be given up."""
    limits = org.limits
    return _inserted(
        tx,
        insert(ORGANIZATION).values(
            id=org.id,
            name=org.name,
            requests_per_minute=limits.requests_per_minute,
            tokens_per_minute=limits.tokens_per_minute,
            parallel_calls=limits.parallel_calls,
            created_us=org.created_us,
            created_by=author,
        ),
    )


def insert_project(tx: Tx, project: Project, author: str) -> bool:
    """False when the organization has a project of that name; then give the transaction up."""
    return _inserted(
        tx,
        insert(PROJECT).values(
            id=project.id,
            org_id=project.org_id,
            name=project.name,
            created_us=project.created_us,
            created_by=author,
            data_terms=project.data_terms.value,
        ),
    )


def set_data_terms(tx: Tx, project_id: str, data_terms: DataTerms) -> None:
    tx.execute(
        update(PROJECT).where(PROJECT.c.id == project_id).values(data_terms=data_terms.value)
    )


def select_orgs(tx: Tx) -> tuple[Org, ...]:
    rows = tx.execute(select(ORGANIZATION).order_by(ORGANIZATION.c.id))
    return tuple(_org(row) for row in rows)


def select_org(tx: Tx, name_or_id: str) -> Org | None:
    """By id first: a name that looks like a foreign id never hides that organization."""
    columns = ORGANIZATION.c
    rows = tx.execute(
        select(ORGANIZATION).where(or_(columns.id == name_or_id, columns.name == name_or_id))
    )
    found = sorted((_org(row) for row in rows), key=lambda org: org.id != name_or_id)
    return found[0] if found else None


def select_projects(tx: Tx, org_id: str | None) -> tuple[Project, ...]:
    statement = select(PROJECT).order_by(PROJECT.c.org_id, PROJECT.c.id)
    if org_id is not None:
        statement = statement.where(PROJECT.c.org_id == org_id)
    return tuple(_project(row) for row in tx.execute(statement))


def select_project(tx: Tx, org_id: str, name_or_id: str) -> Project | None:
    columns = PROJECT.c
    rows = tx.execute(
        select(PROJECT).where(
            columns.org_id == org_id,
            or_(columns.id == name_or_id, columns.name == name_or_id),
        )
    )
    found = sorted((_project(row) for row in rows), key=lambda project: project.id != name_or_id)
    return found[0] if found else None


def _inserted(tx: Tx, statement: Any) -> bool:
    try:
        tx.execute(statement)
    except IntegrityError:
        return False
    return True


def _org(row: Any) -> Org:
    return Org(
        id=row.id,
        name=row.name,
        limits=CallLimits(row.requests_per_minute, row.tokens_per_minute, row.parallel_calls),
        created_us=row.created_us,
    )


def _project(row: Any) -> Project:
    return Project(
        id=row.id,
        org_id=row.org_id,
        name=row.name,
        created_us=row.created_us,
        data_terms=DataTerms(row.data_terms),
    )
