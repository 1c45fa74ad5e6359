"""Cohorts: who is let in, how many, within which limits; every decision stays."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tokenbooth.core.caller import CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.launch.cohorts import service as cohorts
from tokenbooth.launch.cohorts import sql
from tokenbooth.launch.cohorts.rules import checked_ask, widest
from tokenbooth.launch.cohorts.service import CohortAsk, MemberState

INVITED, WAITING, REMOVED = MemberState.INVITED, MemberState.WAITING, MemberState.REMOVED


def test_an_organization_waits_is_invited_and_taken_out(op: Op, tx: Tx) -> None:
    limits = CallLimits(60, 1000, 2)
    made = cohorts.create(op, tx, CohortAsk(name="partners", model="m", limits=limits))
    for state in (WAITING, INVITED):
        cohorts.decide(op, tx, made, "org_1", state)
    assert cohorts.place(op, tx, "m", "org_1") == cohorts.Place(invited=True, limits=limits)
    assert cohorts.place(op, tx, "m", "org_2") is cohorts.OUTSIDE
    assert cohorts.place(op, tx, "n", "org_1") is cohorts.OUTSIDE
    assert cohorts.invited_orgs(op, tx, "m") == {"org_1"}
    cohorts.decide(op, tx, made, "org_1", REMOVED)
    assert cohorts.place(op, tx, "m", "org_1") is cohorts.OUTSIDE
    (member,) = cohorts.members(op, tx, "partners")
    assert (member.state, member.sequence, member.author) == (REMOVED, 3, "operator")
    with pytest.raises(IntegrityError):
        tx.execute(text("DELETE FROM launch_member"))


def test_a_full_cohort_takes_nobody_new(op: Op, tx: Tx) -> None:
    made = cohorts.create(op, tx, CohortAsk(name="two", model="m", organizations_max=2))
    for org in ("a", "b", "b"):
        cohorts.decide(op, tx, made, org, INVITED)
    cohorts.decide(op, tx, made, "c", WAITING)
    with pytest.raises(Problem) as caught:
        cohorts.decide(op, tx, made, "c", INVITED)
    assert caught.value.code is Code.STATE_CONFLICT
    cohorts.decide(op, tx, made, "a", REMOVED)
    assert cohorts.decide(op, tx, made, "c", INVITED).sequence == 2


def test_cohorts_are_found_by_name_and_model(op: Op, tx: Tx) -> None:
    first = cohorts.create(op, tx, CohortAsk(name="b", model="m", cap_nano=5))
    other = cohorts.create(op, tx, CohortAsk(name="a", model="n"))
    assert cohorts.cohorts(op, tx) == (other, first)
    assert cohorts.cohorts(op, tx, "m") == (first,)
    assert cohorts.cohort_by(op, tx, "b") == first
    with pytest.raises(Problem) as caught:
        cohorts.cohort_by(op, tx, "c")
    assert caught.value.code is Code.NAME_NOT_FOUND
    with pytest.raises(Problem) as caught:
        cohorts.create(op, tx, CohortAsk(name="b", model="n"))
    assert caught.value.code is Code.ALREADY_EXISTS


def test_two_decisions_at_once_do_not_become_one(
    op: Op, tx: Tx, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cohorts.create(op, tx, CohortAsk(name="c", model="m"))
    cohorts.decide(op, tx, made, "a", INVITED)
    monkeypatch.setattr(sql, "members", lambda tx, cohort: ())
    with pytest.raises(Problem) as caught:
        cohorts.decide(op, tx, made, "a", REMOVED)
    assert caught.value.code is Code.STATE_CONFLICT


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": "a b"}, "name"),
        ({"organizations_max": 0}, "max"),
        ({"cap_nano": -1}, "cap"),
        ({"limits": CallLimits(requests_per_minute=0)}, "rpm"),
        ({"limits": CallLimits(tokens_per_minute=10**13)}, "tpm"),
        ({"limits": CallLimits(parallel_calls=0)}, "parallel"),
    ],
)
def test_a_cohort_that_cannot_be_is_refused(fields: dict[str, object], param: str) -> None:
    with pytest.raises(Problem) as caught:
        checked_ask(CohortAsk(**{"name": "c", "model": "m", **fields}))  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, param)


def test_of_several_cohorts_the_widest_limit_counts() -> None:
    found = widest([CallLimits(5, None, 1), CallLimits(7, 9, None)])
    assert found == CallLimits(7, None, None)
    assert widest([CallLimits(5, 6, 7)]) == CallLimits(5, 6, 7)
