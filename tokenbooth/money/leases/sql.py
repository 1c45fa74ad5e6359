"""Statements of replicas, leases and the limits that they draw on."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import and_, bindparam, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from tokenbooth.core.ports import Tx
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.leases.values import LeaseRow, LimitRow, Others, ReplicaLine
from tokenbooth.money.windows import Period
from tokenbooth.store.listing import listed, listing
from tokenbooth.store.moment import NowUs
from tokenbooth.store.prepared import Prepared, Values
from tokenbooth.store.tables.money import LEASE, REPLICA, SPEND_LIMIT

_IDS = select(listing("ids").c.value)
_NOW = select(NowUs())
_PICKED = select(SPEND_LIMIT).where(SPEND_LIMIT.c.id.in_(_IDS)).order_by(SPEND_LIMIT.c.id)
_LIMITS = Prepared(_PICKED)
_LIMITS_LOCKED = Prepared(_PICKED.with_for_update())
_OPEN_LIMIT = insert(SPEND_LIMIT).on_conflict_do_nothing()
_MOVE_LIMIT = Prepared(
    update(SPEND_LIMIT)
    .where(SPEND_LIMIT.c.id == bindparam("limit"))
    .values(
        spent_nano=bindparam("spent"),
        leased_nano=bindparam("leased"),
        held_nano=bindparam("held"),
        recall=bindparam("recalls"),
    )
)
_OWN_LEASES = select(
    LEASE.c.limit_id, LEASE.c.granted_nano, LEASE.c.held_nano, LEASE.c.recall_seen
).where(LEASE.c.replica_id == bindparam("replica"))
_ALL_LEASES = Prepared(_OWN_LEASES)
_LEASES = Prepared(_OWN_LEASES.where(LEASE.c.limit_id.in_(_IDS)))
_LEASE = insert(LEASE)
_PUT_LEASE = Prepared(
    _LEASE.on_conflict_do_update(
        index_elements=["replica_id", "limit_id"],
        set_={
            "granted_nano": _LEASE.excluded.granted_nano,
            "held_nano": _LEASE.excluded.held_nano,
            "recall_seen": _LEASE.excluded.recall_seen,
        },
    )
)
_DROP_LEASES = delete(LEASE).where(LEASE.c.replica_id == bindparam("replica"))
_OTHERS = (
    select(func.min(LEASE.c.recall_seen), func.sum(LEASE.c.granted_nano - LEASE.c.held_nano))
    .select_from(LEASE.join(REPLICA))
    .where(
        LEASE.c.limit_id == bindparam("limit"),
        LEASE.c.replica_id != bindparam("replica"),
        LEASE.c.granted_nano > 0,
        REPLICA.c.seen_us > NowUs() - bindparam("silent_us"),
    )
)
_PERIODS = Prepared(
    select(SPEND_LIMIT.c.id, SPEND_LIMIT.c.period).where(SPEND_LIMIT.c.id.in_(_IDS))
)
_RECALLED = Prepared(
    select(LEASE.c.limit_id, SPEND_LIMIT.c.recall)
    .select_from(LEASE.join(SPEND_LIMIT))
    .where(
        LEASE.c.replica_id == bindparam("replica"),
        LEASE.c.granted_nano > 0,
        SPEND_LIMIT.c.recall > LEASE.c.recall_seen,
    )
)
_NEXT_ROUND = Prepared(
    update(REPLICA)
    .where(
        REPLICA.c.id == bindparam("replica"),
        REPLICA.c.epoch == bindparam("at_epoch"),
        REPLICA.c.rounds == bindparam("number") - 1,
    )
    .values(rounds=bindparam("number"), seen_us=NowUs())
    .returning(REPLICA.c.forfeited_epoch)
)
_REPLICA = select(REPLICA).where(REPLICA.c.id == bindparam("replica"))
_REPLICA_LOCKED = _REPLICA.with_for_update()
_ADD_REPLICA = insert(REPLICA).values(started_us=NowUs(), seen_us=NowUs()).on_conflict_do_nothing()
_ENROLL = (
    update(REPLICA)
    .where(REPLICA.c.id == bindparam("replica"))
    .values(
        epoch=REPLICA.c.epoch + 1,
        rounds=0,
        journal_id=bindparam("journal"),
        started_us=NowUs(),
        seen_us=NowUs(),
    )
)
_FORFEIT = (
    update(REPLICA)
    .where(REPLICA.c.id == bindparam("replica"))
    .values(epoch=REPLICA.c.epoch + 1, forfeited_epoch=REPLICA.c.epoch)
)
_BEAT = (
    update(REPLICA)
    .where(REPLICA.c.id == bindparam("replica"), REPLICA.c.epoch == bindparam("at_epoch"))
    .values(seen_us=NowUs())
)
_OF_BALANCE = LEASE.c.limit_id.startswith(f"{LimitScope.BALANCE.value}:")
_REPLICAS = (
    select(
        REPLICA,
        func.sum(case((_OF_BALANCE, LEASE.c.granted_nano), else_=0)).label("granted_nano"),
        func.sum(case((_OF_BALANCE, LEASE.c.held_nano), else_=0)).label("held_nano"),
        func.count(LEASE.c.limit_id).label("leases"),
    )
    .outerjoin_from(
        REPLICA, LEASE, and_(LEASE.c.replica_id == REPLICA.c.id, LEASE.c.granted_nano > 0)
    )
    .group_by(REPLICA.c.id)
    .order_by(REPLICA.c.id)
)


def now_us(tx: Tx) -> int:
    """The database's clock."""
    return int(tx.execute(_NOW).scalar_one())


