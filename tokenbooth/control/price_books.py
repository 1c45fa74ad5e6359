"""Price books as the operator handles them: whole files, and who is locked to what."""

from dataclasses import dataclass

from tokenbooth.access.orgs import service as orgs
from tokenbooth.control.price_sheet import PriceSheet
from tokenbooth.control.prices import Change, change_of
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import PriceLock, PriceVersion, VersionAsk


@dataclass(frozen=True, slots=True)
class LockAsk:
    """``org`` is a name or an id; ``version`` of ``None`` locks what the organization pays now.

    ``from_us`` of ``None`` is now, ``until_us`` of ``None`` without end.
    """

    org: str
    model: str
    version: str | None = None
    from_us: int | None = None
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class LockLine:
    """A lock with the name of its organization, and whether it holds at this moment."""

    lock: PriceLock
    org_name: str
    holds: bool


def changes_of(op: Op, tx: Tx, sheet: PriceSheet) -> tuple[Change, ...]:
    """What publishing a whole file would change; models that are not in it keep their prices.

    Raises NAME_NOT_FOUND for the book, MODEL_NOT_FOUND, INVALID_VALUE for a price that cannot be
    booked, STATE_CONFLICT where the file is in another currency than the book.
    """
    book = prices.book_by(op, tx, sheet.book)
    if sheet.currency != book.currency:
        raise Problem(
            Code.STATE_CONFLICT,
            f"The file is in {sheet.currency}, the price book {book.name!r} in {book.currency}.",
            param="currency",
        )
    asks = [VersionAsk(book, each.model, each.tariffs) for each in sheet.models]
    return tuple(change_of(op, tx, ask) for ask in asks)


def versions_in(op: Op, tx: Tx, book: str) -> tuple[PriceVersion, ...]:
    """What is in force in a book, by name or id. Raises NAME_NOT_FOUND."""
    return prices.listed(op, tx, prices.book_by(op, tx, book))


def lock_price(op: Op, tx: Tx, ask: LockAsk) -> LockLine:
    """Raises NAME_NOT_FOUND, PRICE_UNKNOWN, INVALID_VALUE or STATE_CONFLICT."""
    org = orgs.org_by(op, tx, ask.org)
    version_id = ask.version or prices.offered(op, tx, org.id, ask.model).id
    from_us = op.now() if ask.from_us is None else ask.from_us
    wanted = PriceLock(
        org_id=org.id,
        model=ask.model,
        sequence=0,
        version_id=version_id,
        from_us=from_us,
        until_us=ask.until_us,
    )
    made = prices.lock(op, tx, wanted)
    return LockLine(made, org.name, prices.holds_at(made, op.now()))


def unlock_price(op: Op, tx: Tx, org: str, model: str) -> tuple[PriceLock, ...]:
    """End every lock that holds now or later. Raises NAME_NOT_FOUND."""
    return prices.unlock(op, tx, orgs.org_by(op, tx, org).id, model)


def lock_lines(op: Op, tx: Tx, org: str | None) -> tuple[LockLine, ...]:
    """Locks that hold now or later, of one organization or of all. Raises NAME_NOT_FOUND."""
    names = {each.id: each.name for each in orgs.orgs(op, tx)}
    owner_id = None if org is None else orgs.org_by(op, tx, org).id
    return tuple(
        LockLine(each, names[each.org_id], prices.holds_at(each, op.now()))
        for each in prices.locks(op, tx, owner_id)
        if prices.binds_from(each, op.now())
    )
