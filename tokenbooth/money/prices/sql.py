"""Statements of the price book; books, versions and lines are only ever inserted."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_update
from sqlalchemy.exc import IntegrityError

from tokenbooth.core.ports import Tx
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices.rules import ordered
from tokenbooth.money.prices.values import (
    DEFAULT_BOOK,
    REQUIRED_METERS,
    Book,
    Meter,
    PriceLock,
    PriceVersion,
    Step,
    Tariff,
)
from tokenbooth.store.tables.prices import (
    ORG_BOOK,
    PRICE_BOOK,
    PRICE_LINE,
    PRICE_LOCK,
    PRICE_VERSION,
)

_V, _L, _K = PRICE_VERSION.c, PRICE_LINE.c, PRICE_LOCK.c
_MODEL = _V.model == bindparam("name")
_NEWEST_FIRST = (_V.model, _V.sequence.desc(), _L.context_min_tokens)
_JOINED = select(
    PRICE_VERSION,
    _L.tier,
    _L.data_terms,
    _L.context_min_tokens,
    _L.meter,
    _L.unit_pico,
).join_from(PRICE_VERSION, PRICE_LINE)
_LAST = select(func.max(_V.sequence)).where(_MODEL)
_OWN_BOOK = func.coalesce(
    select(ORG_BOOK.c.book_id).where(ORG_BOOK.c.org_id == bindparam("org")).scalar_subquery(),
    DEFAULT_BOOK,
)
_LOCK_HOLDS = (
    _K.org_id == bindparam("org"),
    _K.model == bindparam("name"),
    _K.from_us <= bindparam("now_us"),
    or_(_K.until_us.is_(None), _K.until_us > bindparam("now_us")),
)


def _newest_id(book: Any) -> Any:
    return (
        select(_V.id)
        .where(_MODEL, _V.book_id == book)
        .order_by(_V.sequence.desc())
        .limit(1)
        .scalar_subquery()
    )


_LOCKED_ID = (
    select(_K.version_id)
    .where(*_LOCK_HOLDS)
    .order_by(_K.sequence.desc())
    .limit(1)
    .scalar_subquery()
)
_CURRENT = _JOINED.where(_V.id == _newest_id(bindparam("book"))).order_by(*_NEWEST_FIRST)
_OFFERED = _JOINED.where(_V.id == func.coalesce(_LOCKED_ID, _newest_id(_OWN_BOOK))).order_by(
    *_NEWEST_FIRST
)
_VERSION = _JOINED.where(_V.id == bindparam("version")).order_by(*_NEWEST_FIRST)
_HISTORY = _JOINED.where(_MODEL).order_by(*_NEWEST_FIRST)
_IN_BOOK = (
    select(_V.model, func.max(_V.sequence).label("sequence"))
    .where(_V.book_id == bindparam("book"))
    .group_by(_V.model)
    .subquery()
)
_LISTED = _JOINED.join(
    _IN_BOOK, (_V.model == _IN_BOOK.c.model) & (_V.sequence == _IN_BOOK.c.sequence)
).order_by(*_NEWEST_FIRST)
_INSERT_VERSION = insert(PRICE_VERSION)
_INSERT_LINE = insert(PRICE_LINE)
_BOOKS = select(PRICE_BOOK).order_by(PRICE_BOOK.c.id)
_BOOK = _BOOKS.where(
    or_(PRICE_BOOK.c.id == bindparam("name"), PRICE_BOOK.c.name == bindparam("name"))
)
_BOOK_OF = select(PRICE_BOOK).join(ORG_BOOK).where(ORG_BOOK.c.org_id == bindparam("org"))
_BOOKS_OF = select(ORG_BOOK.c.org_id, PRICE_BOOK).join_from(ORG_BOOK, PRICE_BOOK)
_ASSIGN = insert_or_update(ORG_BOOK)
_ASSIGN = _ASSIGN.on_conflict_do_update(
    index_elements=["org_id"],
    set_={
        "book_id": _ASSIGN.excluded.book_id,
        "set_us": _ASSIGN.excluded.set_us,
        "set_by": _ASSIGN.excluded.set_by,
    },
)
_UNASSIGN = delete(ORG_BOOK).where(ORG_BOOK.c.org_id == bindparam("org"))
_LOCKS = select(PRICE_LOCK).order_by(_K.org_id, _K.model, _K.sequence)
_END_LOCK = (
    update(PRICE_LOCK)
    .where(
        _K.org_id == bindparam("org"),
        _K.model == bindparam("name"),
        _K.sequence == bindparam("number"),
    )
    .values(until_us=bindparam("end_us"), ended_by=bindparam("actor"))
)


def last_sequence(tx: Tx, model: str) -> int:
    """0 when the model has no price yet."""
    return tx.execute(_LAST, {"name": model}).scalar() or 0


def add_version(tx: Tx, version: PriceVersion) -> bool:
    """False when another version took the same number; the transaction must then be given up."""
    head = {
        "id": version.id,
        "model": version.model,
        "sequence": version.sequence,
        "author": version.author,
        "effective_us": version.effective_us,
        "book_id": version.book_id,
        "currency": version.currency,
    }
    if not _inserted(tx, _INSERT_VERSION, head):
        return False
    tx.execute(
        _INSERT_LINE,
        [
            {
                "version_id": version.id,
                "tier": tariff.tier.value,
                "data_terms": tariff.data_terms.value,
                "context_min_tokens": step.context_min_tokens,
                "meter": meter.value,
                "unit_pico": unit_pico,
            }
            for tariff in version.tariffs
            for step in tariff.steps
            for meter, unit_pico in step.lines.items()
        ],
    )
    return True


def current(tx: Tx, book_id: str, model: str) -> PriceVersion | None:
    return _one(tx, _CURRENT, {"book": book_id, "name": model})


def offered(tx: Tx, org_id: str, model: str, now_us: int) -> PriceVersion | None:
    """The version that the organization is locked to, or the newest one in its book."""
    return _one(tx, _OFFERED, {"org": org_id, "name": model, "now_us": now_us})


def version(tx: Tx, version_id: str) -> PriceVersion | None:
    return _one(tx, _VERSION, {"version": version_id})


def history(tx: Tx, model: str) -> tuple[PriceVersion, ...]:
    return _versions(tx, _HISTORY, {"name": model})


def listed(tx: Tx, book_id: str) -> tuple[PriceVersion, ...]:
    """The newest version of each model in the book."""
    return _versions(tx, _LISTED, {"book": book_id})


def add_book(tx: Tx, book: Book, author: str, now_us: int) -> bool:
    """False when the name is taken; the transaction must then be given up."""
    row = {"id": book.id, "name": book.name, "currency": book.currency}
    return _inserted(tx, insert(PRICE_BOOK), {**row, "created_us": now_us, "created_by": author})


def books(tx: Tx) -> tuple[Book, ...]:
    return tuple(_book(row) for row in tx.execute(_BOOKS))


def book(tx: Tx, name_or_id: str) -> Book | None:
    row = tx.execute(_BOOK, {"name": name_or_id}).first()
    return None if row is None else _book(row)


def book_of(tx: Tx, org_id: str) -> Book | None:
    row = tx.execute(_BOOK_OF, {"org": org_id}).first()
    return None if row is None else _book(row)


def books_of(tx: Tx) -> dict[str, Book]:
    """By organization; those of the default book are absent."""
    return {row.org_id: _book(row) for row in tx.execute(_BOOKS_OF)}


def assign(tx: Tx, org_id: str, book_id: str, author: str, now_us: int) -> None:
    if book_id == DEFAULT_BOOK:
        tx.execute(_UNASSIGN, {"org": org_id})
        return
    row = {"org_id": org_id, "book_id": book_id, "set_us": now_us, "set_by": author}
    tx.execute(_ASSIGN, row)


def add_lock(tx: Tx, lock: PriceLock, author: str, now_us: int) -> bool:
    """False when another lock took the same number; the transaction must then be given up."""
    row = {
        "org_id": lock.org_id,
        "model": lock.model,
        "sequence": lock.sequence,
        "version_id": lock.version_id,
        "from_us": lock.from_us,
        "until_us": lock.until_us,
    }
    return _inserted(tx, insert(PRICE_LOCK), {**row, "created_us": now_us, "created_by": author})


def locks(tx: Tx, org_id: str | None) -> tuple[PriceLock, ...]:
    statement = _LOCKS if org_id is None else _LOCKS.where(_K.org_id == org_id)
    return tuple(
        PriceLock(
            org_id=row.org_id,
            model=row.model,
            sequence=row.sequence,
            version_id=row.version_id,
            from_us=row.from_us,
            until_us=row.until_us,
        )
        for row in tx.execute(statement)
    )


def end_lock(tx: Tx, lock: PriceLock, end_us: int, author: str) -> None:
    values = {"org": lock.org_id, "name": lock.model, "number": lock.sequence}
    tx.execute(_END_LOCK, {**values, "end_us": end_us, "actor": author})


def _inserted(tx: Tx, statement: Any, values: Mapping[str, Any]) -> bool:
    try:
        tx.execute(statement, values)
    except IntegrityError:
        return False
    return True


def _book(row: Any) -> Book:
    return Book(row.id, row.name, row.currency)


def _one(tx: Tx, statement: Any, values: Mapping[str, Any]) -> PriceVersion | None:
    found = _versions(tx, statement, values)
    return found[0] if found else None


def _versions(tx: Tx, statement: Any, values: Mapping[str, Any]) -> tuple[PriceVersion, ...]:
    heads: dict[str, Any] = {}
    lines: dict[str, dict[tuple[str, str], dict[int, dict[Meter, int]]]] = {}
    for row in tx.execute(statement, values):
        heads.setdefault(row.id, row)
        steps = lines.setdefault(row.id, {}).setdefault((row.tier, row.data_terms), {})
        steps.setdefault(row.context_min_tokens, {})[Meter(row.meter)] = row.unit_pico
    return tuple(
        PriceVersion(
            id=row.id,
            model=row.model,
            book_id=row.book_id,
            currency=row.currency,
            sequence=row.sequence,
            author=row.author,
            effective_us=row.effective_us,
            tariffs=ordered(_tariff(*terms, steps) for terms, steps in lines[row.id].items()),
        )
        for row in heads.values()
        if all(_is_whole(steps) for steps in lines[row.id].values())
    )


def _tariff(tier: str, data_terms: str, steps: Mapping[int, Mapping[Meter, int]]) -> Tariff:
    made = tuple(Step(least, lines) for least, lines in steps.items())
    return Tariff(ServiceTier(tier), DataTerms(data_terms), made)


def _is_whole(steps: Mapping[int, Mapping[Meter, int]]) -> bool:
    """A version that lost a line is no price at all."""
    return 0 in steps and all(lines.keys() >= REQUIRED_METERS for lines in steps.values())
