"""Verbs of the ledger. Each is one step of one transaction and knows nothing of retries."""

from collections.abc import Mapping

from msgspec import structs

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState
from tokenbooth.money.ledger import sql
from tokenbooth.money.ledger.audit.proof import verify
from tokenbooth.money.ledger.caps import limits, open_limit, set_limit
from tokenbooth.money.ledger.rules import (
    chain_of,
    check_credit,
    check_unspent,
    empty_row,
    window_row,
)
from tokenbooth.money.ledger.values import AccountKind, Chain, TxnKind, Verification
from tokenbooth.money.windows import Period

__all__ = [
    "Chain",
    "Verification",
    "chain_of",
    "charge",
    "check_unspent",
    "credit",
    "empty_row",
    "is_booked",
    "limits",
    "open_limit",
    "set_limit",
    "verify",
    "window_row",
]


def credit(op: Op, tx: Tx, org_id: str, amount_nano: int, ref: str) -> LimitState:
    """Add prepaid money and return the balance; the same ``ref`` again books nothing.

    Raises INVALID_VALUE for an amount or reference that cannot be booked, STATE_CONFLICT when the
    reference stands for another amount.
    """
    balance = sql.locked_row(tx, LimitScope.BALANCE, org_id)
    booked_nano = sql.booked_nano(tx, TxnKind.CREDIT, org_id, ref)
    if booked_nano is not None:
        if booked_nano != amount_nano:
            raise Problem(
                Code.STATE_CONFLICT,
                f"The reference {ref!r} is booked with another amount.",
                param="ref",
                facts={"booked_nano": booked_nano},
            )
        return balance.state()
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
    sql.post(tx, ((head, lines),))
    after = structs.replace(balance, limit_nano=(balance.limit_nano or 0) + amount_nano)
    sql.set_limit(tx, balance.id, after.limit_nano, Period.NONE)
    return after.state()


def is_booked(op: Op, tx: Tx, org_id: str) -> bool:
    """Whether money ever moved for an organization; none can until the transaction ends."""
    balance = sql.locked_row(tx, LimitScope.BALANCE, org_id)
    return (balance.limit_nano or 0, balance.spent_nano, balance.leased_nano) != (0, 0, 0)


def charge(op: Op, tx: Tx, amounts_nano: Mapping[str, int], ref: str) -> dict[str, str]:
    """Post one charge for each organization; the ids of the transactions by organization.

    ``ref`` is unique for each organization; amounts are more than zero.
    """
    charged = sorted(amounts_nano.items())
    head = {"kind": TxnKind.CHARGE, "ref": ref, "actor": op.actor, "created_us": op.now()}
    sql.post(
        tx,
        (
            (
                {**head, "org_id": org_id},
                ((AccountKind.PREPAID, -amount_nano), (AccountKind.REVENUE, amount_nano)),
            )
            for org_id, amount_nano in charged
        ),
    )
    return {org_id: sql.txn_id(TxnKind.CHARGE, org_id, ref) for org_id, _ in charged}
