"""Verbs of spend alerts."""

from collections.abc import Sequence

from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.alerts import sql
from tokenbooth.money.alerts.rules import alerts_of, checked_percents, counted_from
from tokenbooth.money.alerts.values import DEFAULT_PERCENTS, CountedFrom, SpendMove
from tokenbooth.money.outbox.service import Event

__all__ = [
    "DEFAULT_PERCENTS",
    "SpendMove",
    "checked_percents",
    "events_for",
    "percents_of",
    "set_percents",
]


def events_for(
    op: Op, tx: Tx, moves: Sequence[SpendMove], default_percents: Sequence[int]
) -> tuple[Event, ...]:
    """The alerts that these moves cause, for the outbox of the same transaction.

    Call it where spent money is moved, with the limits still locked: a crossing is seen by the
    one transaction that makes it. Reads the thresholds of the limits, and for balances notes where
    counting begins; writes no event itself.
    """
    if not moves:
        return ()
    own = sql.percents(tx, {move.level_id for move in moves})
    known = sql.counted_from(tx, _balances(moves))
    begins: dict[str, CountedFrom] = {}
    now_us = op.now()
    found: list[Event] = []
    for move in moves:
        begin = counted_from(move, known.get(move.level_id))
        if begin is not None and begin != known.get(move.level_id):
            begins[move.level_id] = begin
        percents = own.get(move.level_id, default_percents)
        found.extend(alerts_of(move, begin, percents, now_us))
    sql.put_counted_from(tx, begins)
    return tuple(found)


def _balances(moves: Sequence[SpendMove]) -> set[str]:
    return {move.level_id for move in moves if move.scope is LimitScope.BALANCE}


def percents_of(op: Op, tx: Tx, scope: LimitScope, owner_id: str) -> tuple[int, ...] | None:
    """The thresholds of this limit alone; ``None`` where the booth's own hold."""
    level_id = f"{scope.value}:{owner_id}"
    return sql.percents(tx, (level_id,)).get(level_id)


def set_percents(
    op: Op, tx: Tx, scope: LimitScope, owner_id: str, percents: Sequence[int] | None
) -> None:
    """Thresholds of one limit, in all its windows; empty for no alerts, ``None`` for the booth's.

    Raises INVALID_VALUE for what are no rising percentages.
    """
    level_id = f"{scope.value}:{owner_id}"
    if percents is None:
        sql.drop_percents(tx, level_id)
    else:
        checked = checked_percents(percents, param="percents")
        sql.put_percents(tx, level_id, checked, op.now(), op.actor)
