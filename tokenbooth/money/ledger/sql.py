"""Statements of the ledger. Rows of limits are locked before they are changed, in one order."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from tokenbooth.core.delta import Usage, UsageSource
from tokenbooth.core.ports import Tx
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome
from tokenbooth.money.ledger.rules import empty_limit
from tokenbooth.money.ledger.values import (
    AccountKind,
    CallState,
    Chain,
    Charge,
    Ending,
    HeldRow,
    HoldAsk,
    Sized,
    TxnKind,
)
from tokenbooth.store.tables.money import (
    CALL_RECORD,
    LEDGER_ACCOUNT,
    LEDGER_POSTING,
    LEDGER_TXN,
    REPLICA,
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
_MOVE = (
    update(SPEND_LIMIT)
    .where(SPEND_LIMIT.c.id.in_(_IDS))
    .values(
        held_nano=SPEND_LIMIT.c.held_nano + bindparam("held"),
        leased_nano=SPEND_LIMIT.c.leased_nano + bindparam("held"),
        spent_nano=SPEND_LIMIT.c.spent_nano + bindparam("spent"),
    )
)
_OPEN_ACCOUNT = insert(LEDGER_ACCOUNT).on_conflict_do_nothing()
_ADD_TXN = insert(LEDGER_TXN)
_ADD_POSTING = insert(LEDGER_POSTING)
_BOOKED = select(LEDGER_POSTING.c.amount_nano).where(
    LEDGER_POSTING.c.txn_id == bindparam("txn"), LEDGER_POSTING.c.line == 0
)
_OPEN_CALL = insert(CALL_RECORD).on_conflict_do_nothing()
_CALL = select(CALL_RECORD).where(CALL_RECORD.c.request_id == bindparam("request"))
_CALL_LOCKED = _CALL.with_for_update()
_CLOSE_CALLS = update(CALL_RECORD).where(
    CALL_RECORD.c.request_id.in_(_IDS), CALL_RECORD.c.state == CallState.OPEN.value
)
_ADD_LOSS = (
    update(CALL_RECORD)
    .where(CALL_RECORD.c.request_id == bindparam("request"))
    .values(operator_loss_nano=bindparam("loss"))
)
_OPEN_CALLS = select(func.count()).select_from(CALL_RECORD).where(CALL_RECORD.c.state == "open")
_ADD_REPLICA = insert(REPLICA)
_BEAT = update(REPLICA).where(REPLICA.c.id == bindparam("replica"))
_FORGET = delete(REPLICA).where(
    REPLICA.c.id != bindparam("own"),
    REPLICA.c.seen_us <= bindparam("seen_after_us"),
    REPLICA.c.id.not_in(select(CALL_RECORD.c.replica_id).where(CALL_RECORD.c.state == "open")),
)
_LIVE = select(REPLICA.c.id).where(REPLICA.c.seen_us > bindparam("seen_after_us"))
_ORPHANS = (
    select(CALL_RECORD)
    .where(
        CALL_RECORD.c.state == "open",
        CALL_RECORD.c.replica_id != bindparam("own"),
        CALL_RECORD.c.replica_id.not_in(_LIVE),
    )
    .order_by(CALL_RECORD.c.request_id)
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True)
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


def move(tx: Tx, chain: Chain, *, held_nano: int, spent_nano: int) -> None:
    """Add to what is held and spent at every level of the chain; the table refuses overshoot."""
    ids = [limit_id(*level) for level in chain]
    tx.execute(_MOVE, {"ids": ids, "held": held_nano, "spent": spent_nano})


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


def add_call(tx: Tx, ask: HoldAsk, sized: Sized, created_us: int) -> bool:
    """Open the call's record; False when its id was used before."""
    caller = ask.caller
    done = tx.execute(
        _OPEN_CALL,
        {
            "request_id": ask.request_id,
            "org_id": caller.org_id,
            "project_id": caller.project_id,
            "key_id": caller.key_id,
            "end_customer": caller.end_customer,
            "model": ask.model,
            "stream": ask.stream,
            "replica_id": ask.replica_id,
            "price_version": ask.price.version_id,
            "held_nano": sized.amount_nano,
            "held_input_tokens": ask.input_tokens,
            "held_output_tokens": ask.choices * sized.output_tokens_max,
            "created_us": created_us,
            "state": CallState.OPEN.value,
            "swept": False,
            "cost_nano": 0,
            "operator_loss_nano": 0,
        },
    )
    return bool(done.rowcount == 1)


