"""Statements of what replicas have leased of balances."""

from sqlalchemy import select

from tokenbooth.core.ports import Tx
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.leases.values import LeasedShare
from tokenbooth.store.tables.money import LEASE, SPEND_LIMIT

_SHARES = (
    select(LEASE.c.replica_id, SPEND_LIMIT.c.owner_id, LEASE.c.granted_nano, LEASE.c.held_nano)
    .select_from(LEASE.join(SPEND_LIMIT))
    .where(SPEND_LIMIT.c.scope == LimitScope.BALANCE.value, LEASE.c.granted_nano > 0)
    .order_by(LEASE.c.replica_id, SPEND_LIMIT.c.owner_id)
)


def shares(tx: Tx) -> tuple[LeasedShare, ...]:
    """By replica and organization; those without money are absent."""
    return tuple(LeasedShare(*row) for row in tx.execute(_SHARES))
