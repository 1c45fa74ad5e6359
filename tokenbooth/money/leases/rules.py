"""Decisions about leases, on integers alone.

A replica spends only what was granted to it, so ``spent + leased <= limit`` in the ledger is all
that a cap needs. Everything else here is about not letting money lie idle in the wrong place.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from tokenbooth.core.money import NANO_MAX
from tokenbooth.money.leases.values import (
    Giving,
    LeaseRow,
    LimitRow,
    SettledCall,
    Want,
)
from tokenbooth.money.windows import Period, limit_id, window_of

SHARE_OF_ROOM = 20
BLOCK_NEEDS = 16
TURN_US = 500_000
FORFEITED = "The replica's lease was forfeited before the call was booked; nothing is charged."


def is_pattern(row: LimitRow) -> bool:
    """Whether the row only says what its windows are like; no money moves on it."""
    return row.period is not Period.NONE and not row.window_id


def window_row(pattern: LimitRow, now_us: int) -> LimitRow:
    """The empty window of that moment."""
    window_id = window_of(pattern.period, now_us)
    name = limit_id(pattern.scope, pattern.owner_id, window_id)
    return replace(pattern, id=name, window_id=window_id, recall=0)


def collector(row: LimitRow, now_us: int) -> str:
    """The replica whose turn it is at that limit; empty when it is nobody's, or over."""
    return row.turn_by if now_us - row.turn_us < TURN_US else ""


def turn_taken(row: LimitRow, replica_id: str, now_us: int) -> LimitRow:
    """Ask all others for what they do not use, in the replica's turn, which may have begun."""
    since_us = row.turn_us if collector(row, now_us) == replica_id else now_us
    return replace(row, recall=row.recall + 1, turn_by=replica_id, turn_us=since_us)


def turn_over(row: LimitRow, replica_id: str) -> LimitRow:
    """End the replica's turn, if it has it."""
    return replace(row, turn_by="", turn_us=0) if row.turn_by == replica_id else row


def grant_nano(row: LimitRow, want: Want) -> int:
    """What a replica gets: its need as far as there is room, and more only where there is plenty.

    An advance is at most a twentieth of the room, so that others find something too; near zero
    only the bare need is granted.
    """
    room_nano = max(0, row.room_nano)
    advance_nano = min(room_nano // SHARE_OF_ROOM, want.block_nano)
    return min(room_nano, max(want.needed_nano, advance_nano))


def block_nano(needed_nano: int, taken_per_s_nano: int, block_nano_max: int) -> int:
    """The advance that serves about ten seconds, or some calls like the waiting ones."""
    return min(block_nano_max, max(BLOCK_NEEDS * needed_nano, 10 * taken_per_s_nano))


def booked(call: SettledCall, forfeited_epoch: int) -> SettledCall:
    """The call as the ledger takes it: what a forfeited lease cannot pay is the operator's loss."""
    end = call.settlement
    if call.epoch > forfeited_epoch or not end.charged:
        return call
    lost = replace(
        end,
        charged=False,
        cost_nano=0,
        loss_nano=min(end.loss_nano + end.cost_nano, NANO_MAX),
        reason=FORFEITED,
    )
    return replace(call, settlement=lost, forfeited=True)


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
        replace(
            row,
            spent_nano=row.spent_nano + cost_nano,
            leased_nano=row.leased_nano - cost_nano,
            held_nano=row.held_nano - lease.held_nano + held_nano,
        ),
        replace(lease, granted_nano=lease.granted_nano - cost_nano, held_nano=held_nano),
    )


def give(row: LimitRow, lease: LeaseRow, giving: Giving) -> tuple[LimitRow, LeaseRow]:
    """Take back what a replica returns, and note what its running calls hold."""
    granted_nano = lease.granted_nano - giving.returned_nano
    assert 0 <= giving.held_nano <= granted_nano, f"{row.id}: more is held than was leased"
    return (
        replace(
            row,
            leased_nano=row.leased_nano - giving.returned_nano,
            held_nano=row.held_nano - lease.held_nano + giving.held_nano,
        ),
        replace(lease, granted_nano=granted_nano, held_nano=giving.held_nano),
    )


def grant(row: LimitRow, lease: LeaseRow, amount_nano: int) -> tuple[LimitRow, LeaseRow]:
    """Lease ``amount_nano`` more."""
    return (
        replace(row, leased_nano=row.leased_nano + amount_nano),
        replace(lease, granted_nano=lease.granted_nano + amount_nano),
    )


def closed(lease: LeaseRow) -> Giving:
    """Give everything back."""
    return Giving(lease.granted_nano, 0)


def totals(leases: Mapping[str, LeaseRow]) -> tuple[int, int]:
    """Granted and held money of some leases."""
    granted = sum(lease.granted_nano for lease in leases.values())
    return granted, sum(lease.held_nano for lease in leases.values())
