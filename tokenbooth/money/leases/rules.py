"""Decisions about leases, on integers alone.

A replica spends only what was granted to it, so ``spent + leased <= limit`` in the ledger is all
that a cap needs. Everything else here is about not letting money lie idle in the wrong place.
"""

from collections import Counter
from collections.abc import Iterable

from msgspec import structs

from tokenbooth.core.money import NANO_MAX
from tokenbooth.money.leases.values import (
    Giving,
    LeaseRow,
    LimitRow,
    SettledCall,
)
from tokenbooth.money.windows import Period

BLOCK_NEEDS = 16
LOST = "The server stopped before it had noted anything of the call; nothing is charged."
FORFEITED = "The replica's lease was forfeited before the call was booked; nothing is charged."


def is_current(row: LimitRow, period: Period) -> bool:
    """Whether new calls count there, where the cap of its owner begins anew like ``period``.

    That a window has ended is not looked at here.
    """
    return row.period is period and bool(row.window_id) is (period is not Period.NONE)


def block_nano(needed_nano: int, taken_per_s_nano: int, block_nano_max: int) -> int:
    """The advance that serves about ten seconds, or some calls like the waiting ones."""
    return min(block_nano_max, max(BLOCK_NEEDS * needed_nano, 10 * taken_per_s_nano))


def booked(call: SettledCall, forfeited_epoch: int) -> SettledCall:
    """The call as the ledger takes it: what a forfeited lease cannot pay is the operator's loss."""
    end = call.settlement
    if call.epoch > forfeited_epoch or not end.charged:
        return call
    lost = structs.replace(
        end,
        charged=False,
        cost_nano=0,
        loss_nano=min(end.loss_nano + end.cost_nano, NANO_MAX),
        reason=FORFEITED,
    )
    return structs.replace(call, settlement=lost, forfeited=True)


def spent_by_limit(calls: Iterable[SettledCall]) -> Counter[str]:
    """What each limit of the chains is charged."""
    spent: Counter[str] = Counter()
    for call in calls:
        for name in call.facts.chain:
            spent[name] += call.settlement.cost_nano
    return +spent


def spent_by_org(calls: Iterable[SettledCall]) -> Counter[str]:
    """What each organization is charged; those that owe nothing are absent."""
    spent: Counter[str] = Counter()
    for call in calls:
        spent[call.facts.org_id] += call.settlement.cost_nano
    return +spent


def spend(row: LimitRow, lease: LeaseRow, cost_nano: int) -> tuple[LimitRow, LeaseRow]:
    """Turn leased money into spent money."""
    assert cost_nano <= lease.granted_nano, f"{row.id}: a charge on a closed lease"
    held_nano = min(lease.held_nano, lease.granted_nano - cost_nano)
    return (
        structs.replace(
            row,
            spent_nano=row.spent_nano + cost_nano,
            leased_nano=row.leased_nano - cost_nano,
            held_nano=row.held_nano - lease.held_nano + held_nano,
        ),
        structs.replace(lease, granted_nano=lease.granted_nano - cost_nano, held_nano=held_nano),
    )


def cover(row: LimitRow, lease: LeaseRow, cost_nano: int) -> tuple[LimitRow, LeaseRow]:
    """Lease anew what is missing for a charge, as far as the limit has room for it."""
    missing_nano = max(0, cost_nano - lease.granted_nano)
    return grant(row, lease, min(missing_nano, row.room_nano))


def give(row: LimitRow, lease: LeaseRow, giving: Giving) -> tuple[LimitRow, LeaseRow]:
    """Take back what a replica returns, and note what its running calls hold."""
    granted_nano = lease.granted_nano - giving.returned_nano
    assert 0 <= giving.held_nano <= granted_nano, f"{row.id}: more is held than was leased"
    return (
        structs.replace(
            row,
            leased_nano=row.leased_nano - giving.returned_nano,
            held_nano=row.held_nano - lease.held_nano + giving.held_nano,
        ),
        structs.replace(lease, granted_nano=granted_nano, held_nano=giving.held_nano),
    )


def grant(row: LimitRow, lease: LeaseRow, amount_nano: int) -> tuple[LimitRow, LeaseRow]:
    """Lease ``amount_nano`` more."""
    return (
        structs.replace(row, leased_nano=row.leased_nano + amount_nano),
        structs.replace(lease, granted_nano=lease.granted_nano + amount_nano),
    )


def closed(lease: LeaseRow) -> Giving:
    """Give everything back."""
    return Giving(lease.granted_nano, 0)
