import pytest
from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import IntegrityError

from tests.support.ops import CountingIds, ManualClock
from tokenbooth.access.orgs import service as orgs
from tokenbooth.access.orgs.rules import explicit_limits
from tokenbooth.access.orgs.service import DEFAULT_ORG_LIMITS, DEFAULT_PROJECT_NAME
from tokenbooth.core.caller import CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms
from tokenbooth.store.tables import access


def problem_of(caught: pytest.ExceptionInfo[Problem]) -> tuple[Code, str | None]:
    return caught.value.code, caught.value.param


@pytest.mark.parametrize(
    ("asked", "explicit"),
    [
        (CallLimits(), DEFAULT_ORG_LIMITS),
        (CallLimits(5, 6, 7), CallLimits(5, 6, 7)),
        (CallLimits(requests_per_minute=5), CallLimits(5, 4_000_000, 256)),
        (CallLimits(tokens_per_minute=6), CallLimits(3000, 6, 256)),
        (CallLimits(parallel_calls=7), CallLimits(3000, 4_000_000, 7)),
    ],
)
def test_unstated_limits_become_the_default_ones(asked: CallLimits, explicit: CallLimits) -> None:
    assert explicit_limits(asked) == explicit


def test_a_new_organization_can_be_read_back(
    op: Op, tx: Connection, ids: CountingIds, clock: ManualClock
) -> None:
    made = orgs.create_org(op, tx, "Acme", ids)
    assert made.name == "Acme"
    assert made.limits == DEFAULT_ORG_LIMITS
    assert made.created_us == clock.us
    assert orgs.orgs(op, tx) == (made,)
    assert orgs.org_by(op, tx, "Acme") == made
    assert orgs.org_by(op, tx, made.id) == made


def test_a_new_organization_has_a_default_project(op: Op, tx: Connection, ids: CountingIds) -> None:
    org = orgs.create_org(op, tx, "Acme", ids)
    (project,) = orgs.projects(op, tx, org.id)
    assert project.name == DEFAULT_PROJECT_NAME
    assert project.org_id == org.id
    assert orgs.project_by(op, tx, org.id, "default") == project


def test_own_limits_are_kept(op: Op, tx: Connection, ids: CountingIds) -> None:
    orgs.create_org(op, tx, "Acme", ids, CallLimits(1, 2, 3))
    assert orgs.org_by(op, tx, "Acme").limits == CallLimits(1, 2, 3)


def test_the_author_is_kept(op: Op, tx: Connection, ids: CountingIds) -> None:
    org = orgs.create_org(op, tx, "Acme", ids)
    row = tx.execute(select(access.ORGANIZATION)).one()
    assert (row.id, row.created_by) == (org.id, "operator")


def test_a_taken_name_is_refused_and_nothing_else_is_lost(
    op: Op, tx: Connection, ids: CountingIds
) -> None:
    orgs.create_org(op, tx, "Acme", ids)
    with pytest.raises(Problem) as caught, tx.begin_nested():
        orgs.create_org(op, tx, "Acme", ids)
    assert problem_of(caught) == (Code.ALREADY_EXISTS, "name")
    assert len(orgs.orgs(op, tx)) == 1


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "x" * 129, "\ud800"])
def test_an_impossible_name_is_refused_before_anything_is_written(
    op: Op, tx: Connection, ids: CountingIds, name: str
) -> None:
    with pytest.raises(Problem) as caught:
        orgs.create_org(op, tx, name, ids)
    assert problem_of(caught) == (Code.INVALID_VALUE, "name")
    assert orgs.orgs(op, tx) == ()


def test_an_impossible_limit_is_refused(op: Op, tx: Connection, ids: CountingIds) -> None:
    with pytest.raises(Problem) as caught:
        orgs.create_org(op, tx, "Acme", ids, CallLimits(requests_per_minute=0))
    assert problem_of(caught) == (Code.INVALID_VALUE, "requests_per_minute")


def test_organizations_come_oldest_first(op: Op, tx: Connection, ids: CountingIds) -> None:
    made = [orgs.create_org(op, tx, name, ids) for name in ("zeta", "alpha", "mid")]
    assert list(orgs.orgs(op, tx)) == made


@pytest.mark.parametrize("name", ["", "nobody", "a\0b", "\ud800", "x" * 5000, "' OR 1=1 --"])
def test_an_unknown_organization_is_not_found(op: Op, tx: Connection, name: str) -> None:
    with pytest.raises(Problem) as caught:
        orgs.org_by(op, tx, name)
    assert problem_of(caught) == (Code.NAME_NOT_FOUND, "organization")


