"""Organizations and projects together with their money limits."""

from collections.abc import Mapping
from dataclasses import dataclass

from tokenbooth.access.orgs import service as orgs
from tokenbooth.access.orgs.service import Org, Project
from tokenbooth.content.replays import service as replays
from tokenbooth.core.caller import CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Ids, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState, Period
from tokenbooth.core.terms import DataTerms
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import DEFAULT_BOOK, Book


@dataclass(frozen=True, slots=True)
class OrganizationAsk:
    """``cap_nano`` is a hard cap on all spending, or on that of each ``cap_period``; ``None``
    leaves the balance as the only one.

    ``limits`` of ``None`` takes the product's defaults. ``book`` is the name or id of the price
    book that it buys from; its currency is that of the balance and of every cap.
    """

    name: str
    limits: CallLimits | None = None
    cap_nano: int | None = None
    book: str = DEFAULT_BOOK
    cap_period: Period = Period.NONE


@dataclass(frozen=True, slots=True)
class AccountLine:
    """An organization with its two limits, balance first, and the book that it buys from."""

    org: Org
    limits: tuple[LimitState, ...]
    book: Book


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """A project with its own limit; ``answers_kept`` for calls with an idempotency key."""

    project: Project
    limits: tuple[LimitState, ...]
    currency: str
    answers_kept: bool


def create_organization(op: Op, tx: Tx, ask: OrganizationAsk, ids: Ids) -> Org:
    """Open an organization with an empty balance, its cap and a project named ``default``.

    Raises ALREADY_EXISTS for a taken name, NAME_NOT_FOUND for an unknown book.
    """
    book = prices.book_by(op, tx, ask.book)
    if ask.limits is None:
        org = orgs.create_org(op, tx, ask.name, ids)
    else:
        org = orgs.create_org(op, tx, ask.name, ids, ask.limits)
    ledger.open_limit(op, tx, LimitScope.BALANCE, org.id, 0)
    ledger.open_limit(op, tx, LimitScope.ORGANIZATION, org.id, ask.cap_nano, ask.cap_period)
    for project in orgs.projects(op, tx, org.id):
        ledger.open_limit(op, tx, LimitScope.PROJECT, project.id, None)
    prices.assign_book(op, tx, org.id, book)
    return org


def create_project(
    op: Op, tx: Tx, org: str, name: str, *, cap_nano: int | None, ids: Ids
) -> Project:
    """``org`` is a name or an id. Raises NAME_NOT_FOUND, ALREADY_EXISTS."""
    owner = orgs.org_by(op, tx, org)
    project = orgs.create_project(op, tx, owner.id, name, ids)
    ledger.open_limit(op, tx, LimitScope.PROJECT, project.id, cap_nano)
    return project


def project_line(op: Op, tx: Tx, org: str, project: str) -> ProjectLine:
    """Names or ids. Raises NAME_NOT_FOUND."""
    owner = orgs.project_by(op, tx, orgs.org_by(op, tx, org).id, project)
    return _project_line(op, tx, owner, prices.books_of(op, tx))


def set_data_terms(op: Op, tx: Tx, org: str, project: str, data_terms: DataTerms) -> ProjectLine:
    """Names or ids. Calls from now on are priced under these terms. Raises NAME_NOT_FOUND."""
    owner = orgs.project_by(op, tx, orgs.org_by(op, tx, org).id, project)
    changed = orgs.set_data_terms(op, tx, owner, data_terms)
    return _project_line(op, tx, changed, prices.books_of(op, tx))


def keep_answers(op: Op, tx: Tx, org: str, project: str, *, kept: bool) -> ProjectLine:
    """Names or ids. Whether answers are kept to be given again. Raises NAME_NOT_FOUND.

    Without it only the outcome is kept, and what is stored already is deleted soon.
    """
    owner = orgs.project_by(op, tx, orgs.org_by(op, tx, org).id, project)
    replays.keep_answers(op, tx, owner.id, kept=kept)
    return _project_line(op, tx, owner, prices.books_of(op, tx))


def set_book(op: Op, tx: Tx, org: str, book: str) -> AccountLine:
    """Let an organization buy from another price book, before any money was booked for it.

    Raises NAME_NOT_FOUND, or STATE_CONFLICT once money was booked or while a price is locked.
    """
    owner, wanted = orgs.org_by(op, tx, org), prices.book_by(op, tx, book)
    if ledger.is_booked(op, tx, owner.id):
        raise Problem(
            Code.STATE_CONFLICT,
            f"Money was booked for {owner.name!r}; its price book and currency stay.",
            param="book",
        )
    prices.assign_book(op, tx, owner.id, wanted)
    return AccountLine(owner, _org_limits(op, tx, owner.id), wanted)


def organizations(op: Op, tx: Tx) -> tuple[AccountLine, ...]:
    books = prices.books_of(op, tx)
    return tuple(
        AccountLine(org, _org_limits(op, tx, org.id), books.get(org.id, prices.DEFAULT))
        for org in orgs.orgs(op, tx)
    )


def projects(op: Op, tx: Tx, org: str | None) -> tuple[ProjectLine, ...]:
    """All projects, or those of one organization by name or id."""
    owner_id = None if org is None else orgs.org_by(op, tx, org).id
    books = prices.books_of(op, tx)
    return tuple(
        _project_line(op, tx, project, books) for project in orgs.projects(op, tx, owner_id)
    )


def add_credit(op: Op, tx: Tx, org: str, amount_nano: int, ref: str) -> AccountLine:
    """Book prepaid credit; the same ``ref`` twice books once."""
    owner = orgs.org_by(op, tx, org)
    ledger.credit(op, tx, owner.id, amount_nano, ref)
    return _account_line(op, tx, owner)


def cap_organization(
    op: Op, tx: Tx, org: str, cap_nano: int | None, period: Period | None = None
) -> AccountLine:
    """Set or lift the hard cap; without ``period`` it renews as before.

    Refused below what is already spent and leased: see ``caps.set_cap``.
    """
    owner = orgs.org_by(op, tx, org)
    ledger.set_limit(op, tx, LimitScope.ORGANIZATION, owner.id, cap_nano, period)
    return _account_line(op, tx, owner)


def cap_project(
    op: Op, tx: Tx, org: str, project: str, cap_nano: int | None, period: Period | None = None
) -> ProjectLine:
    """Set or lift the hard cap; without ``period`` it renews as before.

    Refused below what is already spent and leased: see ``caps.set_cap``.
    """
    owner = orgs.project_by(op, tx, orgs.org_by(op, tx, org).id, project)
    ledger.set_limit(op, tx, LimitScope.PROJECT, owner.id, cap_nano, period)
    return _project_line(op, tx, owner, prices.books_of(op, tx))


def _account_line(op: Op, tx: Tx, org: Org) -> AccountLine:
    return AccountLine(org, _org_limits(op, tx, org.id), prices.book_of(op, tx, org.id))


def _project_line(op: Op, tx: Tx, project: Project, books: Mapping[str, Book]) -> ProjectLine:
    limits = ledger.limits(op, tx, ((LimitScope.PROJECT, project.id),))
    currency = books.get(project.org_id, prices.DEFAULT).currency
    return ProjectLine(project, limits, currency, replays.answers_kept(op, tx, project.id))


def _org_limits(op: Op, tx: Tx, org_id: str) -> tuple[LimitState, ...]:
    chain = ((LimitScope.BALANCE, org_id), (LimitScope.ORGANIZATION, org_id))
    return ledger.limits(op, tx, chain)