def locked_call(tx: Tx, request_id: str) -> HeldRow | None:
    row = tx.execute(_CALL_LOCKED, {"request": request_id}).one_or_none()
    return None if row is None else _held_row(row)


def orphans(tx: Tx, own_replica_id: str, seen_after_us: int, count: int) -> tuple[HeldRow, ...]:
    """Open calls of replicas not seen after that time, locked, in the order of their ids."""
    values = {"own": own_replica_id, "seen_after_us": seen_after_us, "count": count}
    return tuple(_held_row(row) for row in tx.execute(_ORPHANS, values))


def _held_row(row: Any) -> HeldRow:
    return HeldRow(
        request_id=row.request_id,
        org_id=row.org_id,
        project_id=row.project_id,
        key_id=row.key_id,
        model=row.model,
        price_version=row.price_version,
        held_nano=row.held_nano,
        state=CallState(row.state),
        swept=row.swept,
        cost_nano=row.cost_nano,
        loss_nano=row.operator_loss_nano,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        reason=row.reason or "",
        usage=Usage(
            input_tokens=row.input_tokens or 0,
            output_tokens=row.output_tokens or 0,
            cached_input_tokens=row.cached_input_tokens,
            reasoning_tokens=row.reasoning_tokens or 0,
            source=UsageSource(row.usage_source or UsageSource.BOUND),
        ),
    )


def close_calls(
    tx: Tx, request_ids: Sequence[str], ending: Ending, charge: Charge, *, swept: bool
) -> None:
    """Write the meter event of each call: this is the one step out of the open state."""
    usage = ending.usage
    state = CallState.POSTED if ending.charge else CallState.VOID
    done = tx.execute(
        _CLOSE_CALLS,
        {
            "ids": list(request_ids),
            "state": state.value,
            "swept": swept,
            "outcome": ending.outcome.value,
            "reason": ending.reason,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "usage_source": usage.source.value,
            "cost_nano": charge.cost_nano,
            "operator_loss_nano": charge.loss_nano,
            "started_us": None if swept else ending.started_us,
            "first_output_us": ending.first_output_us,
            "ended_us": ending.ended_us,
            "fingerprint": ending.fingerprint,
        },
    )
    assert done.rowcount == len(request_ids), "a locked call was open a moment ago"


def add_loss(tx: Tx, request_id: str, loss_nano: int) -> None:
    tx.execute(_ADD_LOSS, {"request": request_id, "loss": loss_nano})


def open_calls(tx: Tx) -> int:
    return int(tx.execute(_OPEN_CALLS).scalar_one())


def beat(tx: Tx, replica_id: str, now_us: int) -> None:
    """Mark the replica as seen now, whether it was known or not."""
    done = tx.execute(_BEAT, {"replica": replica_id, "seen_us": now_us})
    if done.rowcount == 0:
        row = {"id": replica_id, "epoch": 1, "round": 0, "journal_id": "", "forfeited_epoch": 0}
        tx.execute(_ADD_REPLICA, {**row, "started_us": now_us, "seen_us": now_us})


def forget_replicas(tx: Tx, own_replica_id: str, seen_after_us: int) -> None:
    """Drop replicas not seen after that time that hold nothing any more."""
    tx.execute(_FORGET, {"own": own_replica_id, "seen_after_us": seen_after_us})