def limits(tx: Tx, ids: Collection[str], *, locked: bool) -> dict[str, LimitRow]:
    """The rows that exist, in the order of their ids; ``locked`` until the transaction ends."""
    statement = _LIMITS_LOCKED if locked else _LIMITS
    found = map(_limit, statement.rows(tx, {"ids": listed(ids)}))
    return {row.id: row for row in found}


def _limit(row: Any) -> LimitRow:
    name, scope, owner_id, window_id, period, *rest = row
    limit_nano, spent_nano, leased_nano, held_nano, recall = rest
    return LimitRow(
        id=name,
        scope=LimitScope(scope),
        owner_id=owner_id,
        window_id=window_id,
        period=Period(period),
        limit_nano=limit_nano,
        spent_nano=spent_nano,
        leased_nano=leased_nano,
        held_nano=held_nano,
        recall=recall,
    )


def open_limits(tx: Tx, rows: Iterable[LimitRow]) -> None:
    """Add rows that do not exist yet; those that do are left as they are."""
    values = [
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
        }
        for row in rows
    ]
    if values:
        tx.execute(_OPEN_LIMIT, values)


def move_limits(tx: Tx, rows: Iterable[LimitRow]) -> None:
    """Write what moved on locked rows; the table refuses overshoot."""
    values: list[Values] = [
        {
            "limit": row.id,
            "spent": row.spent_nano,
            "leased": row.leased_nano,
            "held": row.held_nano,
            "recalls": row.recall,
        }
        for row in rows
    ]
    _MOVE_LIMIT.many(tx, values)


def leases(tx: Tx, replica_id: str, ids: Collection[str] | None = None) -> dict[str, LeaseRow]:
    """The replica's leases, by limit id; all of them without ``ids``."""
    if ids is None:
        rows = _ALL_LEASES.rows(tx, {"replica": replica_id})
    else:
        rows = _LEASES.rows(tx, {"replica": replica_id, "ids": listed(ids)})
    return {
        limit_id: LeaseRow(
            limit_id=limit_id,
            granted_nano=granted_nano,
            held_nano=held_nano,
            recall_seen=recall_seen,
        )
        for limit_id, granted_nano, held_nano, recall_seen in rows
    }


