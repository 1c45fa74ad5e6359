"""Statements of the ledger. Rows of limits are locked before they are changed, in one order."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from tokenbooth.core.ports import Tx
from tokenbooth.core.receipt import LimitScope, LimitState
from tokenbooth.money.ledger.rules import empty_limit
from tokenbooth.money.ledger.values import (
    AccountKind,
    Chain,
    TxnKind,
)
from tokenbooth.store.tables.money import (
    LEDGER_ACCOUNT,
    LEDGER_POSTING,
    LEDGER_TXN,
    SPEND_LIMIT,
)

_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_LIMITS = select(SPEND_LIMIT).where(SPEND_LIMIT.c.id.in_(_IDS)).order_by(SPEND_LIMIT.c.id)
_LIMITS_LOCKED = _LIMITS.with_for_update()
_OPEN_LIMIT = insert(SPEND_LIMIT).on_conflict_do_nothing()
_SET_LIMIT = (
    update(SPEND_LIMIT)
    .where(SPEND_LIMIT.c.id == bindparam("limit_id"))
    .values(limit_nano=bindparam("new_limit_nano"))
)
_OPEN_ACCOUNT = insert(LEDGER_ACCOUNT).on_conflict_do_nothing()
_ADD_TXN = insert(LEDGER_TXN)
_ADD_POSTING = insert(LEDGER_POSTING)
_BOOKED = select(LEDGER_POSTING.c.amount_nano).where(
    LEDGER_POSTING.c.txn_id == bindparam("txn"), LEDGER_POSTING.c.line == 0
)


def limit_id(scope: LimitScope, owner_id: str) -> str:
    return f"{scope.value}:{owner_id}"


def txn_id(kind: TxnKind, org_id: str, ref: str) -> str:
    return f"{kind.value}:{org_id}:{ref}"


def account_id(kind: AccountKind, org_id: str) -> str:
    return f"{kind.value}:{org_id}"


def limits(tx: Tx, chain: Chain) -> tuple[LimitState, ...]:
    """The states in the order of the chain; a level without a row is empty."""
    found = _states(tx, _LIMITS, chain)
    return tuple(found.get(limit_id(*level)) or empty_limit(*level) for level in chain)


def locked_limits(tx: Tx, chain: Chain) -> tuple[LimitState, ...]:
    """The same, each row locked until the end of the transaction; absent levels are opened."""
    found = _states(tx, _LIMITS_LOCKED, chain)
    if len(found) < len(chain):
        for level in chain:
            add_limit(tx, empty_limit(*level))
        found = _states(tx, _LIMITS_LOCKED, chain)
    return tuple(found[limit_id(*level)] for level in chain)


def _states(tx: Tx, statement: Any, chain: Chain) -> dict[str, LimitState]:
    rows = tx.execute(statement, {"ids": [limit_id(*level) for level in chain]})
    return {
        row.id: LimitState(
            LimitScope(row.scope), row.owner_id, row.limit_nano, row.spent_nano, row.held_nano
        )
        for row in rows
    }


def add_limit(tx: Tx, state: LimitState) -> bool:
    """False when the level is open already; nothing is changed then."""
    done = tx.execute(
        _OPEN_LIMIT,
        {
            "id": limit_id(state.scope, state.owner_id),
            "scope": state.scope.value,
            "owner_id": state.owner_id,
            "limit_nano": state.limit_nano,
            "spent_nano": state.spent_nano,
            "held_nano": state.held_nano,
        },
    )
    return bool(done.rowcount == 1)


def set_limit(tx: Tx, state: LimitState, limit_nano: int | None) -> None:
    name = limit_id(state.scope, state.owner_id)
    tx.execute(_SET_LIMIT, {"limit_id": name, "new_limit_nano": limit_nano})


def open_accounts(tx: Tx, org_id: str) -> None:
    for kind in AccountKind:
        row = {"id": account_id(kind, org_id), "kind": kind.value, "org_id": org_id}
        tx.execute(_OPEN_ACCOUNT, row)


def booked_nano(tx: Tx, kind: TxnKind, org_id: str, ref: str) -> int | None:
    """The first line's amount of the transaction with that reference, if it exists."""
    amount: int | None = tx.execute(_BOOKED, {"txn": txn_id(kind, org_id, ref)}).scalar()
    return amount


def post(tx: Tx, head: Mapping[str, Any], lines: Sequence[tuple[AccountKind, int]]) -> None:
    """Add one balanced transaction: ``head`` has kind, org_id, ref, actor and created_us."""
    assert sum(amount for _, amount in lines) == 0
    name = txn_id(head["kind"], head["org_id"], head["ref"])
    tx.execute(_ADD_TXN, {**head, "id": name, "kind": head["kind"].value})
    tx.execute(
        _ADD_POSTING,
        [
            {
                "txn_id": name,
                "line": line,
                "account_id": account_id(kind, head["org_id"]),
                "amount_nano": amount_nano,
            }
            for line, (kind, amount_nano) in enumerate(lines)
        ],
    )
