"""Verbs of the price book."""

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Ids, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices import sql
from tokenbooth.money.prices.currencies import DECIMALS, checked_currency
from tokenbooth.money.prices.rules import (
    UNBOUNDED_TOKENS,
    affordable_output_tokens,
    binds_from,
    check_lock,
    checked_tariffs,
    cost_nano,
    effective_pico,
    holds_at,
    named,
    overlapping,
    price_in,
    tariff_of,
    terms_of,
    with_tariff,
    worst_case_nano,
)
from tokenbooth.money.prices.values import (
    DEFAULT,
    DEFAULT_BOOK,
    DEFAULT_CURRENCY,
    NO_USES,
    Book,
    Lines,
    Meter,
    Price,
    PriceAsk,
    PriceLock,
    PriceQuestion,
    PriceVersion,
    Step,
    Tariff,
    Uses,
    VersionAsk,
)

__all__ = [
    "DECIMALS",
    "DEFAULT",
    "DEFAULT_BOOK",
    "DEFAULT_CURRENCY",
    "NO_USES",
    "UNBOUNDED_TOKENS",
    "Book",
    "Lines",
    "Meter",
    "Price",
    "PriceAsk",
    "PriceLock",
    "PriceQuestion",
    "PriceVersion",
    "Step",
    "Tariff",
    "Uses",
    "VersionAsk",
    "affordable_output_tokens",
    "assign_book",
    "binds_from",
    "book_by",
    "book_of",
    "books",
    "books_of",
    "checked_tariffs",
    "cost_nano",
    "create_book",
    "current",
    "effective_pico",
    "history",
    "holds_at",
    "listed",
    "lock",
    "locks",
    "named",
    "newest",
    "offered",
    "price_in",
    "publish",
    "publish_version",
    "tariff_of",
    "terms_of",
    "unlock",
    "version",
    "with_tariff",
    "worst_case_nano",
]

BOOK_NAME_CHARS_MAX = 100


def publish(op: Op, tx: Tx, ask: PriceAsk, ids: Ids) -> Price:
    """Set the standard price under private terms in the default book; other terms keep theirs.

    Raises what ``publish_version`` raises.
    """
    before = newest(op, tx, DEFAULT, ask.model)
    tariffs = with_tariff(() if before is None else before.tariffs, tariff_of(ask))
    made = publish_version(op, tx, VersionAsk(DEFAULT, ask.model, tariffs), ids)
    return price_in(made, ServiceTier.STANDARD, DataTerms.PRIVATE)


def publish_version(op: Op, tx: Tx, ask: VersionAsk, ids: Ids) -> PriceVersion:
    """Add a version that holds from now on; calls already admitted keep theirs.

    Raises Problem INVALID_VALUE for a price that cannot be booked, STATE_CONFLICT when somebody
    else published a price of the model at the same moment.
    """
    made = PriceVersion(
        id=ids.new("price"),
        model=ask.model,
        book_id=ask.book.id,
        currency=ask.book.currency,
        sequence=sql.last_sequence(tx, ask.model) + 1,
        author=op.actor,
        effective_us=op.now(),
        tariffs=checked_tariffs(ask.model, ask.tariffs),
    )
    if not sql.add_version(tx, made):
        raise Problem(
            Code.STATE_CONFLICT,
            f"Somebody else published a price of {ask.model!r} at this moment; look at it first.",
            param="model",
        )
    return made


def offered(op: Op, tx: Tx, org_id: str, model: str) -> PriceVersion:
    """The version that the organization is locked to now, or else the newest one in its book.

    Raises PRICE_UNKNOWN.
    """
    return _known(sql.offered(tx, org_id, model, op.now()), model)


def current(op: Op, tx: Tx, model: str) -> Price:
    """The newest standard price under private terms in the default book.

    Raises PRICE_UNKNOWN, PRICE_NOT_OFFERED.
    """
    found = _known(newest(op, tx, DEFAULT, model), model)
    return price_in(found, ServiceTier.STANDARD, DataTerms.PRIVATE)


def newest(op: Op, tx: Tx, book: Book, model: str) -> PriceVersion | None:
    """The version in force in this book, ``None`` where the model has none there."""
    return sql.current(tx, book.id, model)


def version(op: Op, tx: Tx, version_id: str, model: str) -> PriceVersion:
    """The version of a call that was admitted. Raises PRICE_UNKNOWN, also for another model's."""
    found = sql.version(tx, version_id)
    return _known(found if found is not None and found.model == model else None, model)


def history(op: Op, tx: Tx, model: str) -> tuple[PriceVersion, ...]:
    """Every version in every book, newest first; empty when the model was never priced."""
    return sql.history(tx, model)


