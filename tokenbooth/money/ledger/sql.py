"""Statements of the ledger. Rows of limits are locked before they are changed, in one order."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from tokenbooth.core.ports import Tx
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger.rules import empty_row
from tokenbooth.money.ledger.values import AccountKind, LimitRow, TxnKind
from tokenbooth.money.windows import Period
from tokenbooth.store.moment import NowUs
from tokenbooth.store.prepared import Prepared, Values
from tokenbooth.store.tables.money import (
    LEDGER_ACCOUNT,
    LEDGER_POSTING,
    LEDGER_TXN,
    SPEND_LIMIT,
)

_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_NOW = select(NowUs())
_LIMITS = select(SPEND_LIMIT).where(SPEND_LIMIT.c.id.in_(_IDS)).order_by(SPEND_LIMIT.c.id)
_LIMITS_LOCKED = _LIMITS.with_for_update()
_OPEN_LIMIT = insert(SPEND_LIMIT).on_conflict_do_nothing()
_SET_LIMIT = (
    update(SPEND_LIMIT)
    .where(SPEND_LIMIT.c.id == bindparam("limit_id"))
    .values(limit_nano=bindparam("new_limit_nano"), period=bindparam("new_period"))
)
_RECALL = (
    update(SPEND_LIMIT)
    .where(SPEND_LIMIT.c.id == bindparam("limit_id"))
    .values(recall=SPEND_LIMIT.c.recall + 1)
)
_OPEN_ACCOUNT = insert(LEDGER_ACCOUNT).on_conflict_do_nothing()
_ADD_TXN = Prepared(insert(LEDGER_TXN))
_ADD_POSTING = Prepared(insert(LEDGER_POSTING))
_BOOKED = select(LEDGER_POSTING.c.amount_nano).where(
    LEDGER_POSTING.c.txn_id == bindparam("txn"), LEDGER_POSTING.c.line == 0
)


Lines = Sequence[tuple[AccountKind, int]]


def txn_id(kind: TxnKind, org_id: str, ref: str) -> str:
    return f"{kind.value}:{org_id}:{ref}"


def account_id(kind: AccountKind, org_id: str) -> str:
    return f"{kind.value}:{org_id}"


def now_us(tx: Tx) -> int:
    """The database's clock."""
    return int(tx.execute(_NOW).scalar_one())


def rows(tx: Tx, ids: Collection[str], *, locked: bool = False) -> dict[str, LimitRow]:
    """The limits that exist; ``locked`` until the transaction ends."""
    statement = _LIMITS_LOCKED if locked else _LIMITS
    return {row.id: _limit(row) for row in tx.execute(statement, {"ids": list(ids)})}


def locked_row(tx: Tx, scope: LimitScope, owner_id: str) -> LimitRow:
    """The limit without its windows, locked; an absent one is opened."""
    empty = empty_row(scope, owner_id)
    found = rows(tx, (empty.id,), locked=True)
    if not found:
        add_limit(tx, empty)
        found = rows(tx, (empty.id,), locked=True)
    return found[empty.id]


def _limit(row: Any) -> LimitRow:
    return LimitRow(
        id=row.id,
        scope=LimitScope(row.scope),
        owner_id=row.owner_id,
        window_id=row.window_id,
        period=Period(row.period),
        limit_nano=row.limit_nano,
        spent_nano=row.spent_nano,
        leased_nano=row.leased_nano,
        held_nano=row.held_nano,
        recall=row.recall,
    )


def add_limit(tx: Tx, row: LimitRow) -> bool:
    """False when the level is open already; nothing is changed then."""
    done = tx.execute(
        _OPEN_LIMIT,
        {
            "id": row.id,
            "scope": row.scope.value,
            "owner_id": row.owner_id,
            "window_id": row.window_id,
            "period": row.period.value,
            "limit_nano": row.limit_nano,
            "spent_nano": row.spent_nano,
            "leased_nano": row.leased_nano,
            "held_nano": row.held_nano,
            "recall": row.recall,
        },
    )
    return bool(done.rowcount == 1)


def set_limit(tx: Tx, name: str, limit_nano: int | None, period: Period) -> None:
    values = {"limit_id": name, "new_limit_nano": limit_nano, "new_period": period.value}
    tx.execute(_SET_LIMIT, values)


def recall(tx: Tx, name: str) -> None:
    """Let every replica give back what it does not use there, and look where its calls count."""
    tx.execute(_RECALL, {"limit_id": name})


def open_accounts(tx: Tx, org_id: str) -> None:
    for kind in AccountKind:
        row = {"id": account_id(kind, org_id), "kind": kind.value, "org_id": org_id}
        tx.execute(_OPEN_ACCOUNT, row)


def booked_nano(tx: Tx, kind: TxnKind, org_id: str, ref: str) -> int | None:
    """The first line's amount of the transaction with that reference, if it exists."""
    amount: int | None = tx.execute(_BOOKED, {"txn": txn_id(kind, org_id, ref)}).scalar()
    return amount


def post(tx: Tx, txns: Iterable[tuple[Mapping[str, Any], Lines]]) -> None:
    """Add balanced transactions: each head has kind, org_id, ref, actor and created_us."""
    heads: list[Values] = []
    postings: list[Values] = []
    for head, lines in txns:
        assert sum(amount for _, amount in lines) == 0
        name = txn_id(head["kind"], head["org_id"], head["ref"])
        heads.append({**head, "id": name, "kind": head["kind"].value})
        postings += (
            {
                "txn_id": name,
                "line": line,
                "account_id": account_id(kind, head["org_id"]),
                "amount_nano": amount_nano,
            }
            for line, (kind, amount_nano) in enumerate(lines)
        )
    _ADD_TXN.many(tx, heads)
    _ADD_POSTING.many(tx, postings)
