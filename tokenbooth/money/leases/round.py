"""One round: everything that a replica tells and asks the ledger, in one transaction.

Order matters on PostgreSQL: the rows of limits, for which every replica of an organization waits,
are locked last.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.alerts import service as alerts
from tokenbooth.money.alerts.service import DEFAULT_PERCENTS, SpendMove
from tokenbooth.money.leases import rules, sql
from tokenbooth.money.leases.records import sql as records
from tokenbooth.money.leases.values import (
    LeaseLine,
    LeaseRow,
    LevelKey,
    LimitRow,
    RoundAsk,
    RoundDone,
    SettledCall,
)
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.outbox import service as outbox
from tokenbooth.money.windows import Period, limit_id, window_left_us, window_named

SILENT_US = 10_000_000


@dataclass(slots=True)
class _Rows:
    """The locked limits and the replica's own leases, by limit id."""

    limits: dict[str, LimitRow]
    leases: dict[str, LeaseRow]
    wanted: Mapping[LevelKey, str]
    now_us: int

    def lease(self, name: str) -> LeaseRow:
        found = self.leases.get(name)
        return found or LeaseRow(limit_id=name, granted_nano=0, held_nano=0, recall_seen=0)

    def move(
        self, name: str, by: Callable[[LimitRow, LeaseRow], tuple[LimitRow, LeaseRow]]
    ) -> None:
        self.limits[name], self.leases[name] = by(self.limits[name], self.lease(name))


@dataclass(frozen=True, slots=True)
class _Unmet:
    """Limits where less was left than is needed; at ``waits`` it is another's turn to collect."""

    names: frozenset[str] = frozenset()
    waits: frozenset[str] = frozenset()


def book(
    op: Op, tx: Tx, ask: RoundAsk, alert_percents: Sequence[int] = DEFAULT_PERCENTS
) -> RoundDone:
    """Book the round once; the same number again returns the limits as they are now.

    What its spending passes of ``alert_percents``, or of a limit's own, goes into the outbox.
    Raises REPLICA_FENCED when the replica's epoch is over.
    """
    forfeited_epoch = sql.next_round(tx, ask.replica_id, ask.epoch, ask.number)
    if forfeited_epoch is None:
        _check_repeated(tx, ask)
        rows = _rows(tx, ask, ())
        return _done(tx, ask, rows, _Unmet())
    calls = _fresh(op, tx, ask, forfeited_epoch)
    rows = _rows(tx, ask, calls)
    spent = rules.spent_by_limit(calls)
    outbox.put(op, tx, alerts.events_for(op, tx, _moves(calls, rows, spent), alert_percents))
    for name, cost_nano in spent.items():
        rows.move(name, partial(rules.spend, cost_nano=cost_nano))
    for name, giving in ask.givings.items():
        rows.move(name, partial(rules.give, giving=giving))
    for name, recall in ask.seen.items():
        seen = max(recall, rows.lease(name).recall_seen)
        rows.leases[name] = replace(rows.lease(name), recall_seen=seen)
    unmet = _grant(tx, ask, rows)
    sql.move_limits(tx, rows.limits.values())
    sql.put_leases(tx, ask.replica_id, rows.leases.values())
    return _done(tx, ask, rows, unmet)


def _moves(
    calls: Iterable[SettledCall], rows: _Rows, spent: Mapping[str, int]
) -> tuple[SpendMove, ...]:
    """What each limit had spent before this round, and what after it."""
    owners = {name: call.facts.org_id for call in calls for name in call.facts.chain}
    return tuple(
        SpendMove(
            scope=rows.limits[name].scope,
            owner_id=rows.limits[name].owner_id,
            window_id=rows.limits[name].window_id,
            org_id=owners[name],
            limit_nano=rows.limits[name].limit_nano,
            before_nano=rows.limits[name].spent_nano,
            after_nano=rows.limits[name].spent_nano + cost_nano,
        )
        for name, cost_nano in spent.items()
    )


def _check_repeated(tx: Tx, ask: RoundAsk) -> None:
    known = sql.replica(tx, ask.replica_id)
    if known is None or known.epoch != ask.epoch:
        raise Problem(
            Code.REPLICA_FENCED, f"The epoch {ask.epoch} of replica {ask.replica_id!r} is over."
        )
    assert known.round == ask.number, f"round {ask.number} after round {known.round}"


def _fresh(op: Op, tx: Tx, ask: RoundAsk, forfeited_epoch: int) -> tuple[SettledCall, ...]:
    """Write the records of calls that are not booked yet, with one charge per organization."""
    if not ask.settled and not ask.announced:
        return ()
    known = records.states(tx, [call.facts.request_id for call in ask.settled])
    calls = tuple(
        rules.booked(call, forfeited_epoch)
        for call in ask.settled
        if known.get(call.facts.request_id, "open") == "open"
    )
    ref = f"{ask.replica_id}/{ask.epoch}/{ask.number}"
    txns = ledger.charge(op, tx, rules.spent_by_org(calls), ref)
    records.add(tx, (c for c in calls if c.facts.request_id not in known), ask.replica_id, txns)
    records.close(tx, (c for c in calls if c.facts.request_id in known), txns)
    records.announce(tx, ask.announced, ask.replica_id, ask.epoch)
    return calls


