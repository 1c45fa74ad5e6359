"""Leases: what a gateway process may spend from memory, and the rounds that tell of it."""

from msgspec import structs

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.leases import rules, sql
from tokenbooth.money.leases.level import Levels
from tokenbooth.money.leases.level_book import Leased
from tokenbooth.money.leases.pool import HeldMoney, Pool
from tokenbooth.money.leases.queue import MoneyQueue, Waiter
from tokenbooth.money.leases.records import sql as records
from tokenbooth.money.leases.round import SILENT_US, book
from tokenbooth.money.leases.shares import sql as share_sql
from tokenbooth.money.leases.sizing import (
    afforded,
    charge_of,
    extension_nano,
    least_nano,
    least_output_tokens,
    wished,
)
from tokenbooth.money.leases.values import (
    Advance,
    Answer,
    CallFacts,
    Ending,
    Giving,
    Hold,
    HoldAsk,
    LeasedShare,
    LeaseLine,
    LevelKey,
    LimitRow,
    PoolOptions,
    Progress,
    ReplicaLine,
    RoundAsk,
    RoundDone,
    SettledCall,
    Settlement,
    Sized,
    Verdict,
    Want,
    Wants,
)
from tokenbooth.money.windows import Period

__all__ = [
    "SILENT_US",
    "Advance",
    "Answer",
    "CallFacts",
    "Ending",
    "Giving",
    "HeldMoney",
    "Hold",
    "HoldAsk",
    "LeaseLine",
    "Leased",
    "LeasedShare",
    "LevelKey",
    "Levels",
    "LimitRow",
    "MoneyQueue",
    "Period",
    "Pool",
    "PoolOptions",
    "Progress",
    "ReplicaLine",
    "RoundAsk",
    "RoundDone",
    "SettledCall",
    "Settlement",
    "Sized",
    "Verdict",
    "Waiter",
    "Want",
    "Wants",
    "afforded",
    "beat",
    "book",
    "charge_of",
    "close",
    "enroll",
    "extension_nano",
    "forfeit",
    "least_nano",
    "least_output_tokens",
    "recall",
    "recalled",
    "replicas",
    "shares",
    "silences_us",
    "wished",
]


def enroll(op: Op, tx: Tx, replica_id: str, journal_id: str) -> int:
    """Begin a new epoch of that replica and return it; older processes of its name are fenced.

    Raises STATE_CONFLICT while money is leased to the name under another journal: only the journal
    knows what was spent of it.
    """
    sql.add_replica(tx, replica_id, journal_id)
    known = sql.replica(tx, replica_id, locked=True)
    assert known is not None
    leased = any(lease.granted_nano for lease in sql.leases(tx, replica_id).values())
    if known.journal_id != journal_id and leased:
        raise Problem(
            Code.STATE_CONFLICT,
            f"The replica {replica_id!r} has money leased under another journal. Start it with the"
            " directory that it ran with, give it another name with --replica, or give the money"
            f" back to the customers with `tokenbooth lease forfeit {replica_id}`.",
        )
    sql.enroll(tx, replica_id, journal_id)
    return known.epoch + 1


def close(op: Op, tx: Tx, replica_id: str) -> int:
    """Give back every lease of the replica; book all that its journal knows before. How much.

    What is still shown as running then never reached the disk of the journal: it ends here.
    """
    records.end_lost(tx, replica_id, rules.LOST)
    return _give_all_back(tx, replica_id)


def forfeit(op: Op, tx: Tx, replica_id: str, *, living: bool = False) -> int:
    """Give the leases of a lost replica back to the customers; the amount in nano-units.

    Its calls that were shown as running end here, free of charge; what they would have cost is the
    operator's loss, should their journal turn up. Raises NAME_NOT_FOUND, and STATE_CONFLICT for a
    replica that was seen a moment ago unless ``living`` says to go on.
    """
    known = sql.replica(tx, replica_id, locked=True)
    if known is None:
        raise Problem(Code.NAME_NOT_FOUND, f"No replica is named {replica_id!r}.")
    if not living and sql.now_us(tx) - known.seen_us < SILENT_US:
        raise Problem(
            Code.STATE_CONFLICT,
            f"The replica {replica_id!r} was seen a moment ago. Stop it: it returns its leases"
            " itself. To cut it off all the same, say --force.",
        )
    returned_nano = _give_all_back(tx, replica_id)
    sql.forfeit(tx, replica_id)
    records.end_lost(tx, replica_id, rules.FORFEITED)
    op.log.fault("leases_forfeited", replica_id=replica_id, returned_nano=returned_nano)
    return returned_nano


def _give_all_back(tx: Tx, replica_id: str) -> int:
    names = sql.leases(tx, replica_id)
    rows = sql.limits(tx, names, locked=True)
    leases = sql.leases(tx, replica_id)
    moved = [
        rules.give(row, leases[name], rules.closed(leases[name]))[0]
        for name, row in rows.items()
        if name in leases
    ]
    sql.move_limits(tx, moved)
    sql.drop_leases(tx, replica_id)
    return sum(v.granted_nano for k, v in leases.items() if k.startswith("balance:"))


def recalled(op: Op, tx: Tx, replica_id: str) -> dict[str, int]:
    """Recalls that the replica has not answered, by limit id."""
    return sql.recalled(tx, replica_id)


def recall(op: Op, tx: Tx, limit_id: str) -> None:
    """Ask every replica for what it does not use of that limit."""
    for row in sql.limits(tx, (limit_id,), locked=True).values():
        sql.move_limits(tx, (structs.replace(row, recall=row.recall + 1),))


def beat(op: Op, tx: Tx, replica_id: str, epoch: int) -> None:
    """Say that this process lives. Raises REPLICA_FENCED when its epoch is over."""
    if not sql.beat(tx, replica_id, epoch):
        raise Problem(Code.REPLICA_FENCED, f"The epoch {epoch} of {replica_id!r} is over.")


def shares(op: Op, tx: Tx) -> tuple[LeasedShare, ...]:
    """What each replica has leased of each balance."""
    return share_sql.shares(tx)


def silences_us(op: Op, tx: Tx) -> dict[str, int]:
    """For how long nobody has heard of each replica, by the database's clock."""
    now_us = sql.now_us(tx)
    return {line.id: max(0, now_us - line.seen_us) for line in sql.replicas(tx)}


def replicas(op: Op, tx: Tx) -> tuple[ReplicaLine, ...]:
    """Every gateway process that ever ran, and the money that it has leased."""
    return sql.replicas(tx)