def put_leases(tx: Tx, replica_id: str, rows: Iterable[LeaseRow]) -> None:
    values: list[Values] = [
        {
            "replica_id": replica_id,
            "limit_id": row.limit_id,
            "granted_nano": row.granted_nano,
            "held_nano": row.held_nano,
            "recall_seen": row.recall_seen,
        }
        for row in rows
    ]
    _PUT_LEASE.many(tx, values)


def drop_leases(tx: Tx, replica_id: str) -> None:
    """Forget the leases of a replica, whose money was given back before."""
    tx.execute(_DROP_LEASES, {"replica": replica_id})


def others(tx: Tx, replica_id: str, limit_id: str, silent_us: int) -> Others | None:
    """The other living replicas with a lease there; ``None`` where no other has one."""
    values = {"replica": replica_id, "limit": limit_id, "silent_us": silent_us}
    answered, idle_nano = tx.execute(_OTHERS, values).one()
    return None if answered is None else Others(answered, int(idle_nano))


def periods(tx: Tx, ids: Collection[str]) -> dict[str, Period]:
    """How often these limits begin anew; not locked."""
    return {name: Period(period) for name, period in _PERIODS.rows(tx, {"ids": listed(ids)})}


def recalled(tx: Tx, replica_id: str) -> dict[str, int]:
    """The recalls that this replica has not answered yet, by limit id."""
    return dict(map(tuple, _RECALLED.rows(tx, {"replica": replica_id})))


def next_round(tx: Tx, replica_id: str, epoch: int, number: int) -> int | None:
    """Take the next number; the forfeited epoch, or ``None`` when it is not this number's turn."""
    values: Values = {"replica": replica_id, "at_epoch": epoch, "number": number}
    for (forfeited_epoch,) in _NEXT_ROUND.rows(tx, values):
        return int(forfeited_epoch)
    return None


def replica(tx: Tx, replica_id: str, *, locked: bool = False) -> ReplicaLine | None:
    """The replica without its sums, which are 0 here."""
    statement = _REPLICA_LOCKED if locked else _REPLICA
    row = tx.execute(statement, {"replica": replica_id}).one_or_none()
    return None if row is None else _replica(row, 0, 0, 0)


def replicas(tx: Tx) -> tuple[ReplicaLine, ...]:
    """Every replica that ever was, with what it has leased."""
    return tuple(
        _replica(row, int(row.granted_nano), int(row.held_nano), row.leases)
        for row in tx.execute(_REPLICAS)
    )


def _replica(row: Any, granted_nano: int, held_nano: int, count: int) -> ReplicaLine:
    return ReplicaLine(
        id=row.id,
        epoch=row.epoch,
        rounds=row.rounds,
        journal_id=row.journal_id,
        forfeited_epoch=row.forfeited_epoch,
        started_us=row.started_us,
        seen_us=row.seen_us,
        granted_nano=granted_nano,
        held_nano=held_nano,
        leases=count,
    )


def add_replica(tx: Tx, replica_id: str, journal_id: str) -> None:
    row = {"id": replica_id, "epoch": 0, "rounds": 0, "journal_id": journal_id}
    tx.execute(_ADD_REPLICA, {**row, "forfeited_epoch": 0})


def enroll(tx: Tx, replica_id: str, journal_id: str) -> None:
    """Begin a new epoch: what an older process of that name still sends is refused."""
    tx.execute(_ENROLL, {"replica": replica_id, "journal": journal_id})


def forfeit(tx: Tx, replica_id: str) -> None:
    """Begin a new epoch, and mark all before it as forfeited."""
    tx.execute(_FORFEIT, {"replica": replica_id})


def beat(tx: Tx, replica_id: str, epoch: int) -> bool:
    """Say that the replica lives; False when its epoch is over."""
    return bool(tx.execute(_BEAT, {"replica": replica_id, "at_epoch": epoch}).rowcount == 1)