def _rows(tx: Tx, ask: RoundAsk, calls: tuple[SettledCall, ...]) -> _Rows:
    """Lock what the round touches; levels and windows that nobody opened are opened."""
    ids = {name for call in calls for name in call.facts.chain} | ask.givings.keys()
    ids |= {_name(want.level) for want in ask.wants}
    found = sql.limits(tx, ids, locked=True)
    missing = [
        _empty(want.level.scope, want.level.owner_id)
        for want in ask.wants
        if _name(want.level) not in found
    ]
    if missing:
        sql.open_limits(tx, missing)
        found |= sql.limits(tx, [row.id for row in missing], locked=True)
    now_us = sql.now_us(tx) if any(row.period is not Period.NONE for row in found.values()) else 0
    wanted, windows = {}, {}
    for want in ask.wants:
        row = found[_name(want.level)]
        if want.level.window_id is None and row.period is not Period.NONE:
            window = rules.window_row(row, now_us)
            windows[window.id] = window
            row = window
        wanted[want.level] = row.id
    new = {name: window for name, window in windows.items() if name not in found}
    if new:
        sql.open_limits(tx, new.values())
        found |= sql.limits(tx, new, locked=True)
    patterns = [name for name, row in found.items() if rules.is_pattern(row)]
    for name in patterns:
        del found[name]
    return _Rows(found, sql.leases(tx, ask.replica_id, found), wanted, now_us)


def _name(level: LevelKey) -> str:
    return limit_id(level.scope, level.owner_id, level.window_id or "")


def _empty(scope: LimitScope, owner_id: str) -> LimitRow:
    """A level nobody opened: no money on a balance, no cap elsewhere."""
    return LimitRow(
        id=limit_id(scope, owner_id),
        scope=scope,
        owner_id=owner_id,
        window_id="",
        period=Period.NONE,
        limit_nano=0 if scope is LimitScope.BALANCE else None,
        spent_nano=0,
        leased_nano=0,
        held_nano=0,
        recall=0,
    )


def _grant(tx: Tx, ask: RoundAsk, rows: _Rows) -> _Unmet:
    """Grant what there is; where that is less than the need, collect what others do not use.

    One replica collects at a limit at a time, for half a second at most, or two that each have a
    part would take it from each other for ever. Turns are taken in the order of the limits' ids:
    who has to wait at one takes none behind it.
    """
    unmet: set[str] = set()
    waits: set[str] = set()
    recalls: dict[str, bool] = {}
    for want in sorted(ask.wants, key=lambda want: rows.wanted[want.level]):
        name = rows.wanted[want.level]
        row = rows.limits[name]
        by = rules.collector(row, _now_us(tx, rows)) if row.turn_by else ""
        if by not in ("", ask.replica_id):
            if want.needed_nano:
                unmet.add(name)
                waits.add(name)
            continue
        amount_nano = rules.grant_nano(row, want)
        if amount_nano:
            rows.move(name, partial(rules.grant, amount_nano=amount_nano))
        if amount_nano < want.needed_nano:
            unmet.add(name)
            recalls[name] = want.recall or by != ask.replica_id
    for name in sql.others(tx, ask.replica_id, recalls) if recalls else ():
        if any(earlier < name for earlier in waits):
            rows.limits[name] = rules.turn_over(rows.limits[name], ask.replica_id)
            waits.add(name)
        elif recalls[name]:
            row = rules.turn_taken(rows.limits[name], ask.replica_id, _now_us(tx, rows))
            rows.limits[name] = row
            rows.leases[name] = replace(rows.lease(name), recall_seen=row.recall)
    waiting = ask.waiting | set(rows.wanted.values())
    for name, row in rows.limits.items():
        if name not in waiting:
            rows.limits[name] = rules.turn_over(row, ask.replica_id)
    return _Unmet(frozenset(unmet), frozenset(waits))


def _now_us(tx: Tx, rows: _Rows) -> int:
    if not rows.now_us:
        rows.now_us = sql.now_us(tx)
    return rows.now_us


def _done(tx: Tx, ask: RoundAsk, rows: _Rows, unmet: _Unmet) -> RoundDone:
    behind = unmet.waits
    if unmet.names:
        behind |= sql.behind(tx, ask.replica_id, unmet.names, SILENT_US)
    lines = {
        name: LeaseLine(
            row=row,
            granted_nano=rows.lease(name).granted_nano,
            unmet=name in unmet.names,
            behind=name in behind,
            turn=row.turn_by == ask.replica_id,
            left_us=window_left_us(window_named(row.period, row.window_id), rows.now_us),
        )
        for name, row in rows.limits.items()
    }
    return RoundDone(ask.number, lines, rows.wanted)