def listed(op: Op, tx: Tx, book: Book) -> tuple[PriceVersion, ...]:
    """What is in force in this book, by the names of the models."""
    return sql.listed(tx, book.id)


def create_book(op: Op, tx: Tx, name: str, currency: str, ids: Ids) -> Book:
    """Raises INVALID_VALUE for a name or currency, ALREADY_EXISTS for a taken name."""
    if not 0 < len(name) <= BOOK_NAME_CHARS_MAX or not name.isprintable():
        raise Problem(
            Code.INVALID_VALUE,
            f"A price book needs a printable name of 1 to {BOOK_NAME_CHARS_MAX} characters.",
            param="name",
        )
    made = Book(ids.new("book"), name, checked_currency(currency))
    if name == DEFAULT_BOOK or not sql.add_book(tx, made, op.actor, op.now()):
        raise Problem(Code.ALREADY_EXISTS, "A price book of that name exists.", param="name")
    return made


def books(op: Op, tx: Tx) -> tuple[Book, ...]:
    """The default book first, the others by age."""
    return (DEFAULT, *sql.books(tx))


def book_by(op: Op, tx: Tx, name_or_id: str) -> Book:
    """Raises NAME_NOT_FOUND."""
    if name_or_id == DEFAULT_BOOK:
        return DEFAULT
    found = sql.book(tx, name_or_id) if name_or_id.isprintable() else None
    if found is None:
        raise Problem(Code.NAME_NOT_FOUND, "No price book of that name or id exists.", param="book")
    return found


def book_of(op: Op, tx: Tx, org_id: str) -> Book:
    """From which book an organization buys; its currency is that of the balance."""
    return sql.book_of(tx, org_id) or DEFAULT


def books_of(op: Op, tx: Tx) -> dict[str, Book]:
    """By organization; those that buy from the default book are absent."""
    return sql.books_of(tx)


def assign_book(op: Op, tx: Tx, org_id: str, book: Book) -> None:
    """Let an organization buy from this book. Whether money was booked, the caller must know.

    Raises STATE_CONFLICT while a lock binds it to versions of its present book.
    """
    if book_of(op, tx, org_id) == book:
        return
    if any(binds_from(each, op.now()) for each in sql.locks(tx, org_id)):
        raise Problem(
            Code.STATE_CONFLICT,
            "The organization is locked to prices of its present book; unlock them first.",
            param="book",
        )
    sql.assign(tx, org_id, book.id, op.actor, op.now())


def lock(op: Op, tx: Tx, ask: PriceLock) -> PriceLock:
    """Bind an organization to a version of a model's price; ``ask.sequence`` is given here.

    Raises PRICE_UNKNOWN, INVALID_VALUE, or STATE_CONFLICT when the version is of another book, when
    a lock on the model holds at that time already, or when somebody else locks at the same moment.
    """
    found = version(op, tx, ask.version_id, ask.model)
    check_lock(ask, found, book_of(op, tx, ask.org_id), op.now())
    others = [each for each in sql.locks(tx, ask.org_id) if each.model == ask.model]
    other = overlapping(ask, others)
    if other is not None:
        raise Problem(
            Code.STATE_CONFLICT,
            f"The organization is locked to the version {other.version_id} at that time; unlock it"
            " first.",
            param="model",
        )
    made = PriceLock(
        org_id=ask.org_id,
        model=ask.model,
        sequence=max((each.sequence for each in others), default=0) + 1,
        version_id=ask.version_id,
        from_us=ask.from_us,
        until_us=ask.until_us,
    )
    if not sql.add_lock(tx, made, op.actor, op.now()):
        raise Problem(Code.STATE_CONFLICT, "Somebody else locks this price at this moment.")
    return made


def unlock(op: Op, tx: Tx, org_id: str, model: str) -> tuple[PriceLock, ...]:
    """End every lock on the model that holds now or later; one that never held stays as a trace.

    Raises NAME_NOT_FOUND when there is none.
    """
    bound = [e for e in sql.locks(tx, org_id) if e.model == model and binds_from(e, op.now())]
    if not bound:
        raise Problem(
            Code.NAME_NOT_FOUND,
            f"No lock on the price of {model!r} holds now or later.",
            param="model",
        )
    for each in bound:
        sql.end_lock(tx, each, max(op.now(), each.from_us), op.actor)
    return tuple(bound)


def locks(op: Op, tx: Tx, org_id: str | None) -> tuple[PriceLock, ...]:
    """One organization's locks, or with ``None`` everybody's, ended ones among them."""
    return sql.locks(tx, org_id)


def _known(found: PriceVersion | None, model: str) -> PriceVersion:
    if found is None:
        raise Problem(
            Code.PRICE_UNKNOWN, f"The model {model!r} has no published price.", param="model"
        )
    return found