def test_a_name_that_is_another_id_never_hides_its_owner(
    op: Op, tx: Connection, ids: CountingIds
) -> None:
    first = orgs.create_org(op, tx, "first", ids)
    impostor = orgs.create_org(op, tx, first.id, ids)
    assert orgs.org_by(op, tx, first.id) == first
    assert orgs.org_by(op, tx, impostor.id) == impostor


def test_projects_belong_to_their_organization(op: Op, tx: Connection, ids: CountingIds) -> None:
    first, second = (orgs.create_org(op, tx, name, ids) for name in ("first", "second"))
    mine = orgs.create_project(op, tx, first.id, "web", ids)
    theirs = orgs.create_project(op, tx, second.id, "web", ids)
    assert orgs.project_by(op, tx, first.id, "web") == mine
    assert orgs.project_by(op, tx, second.id, "web") == theirs
    assert [p.name for p in orgs.projects(op, tx, first.id)] == ["default", "web"]
    assert len(orgs.projects(op, tx, None)) == 4


def test_a_project_is_private_until_it_says_otherwise(
    op: Op, tx: Connection, ids: CountingIds
) -> None:
    org = orgs.create_org(op, tx, "first", ids)
    web = orgs.create_project(op, tx, org.id, "web", ids)
    assert web.data_terms is DataTerms.PRIVATE
    changed = orgs.set_data_terms(op, tx, web, DataTerms.CONTRIBUTOR)
    assert changed == orgs.project_by(op, tx, org.id, "web")
    assert changed.data_terms is DataTerms.CONTRIBUTOR
    terms = [project.data_terms for project in orgs.projects(op, tx, org.id)]
    assert terms == [DataTerms.PRIVATE, DataTerms.CONTRIBUTOR]


def test_another_tenants_project_is_not_found_by_its_id(
    op: Op, tx: Connection, ids: CountingIds
) -> None:
    first, second = (orgs.create_org(op, tx, name, ids) for name in ("first", "second"))
    theirs = orgs.create_project(op, tx, second.id, "secret", ids)
    for name_or_id in (theirs.id, "secret"):
        with pytest.raises(Problem) as caught:
            orgs.project_by(op, tx, first.id, name_or_id)
        assert problem_of(caught) == (Code.NAME_NOT_FOUND, "project")


def test_a_project_named_like_anothers_id_never_hides_it(
    op: Op, tx: Connection, ids: CountingIds
) -> None:
    org = orgs.create_org(op, tx, "Acme", ids)
    first = orgs.create_project(op, tx, org.id, "first", ids)
    orgs.create_project(op, tx, org.id, first.id, ids)
    assert orgs.project_by(op, tx, org.id, first.id) == first


def test_a_taken_project_name_is_refused(op: Op, tx: Connection, ids: CountingIds) -> None:
    org = orgs.create_org(op, tx, "Acme", ids)
    with pytest.raises(Problem) as caught, tx.begin_nested():
        orgs.create_project(op, tx, org.id, DEFAULT_PROJECT_NAME, ids)
    assert problem_of(caught) == (Code.ALREADY_EXISTS, "name")


@pytest.mark.parametrize("org_id", ["org_nobody", "Acme", "\0"])
def test_a_project_needs_an_organization_by_its_id(
    op: Op, tx: Connection, ids: CountingIds, org_id: str
) -> None:
    orgs.create_org(op, tx, "Acme", ids)
    with pytest.raises(Problem) as caught:
        orgs.create_project(op, tx, org_id, "web", ids)
    assert problem_of(caught) == (Code.NAME_NOT_FOUND, "organization")


@pytest.mark.parametrize("name", ["", "a\tb"])
def test_an_impossible_project_name_is_refused(
    op: Op, tx: Connection, ids: CountingIds, name: str
) -> None:
    org = orgs.create_org(op, tx, "Acme", ids)
    with pytest.raises(Problem) as caught:
        orgs.create_project(op, tx, org.id, name, ids)
    assert problem_of(caught) == (Code.INVALID_VALUE, "name")


@pytest.mark.parametrize("name_or_id", ["", "nothing", "\0", "\ud800"])
def test_an_unknown_project_is_not_found(
    op: Op, tx: Connection, ids: CountingIds, name_or_id: str
) -> None:
    org = orgs.create_org(op, tx, "Acme", ids)
    with pytest.raises(Problem) as caught:
        orgs.project_by(op, tx, org.id, name_or_id)
    assert problem_of(caught) == (Code.NAME_NOT_FOUND, "project")


def test_the_database_itself_refuses_an_organization_without_limits(
    op: Op, tx: Connection, ids: CountingIds
) -> None:
    orgs.create_org(op, tx, "Acme", ids)
    with pytest.raises(IntegrityError), tx.begin_nested():
        tx.execute(update(access.ORGANIZATION).values(parallel_calls=0))
    assert tx.execute(select(func.min(access.ORGANIZATION.c.parallel_calls))).scalar_one() == 256
