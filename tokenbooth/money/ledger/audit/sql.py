"""Statements that add up what the ledger and the calls say, one snapshot at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, func, literal, or_, select

from tokenbooth.core.delta import Usage
from tokenbooth.core.ports import Tx
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.ledger.values import AccountKind, CallState, TxnKind
from tokenbooth.store.tables.money import (
    CALL_RECORD,
    LEASE,
    LEDGER_ACCOUNT,
    LEDGER_POSTING,
    LEDGER_TXN,
    SPEND_LIMIT,
)
from tokenbooth.store.usage_columns import USAGE_COLUMNS, usage_from

PAGE_ROWS = 1000
# The second line of a charge; by it and the transaction's id the primary key finds the row.
REVENUE_LINE = 1

_AMOUNT = func.sum(LEDGER_POSTING.c.amount_nano)
_UNBALANCED = (
    select(LEDGER_TXN.c.id, func.coalesce(_AMOUNT, 0).label("amount"), func.count().label("lines"))
    .outerjoin_from(LEDGER_TXN, LEDGER_POSTING)
    .group_by(LEDGER_TXN.c.id)
    .having(or_(func.coalesce(_AMOUNT, 0) != 0, func.count() < 2))
    .order_by(LEDGER_TXN.c.id)
)
_POSTING_SUMS = (
    select(LEDGER_TXN.c.kind, LEDGER_ACCOUNT.c.kind, LEDGER_ACCOUNT.c.org_id, _AMOUNT)
    .select_from(LEDGER_POSTING.join(LEDGER_TXN).join(LEDGER_ACCOUNT))
    .group_by(LEDGER_TXN.c.kind, LEDGER_ACCOUNT.c.kind, LEDGER_ACCOUNT.c.org_id)
)
_IS_OPEN = CALL_RECORD.c.state == CallState.OPEN.value
_CALL_SUMS = select(
    CALL_RECORD.c.chain, func.sum(CALL_RECORD.c.cost_nano).label("cost_nano")
).group_by(CALL_RECORD.c.chain)
_LEASE_SUMS = select(
    LEASE.c.limit_id,
    func.sum(LEASE.c.granted_nano).label("granted_nano"),
    func.sum(LEASE.c.held_nano).label("held_nano"),
).group_by(LEASE.c.limit_id)
_COSTS = (
    select(
        CALL_RECORD.c.txn_id, CALL_RECORD.c.org_id, func.sum(CALL_RECORD.c.cost_nano).label("cost")
    )
    .where(CALL_RECORD.c.cost_nano > 0)
    .group_by(CALL_RECORD.c.txn_id, CALL_RECORD.c.org_id)
    .subquery()
)
_REVENUE = func.coalesce(LEDGER_POSTING.c.amount_nano, 0)
_UNCHARGED = (
    select(func.coalesce(_COSTS.c.txn_id, literal("none")), _COSTS.c.cost, _REVENUE)
    .select_from(
        _COSTS.outerjoin(
            LEDGER_TXN,
            and_(LEDGER_TXN.c.id == _COSTS.c.txn_id, LEDGER_TXN.c.org_id == _COSTS.c.org_id),
        ).outerjoin(
            LEDGER_POSTING,
            and_(LEDGER_POSTING.c.txn_id == LEDGER_TXN.c.id, LEDGER_POSTING.c.line == REVENUE_LINE),
        )
    )
    .where(_COSTS.c.cost != _REVENUE)
    .order_by(_COSTS.c.txn_id)
)
_UNFOUNDED = (
    select(LEDGER_TXN.c.id, _REVENUE)
    .select_from(
        LEDGER_TXN.join(LEDGER_POSTING).outerjoin(_COSTS, _COSTS.c.txn_id == LEDGER_TXN.c.id)
    )
    .where(
        LEDGER_TXN.c.kind == TxnKind.CHARGE.value,
        LEDGER_POSTING.c.amount_nano > 0,
        _COSTS.c.txn_id.is_(None),
    )
    .order_by(LEDGER_TXN.c.id)
)
_RESOLVED = (
    select(
        CALL_RECORD.c.request_id,
        CALL_RECORD.c.model,
        CALL_RECORD.c.price_version,
        CALL_RECORD.c.tier,
        CALL_RECORD.c.data_terms,
        CALL_RECORD.c.held_nano,
        CALL_RECORD.c.state,
        CALL_RECORD.c.cost_nano,
        *(CALL_RECORD.c[name] for name in USAGE_COLUMNS),
    )
    .where(
        ~_IS_OPEN,
        CALL_RECORD.c.request_id > bindparam("after"),
        CALL_RECORD.c.created_us >= bindparam("from_us"),
    )
    .order_by(CALL_RECORD.c.request_id)
    .limit(PAGE_ROWS)
)
_LIMITS = select(SPEND_LIMIT).order_by(SPEND_LIMIT.c.id)
_OPEN_CALLS = select(func.count()).select_from(CALL_RECORD).where(_IS_OPEN)
_ACCOUNTS = select(func.count()).select_from(LEDGER_ACCOUNT)


@dataclass(frozen=True, slots=True)
class ResolvedCall:
    """What a cost is recomputed from."""

    request_id: str
    model: str
    price_version: str
    tier: ServiceTier
    data_terms: DataTerms
    held_nano: int
    posted: bool
    cost_nano: int
    usage: Usage


def unbalanced(tx: Tx) -> Iterator[tuple[str, int, int]]:
    """Transactions whose lines do not add up to zero, or that lack lines: id, sum, lines."""
    return ((row[0], int(row[1]), row[2]) for row in tx.execute(_UNBALANCED))


def posting_sums(tx: Tx) -> Iterator[tuple[TxnKind, AccountKind, str, int]]:
    """The sum of postings by kind of transaction, kind of account and organization."""
    for row in tx.execute(_POSTING_SUMS):
        yield TxnKind(row[0]), AccountKind(row[1]), row[2], int(row[3])


def call_sums(tx: Tx) -> Iterator[Any]:
    """``chain`` and the ``cost_nano`` of all calls that name it."""
    yield from tx.execute(_CALL_SUMS)


def lease_sums(tx: Tx) -> Iterator[Any]:
    """``limit_id``, ``granted_nano`` and ``held_nano`` of all replicas."""
    yield from tx.execute(_LEASE_SUMS)


def all_limits(tx: Tx) -> Iterator[Any]:
    """Every row of ``spend_limit``, in the order of ids."""
    yield from tx.execute(_LIMITS)


def charge_mismatches(tx: Tx) -> Iterator[tuple[str, int, int]]:
    """Charges that are not the sum of their calls, and such without a call: id, cost, posted."""
    for row in tx.execute(_UNCHARGED):
        yield row[0], int(row[1]), int(row[2])
    for row in tx.execute(_UNFOUNDED):
        yield row[0], 0, int(row[1])


def resolved_calls(tx: Tx, from_us: int = 0) -> Iterator[ResolvedCall]:
    """Every call since ``from_us`` that is not open, in pages, so that memory stays bounded."""
    after = ""
    while rows := tx.execute(_RESOLVED, {"after": after, "from_us": from_us}).all():
        yield from map(_resolved, rows)
        after = rows[-1].request_id


def _resolved(row: Any) -> ResolvedCall:
    return ResolvedCall(
        request_id=row.request_id,
        model=row.model,
        price_version=row.price_version,
        tier=ServiceTier(row.tier),
        data_terms=DataTerms(row.data_terms),
        held_nano=row.held_nano,
        posted=row.state == CallState.POSTED.value,
        cost_nano=row.cost_nano,
        usage=usage_from(row),
    )


def open_calls(tx: Tx) -> int:
    return int(tx.execute(_OPEN_CALLS).scalar_one())


def accounts(tx: Tx) -> int:
    return int(tx.execute(_ACCOUNTS).scalar_one())
