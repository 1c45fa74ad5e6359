"""Statements on cohorts and their members."""

from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from tokenbooth.core.caller import CallLimits
from tokenbooth.core.ports import Tx
from tokenbooth.launch.cohorts.values import Cohort, Member, MemberState
from tokenbooth.store.tables.launch import LAUNCH_COHORT, LAUNCH_MEMBER

_M = LAUNCH_MEMBER.c
_LAST = (
    select(_M.cohort, _M.org_id, func.max(_M.sequence).label("sequence"))
    .group_by(_M.cohort, _M.org_id)
    .subquery()
)
_MEMBERS = (
    select(LAUNCH_MEMBER)
    .join(
        _LAST,
        (_M.cohort == _LAST.c.cohort)
        & (_M.org_id == _LAST.c.org_id)
        & (_M.sequence == _LAST.c.sequence),
    )
    .order_by(_M.effective_us, _M.org_id)
)


def insert_cohort(tx: Tx, cohort: Cohort, author: str) -> bool:
    """False when the name is taken; give the transaction up."""
    limits = cohort.limits
    return _inserted(
        tx,
        insert(LAUNCH_COHORT).values(
            name=cohort.name,
            model=cohort.model,
            organizations_max=cohort.organizations_max,
            cap_nano=cohort.cap_nano,
            requests_per_minute=limits.requests_per_minute,
            tokens_per_minute=limits.tokens_per_minute,
            parallel_calls=limits.parallel_calls,
            created_us=cohort.created_us,
            created_by=author,
        ),
    )


def insert_member(tx: Tx, member: Member) -> bool:
    """False when somebody else decided at the same moment; give the transaction up."""
    return _inserted(
        tx,
        insert(LAUNCH_MEMBER).values(
            cohort=member.cohort,
            org_id=member.org_id,
            sequence=member.sequence,
            state=member.state.value,
            effective_us=member.effective_us,
            author=member.author,
        ),
    )


def cohorts(tx: Tx, model: str | None) -> tuple[Cohort, ...]:
    """All of them, or those of one model, by name."""
    statement = select(LAUNCH_COHORT).order_by(LAUNCH_COHORT.c.name)
    if model is not None:
        statement = statement.where(LAUNCH_COHORT.c.model == model)
    return tuple(_cohort(row) for row in tx.execute(statement))


def cohort(tx: Tx, name: str) -> Cohort | None:
    row = tx.execute(select(LAUNCH_COHORT).where(LAUNCH_COHORT.c.name == name)).first()
    return None if row is None else _cohort(row)


def members(tx: Tx, cohort: str) -> tuple[Member, ...]:
    """Everybody that anything was decided of, the longest settled first."""
    return tuple(_member(row) for row in tx.execute(_MEMBERS.where(_M.cohort == cohort)))


def invited_to(tx: Tx, model: str, org_id: str) -> list[CallLimits]:
    """The limits of each cohort of the model that the organization is in."""
    rows = tx.execute(
        select(LAUNCH_COHORT, LAUNCH_MEMBER.c.state)
        .join(LAUNCH_MEMBER, LAUNCH_MEMBER.c.cohort == LAUNCH_COHORT.c.name)
        .where(LAUNCH_COHORT.c.model == model, _M.org_id == org_id)
        .where(
            _M.sequence
            == select(func.max(_NEWER.c.sequence))
            .where(_NEWER.c.cohort == _M.cohort, _NEWER.c.org_id == _M.org_id)
            .scalar_subquery()
        )
    )
    return [_cohort(row).limits for row in rows if row.state == MemberState.INVITED.value]


_NEWER = LAUNCH_MEMBER.alias("newer")


def _inserted(tx: Tx, statement: Any) -> bool:
    try:
        tx.execute(statement)
    except IntegrityError:
        return False
    return True


def _cohort(row: Any) -> Cohort:
    return Cohort(
        name=row.name,
        model=row.model,
        organizations_max=row.organizations_max,
        cap_nano=row.cap_nano,
        limits=CallLimits(row.requests_per_minute, row.tokens_per_minute, row.parallel_calls),
        created_us=row.created_us,
    )


def _member(row: Any) -> Member:
    return Member(
        cohort=row.cohort,
        org_id=row.org_id,
        sequence=row.sequence,
        state=MemberState(row.state),
        effective_us=row.effective_us,
        author=row.author,
    )
