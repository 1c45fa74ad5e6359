"""Verbs of the ledger. Each is one step of one transaction and knows nothing of retries."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage, UsageSource
from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome, Receipt
from tokenbooth.money.ledger import sql
from tokenbooth.money.ledger.audit.proof import verify
from tokenbooth.money.ledger.rules import (
    chain_of,
    charge_of,
    check_credit,
    check_limit,
    check_start,
    check_usage,
    size_hold,
)
from tokenbooth.money.ledger.values import (
    AccountKind,
    CallState,
    Chain,
    Charge,
    Ending,
    HeldRow,
    Hold,
    HoldAsk,
    TxnKind,
    Verification,
)
from tokenbooth.money.prices import service as prices

__all__ = [
    "Chain",
    "Ending",
    "Hold",
    "HoldAsk",
    "Verification",
    "beat",
    "chain_of",
    "charge",
    "check_start",
    "credit",
    "hold",
    "limits",
    "open_holds",
    "open_limit",
    "set_limit",
    "settle",
    "sweep",
    "verify",
]

SWEEP_ROWS = 500
SWEPT_REASON = "The server stopped while the call ran; nothing is charged."


def open_limit(op: Op, tx: Tx, scope: LimitScope, owner_id: str, limit_nano: int | None) -> None:
    """Open a level; ``None`` is uncapped, and a balance opens empty.

    Opening it again with the same cap changes nothing. Raises ALREADY_EXISTS when it is open with
    another cap, and what ``set_limit`` raises.
    """
    state = LimitState(scope, owner_id, limit_nano, 0, 0)
    check_limit(state, limit_nano)
    if scope is LimitScope.BALANCE:
        state = replace(state, limit_nano=0)
        sql.open_accounts(tx, owner_id)
    if not sql.add_limit(tx, state):
        (present,) = sql.limits(tx, ((scope, owner_id),))
        if scope is not LimitScope.BALANCE and present.limit_nano != limit_nano:
            raise Problem(
                Code.ALREADY_EXISTS, f"The {scope.value} {owner_id} has a cap already; change it."
            )


def set_limit(op: Op, tx: Tx, scope: LimitScope, owner_id: str, limit_nano: int | None) -> None:
    """Change a hard cap; ``None`` lifts it.

    Raises STATE_CONFLICT below what is spent and held, or for a balance; INVALID_VALUE for a cap
    that cannot be booked.
    """
    (state,) = sql.locked_limits(tx, ((scope, owner_id),))
    if scope is LimitScope.BALANCE:
        raise Problem(Code.STATE_CONFLICT, "A balance changes only by credit.", param="limit")
    check_limit(state, limit_nano)
    sql.set_limit(tx, state, limit_nano)


def credit(op: Op, tx: Tx, org_id: str, amount_nano: int, ref: str) -> LimitState:
    """Add prepaid money and return the balance; the same ``ref`` again books nothing.

    Raises INVALID_VALUE for an amount or reference that cannot be booked, STATE_CONFLICT when the
    reference stands for another amount.
    """
    (balance,) = sql.locked_limits(tx, ((LimitScope.BALANCE, org_id),))
    booked_nano = sql.booked_nano(tx, TxnKind.CREDIT, org_id, ref)
    if booked_nano is not None:
        if booked_nano != amount_nano:
            raise Problem(
                Code.STATE_CONFLICT,
                f"The reference {ref!r} is booked with another amount.",
                param="ref",
                facts={"booked_nano": booked_nano},
            )
        return balance
    check_credit(amount_nano, ref, balance)
    sql.open_accounts(tx, org_id)
    head = {
        "kind": TxnKind.CREDIT,
        "org_id": org_id,
        "ref": ref,
        "actor": op.actor,
        "created_us": op.now(),
    }
    lines = ((AccountKind.PREPAID, amount_nano), (AccountKind.CLEARING, -amount_nano))
    sql.post(tx, head, lines)
    after = replace(balance, limit_nano=(balance.limit_nano or 0) + amount_nano)
    sql.set_limit(tx, balance, after.limit_nano)
    return after


def charge(op: Op, tx: Tx, amounts_nano: Mapping[str, int], ref: str) -> dict[str, str]:
    """Post one charge for each organization; the ids of the transactions by organization.

    ``ref`` is unique for each organization; amounts are more than zero.
    """
    txns = {}
    for org_id, amount_nano in sorted(amounts_nano.items()):
        head = {
            "kind": TxnKind.CHARGE,
            "org_id": org_id,
            "ref": ref,
            "actor": op.actor,
            "created_us": op.now(),
        }
        lines = ((AccountKind.PREPAID, -amount_nano), (AccountKind.REVENUE, amount_nano))
        sql.post(tx, head, lines)
        txns[org_id] = sql.txn_id(TxnKind.CHARGE, org_id, ref)
    return txns


def hold(op: Op, tx: Tx, ask: HoldAsk) -> Hold:
    """Take the worst case at every level at once, and open the call's record.

    Raises BALANCE_EXHAUSTED or CAP_REACHED when not one output token for each choice fits, and
    STATE_CONFLICT for a request id that was used before.
    """
    chain = chain_of(ask.caller)
    before = sql.locked_limits(tx, chain)
    sized = size_hold(ask, before)
    if not sql.add_call(tx, ask, sized, op.now()):
        raise Problem(Code.STATE_CONFLICT, f"The call {ask.request_id} has a hold already.")
    sql.move(tx, chain, held_nano=sized.amount_nano, spent_nano=0)
    return Hold(
        request_id=ask.request_id,
        amount_nano=sized.amount_nano,
        input_tokens=ask.input_tokens,
        output_tokens_max=sized.output_tokens_max,
        clamped_by=sized.clamped_by,
        limits=tuple(replace(s, held_nano=s.held_nano + sized.amount_nano) for s in before),
        price_version=ask.price.version_id,
    )


def settle(op: Op, tx: Tx, ending: Ending) -> Receipt:
    """Resolve the hold once: charge, release, post and write the meter event.

    A second call changes nothing and returns the first outcome with today's limits. After the
    sweeper voided the hold nothing is charged either: the cost is recorded as the operator's loss.
    Raises RECORD_NOT_FOUND when nothing was ever held under that id.
    """
    check_usage(ending)
    call = sql.locked_call(tx, ending.request_id)
    if call is None:
        raise Problem(Code.RECORD_NOT_FOUND, f"No call {ending.request_id} holds money.")
    if call.state is not CallState.OPEN:
        return _settled_before(op, tx, call, ending)
    price = prices.by_version(op, tx, call.price_version, call.model)
    charge = charge_of(price, ending, call.held_nano)
    if charge.loss_nano:
        op.log.fault("usage_above_hold", request_id=call.request_id, loss_nano=charge.loss_nano)
    sql.close_calls(tx, (call.request_id,), ending, charge, swept=False)
    _post_charge(op, tx, call, charge)
    # Last, because every call of the organization waits for these rows.
    before = sql.locked_limits(tx, call.chain)
    sql.move(tx, call.chain, held_nano=-call.held_nano, spent_nano=charge.cost_nano)
    after = (
        replace(
            state,
            held_nano=state.held_nano - call.held_nano,
            spent_nano=state.spent_nano + charge.cost_nano,
        )
        for state in before
    )
    return Receipt(
        request_id=call.request_id,
        outcome=ending.outcome,
        reason=ending.reason,
        usage=ending.usage,
        cost_nano=charge.cost_nano,
        price_version=call.price_version,
        limits=tuple(after),
    )


def _post_charge(op: Op, tx: Tx, call: HeldRow, charge: Charge) -> None:
    if charge.cost_nano == 0:
        return
    head = {
        "kind": TxnKind.CHARGE,
        "org_id": call.org_id,
        "ref": call.request_id,
        "actor": op.actor,
        "created_us": op.now(),
    }
    lines = ((AccountKind.PREPAID, -charge.cost_nano), (AccountKind.REVENUE, charge.cost_nano))
    sql.post(tx, head, lines)


def _settled_before(op: Op, tx: Tx, call: HeldRow, ending: Ending) -> Receipt:
    assert call.outcome is not None, "a resolved call has an outcome"
    if call.swept and call.loss_nano == 0:
        price = prices.by_version(op, tx, call.price_version, call.model)
        late = charge_of(price, ending, call.held_nano)
        if late.cost_nano:
            sql.add_loss(tx, call.request_id, late.cost_nano)
            op.log.fault(
                "settled_after_sweep", request_id=call.request_id, loss_nano=late.cost_nano
            )
    return Receipt(
        request_id=call.request_id,
        outcome=call.outcome,
        reason=call.reason,
        usage=call.usage,
        cost_nano=call.cost_nano,
        price_version=call.price_version,
        limits=sql.limits(tx, call.chain),
    )


def beat(op: Op, tx: Tx, replica_id: str) -> None:
    """Say that this process lives and may hold money; each start uses a fresh id.

    A replica that others gave up is known again.
    """
    sql.beat(tx, replica_id, op.now())


def sweep(op: Op, tx: Tx, own_replica_id: str, silent_for_us: int) -> int:
    """Void every hold of replicas silent for that long (0: of all but this one); how many.

    Should such a replica live after all, its settlements charge nothing: no cap is ever passed.
    """
    seen_after_us = op.now() - silent_for_us if silent_for_us else NANO_MAX
    swept = 0
    while calls := sql.orphans(tx, own_replica_id, seen_after_us, SWEEP_ROWS):
        freed: Counter[tuple[LimitScope, str]] = Counter()
        for call in calls:
            for level in call.chain:
                freed[level] += call.held_nano
        sql.locked_limits(tx, tuple(freed))
        for level, held_nano in freed.items():
            sql.move(tx, (level,), held_nano=-held_nano, spent_nano=0)
        ids = tuple(call.request_id for call in calls)
        sql.close_calls(tx, ids, _interrupted(op.now()), Charge(0, 0), swept=True)
        swept += len(calls)
    sql.forget_replicas(tx, own_replica_id, seen_after_us)
    return swept


def _interrupted(now_us: int) -> Ending:
    return Ending(
        request_id="",
        outcome=Outcome.INTERRUPTED,
        reason=SWEPT_REASON,
        usage=Usage(0, 0, source=UsageSource.BOUND),
        charge=False,
        started_us=now_us,
        first_output_us=None,
        ended_us=now_us,
        fingerprint=None,
    )


def limits(op: Op, tx: Tx, chain: Chain) -> tuple[LimitState, ...]:
    """The states in the order of the chain; a level that nobody opened is empty."""
    return sql.limits(tx, chain)


def open_holds(op: Op, tx: Tx) -> int:
    """How many calls hold money now."""
    return sql.open_calls(tx)
