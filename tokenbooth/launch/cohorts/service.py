"""Verbs on cohorts; the only import surface of this noun."""

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.launch.cohorts import sql
from tokenbooth.launch.cohorts.rules import check_room, checked_ask, widest
from tokenbooth.launch.cohorts.values import (
    OUTSIDE,
    Cohort,
    CohortAsk,
    Member,
    MemberState,
    Place,
)

__all__ = [
    "OUTSIDE",
    "Cohort",
    "CohortAsk",
    "Member",
    "MemberState",
    "Place",
    "cohort_by",
    "cohorts",
    "create",
    "decide",
    "invited_orgs",
    "members",
    "place",
]


def create(op: Op, tx: Tx, ask: CohortAsk) -> Cohort:
    """Raises INVALID_VALUE naming the field, or ALREADY_EXISTS."""
    checked_ask(ask)
    made = Cohort(
        name=ask.name,
        model=ask.model,
        organizations_max=ask.organizations_max,
        cap_nano=ask.cap_nano,
        limits=ask.limits,
        created_us=op.now(),
    )
    if not sql.insert_cohort(tx, made, op.actor):
        raise Problem(Code.ALREADY_EXISTS, "A cohort of that name exists.", param="name")
    return made


def decide(op: Op, tx: Tx, cohort: Cohort, org_id: str, state: MemberState) -> Member:
    """Note an organization on the list, let it in, or take it out; each decision stays on record.

    Raises STATE_CONFLICT for one too many.
    """
    found = sql.members(tx, cohort.name)
    before = next((each for each in found if each.org_id == org_id), None)
    if state is MemberState.INVITED and (before is None or before.state is not state):
        check_room(cohort, sum(each.state is MemberState.INVITED for each in found))
    member = Member(
        cohort=cohort.name,
        org_id=org_id,
        sequence=1 if before is None else before.sequence + 1,
        state=state,
        effective_us=op.now(),
        author=op.actor,
    )
    if not sql.insert_member(tx, member):
        raise Problem(
            Code.STATE_CONFLICT,
            "Somebody else decided on this organization at this moment; look at it first.",
            param="organization",
        )
    return member


def cohorts(op: Op, tx: Tx, model: str | None = None) -> tuple[Cohort, ...]:
    """By name; ``None`` means of every model."""
    return sql.cohorts(tx, model)


def cohort_by(op: Op, tx: Tx, name: str) -> Cohort:
    """Raises NAME_NOT_FOUND."""
    found = sql.cohort(tx, name)
    if found is None:
        raise Problem(Code.NAME_NOT_FOUND, "No cohort of that name exists.", param="cohort")
    return found


def members(op: Op, tx: Tx, cohort: str) -> tuple[Member, ...]:
    """The newest decision on each organization, the longest settled first."""
    return sql.members(tx, cohort)


def invited_orgs(op: Op, tx: Tx, model: str) -> frozenset[str]:
    """The ids of all organizations that some cohort of the model lets in."""
    return frozenset(
        member.org_id
        for each in sql.cohorts(tx, model)
        for member in sql.members(tx, each.name)
        if member.state is MemberState.INVITED
    )


def place(op: Op, tx: Tx, model: str, org_id: str) -> Place:
    """Whether the organization is let in to the model, and the widest limits it is let in with."""
    found = sql.invited_to(tx, model, org_id)
    return Place(invited=True, limits=widest(found)) if found else OUTSIDE
