"""One round: everything that a replica tells and asks the ledger, in one transaction.

Order matters on PostgreSQL: the rows of limits, for which every replica of an organization waits,
are locked last.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache, partial

from msgspec import structs

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.alerts import service as alerts
from tokenbooth.money.alerts.service import DEFAULT_PERCENTS, SpendMove
from tokenbooth.money.leases import rules, sql
from tokenbooth.money.leases.grants import Grants
from tokenbooth.money.leases.records import sql as records
from tokenbooth.money.leases.rows import Rows, locked_rows
from tokenbooth.money.leases.values import (
    Answer,
    LeaseRow,
    LevelKey,
    LimitRow,
    Others,
    RoundAsk,
    RoundDone,
    SettledCall,
)
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.outbox import service as outbox

SILENT_US = 10_000_000

Calls = tuple[SettledCall, ...]


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
        # What it wanted may stand for another window by now: all that it was granted is told.
        granted = sql.leases(tx, ask.replica_id)
        return _done(ask, _locked(tx, ask, granted), ())
    calls = _fresh(op, tx, ask, forfeited_epoch)
    rows = _locked(tx, ask, {name for call in calls for name in call.facts.chain})
    spent = rules.spent_by_limit(calls)
    moves = tuple(_moves(calls, rows.limits, spent))
    outbox.put(op, tx, alerts.events_for(op, tx, moves, alert_percents))
    for name, cost_nano in spent.items():
        if ask.recovers:
            rows.move(name, partial(rules.cover, cost_nano=cost_nano))
        rows.move(name, partial(rules.spend, cost_nano=cost_nano))
    _give(ask, rows)
    answers = _grant(tx, ask, rows)
    rows.write(tx, ask.replica_id)
    return _done(ask, rows, answers)


def _check_repeated(tx: Tx, ask: RoundAsk) -> None:
    known = sql.replica(tx, ask.replica_id, locked=True)
    if known is None or known.epoch != ask.epoch:
        raise Problem(
            Code.REPLICA_FENCED, f"The epoch {ask.epoch} of replica {ask.replica_id!r} is over."
        )
    assert known.rounds == ask.number, f"round {ask.number} after round {known.rounds}"


def _fresh(op: Op, tx: Tx, ask: RoundAsk, forfeited_epoch: int) -> Calls:
    """Write the records of calls that are not booked yet, with one charge per organization."""
    if not ask.settled and not ask.announced:
        return ()
    known = records.states(tx, [call.facts.request_id for call in ask.settled])
    booked = tuple(rules.booked(call, forfeited_epoch) for call in ask.settled)
    calls = tuple(c for c in booked if known.get(c.facts.request_id, "open") == "open")
    records.add_losses(tx, (c for c in booked if known.get(c.facts.request_id) == "void"))
    ref = f"{ask.replica_id}/{ask.epoch}/{ask.number}"
    txns = ledger.charge(op, tx, rules.spent_by_org(calls), ref)
    records.add(tx, (c for c in calls if c.facts.request_id not in known), ask.replica_id, txns)
    records.close(tx, (c for c in calls if c.facts.request_id in known), txns)
    records.announce(tx, ask.announced, ask.replica_id, ask.epoch)
    return calls


def _locked(tx: Tx, ask: RoundAsk, names: Collection[str]) -> Rows:
    touched = {*names, *ask.givings, *ask.seen}
    return locked_rows(tx, ask.replica_id, _keys(ask), touched)


def _keys(ask: RoundAsk) -> frozenset[LevelKey]:
    """Every level that is wanted."""
    calls = {key for want in ask.wants.calls for key in want.chain}
    return frozenset(calls.union(advance.level for advance in ask.wants.advances))


def _moves(
    calls: Calls, limits: Mapping[str, LimitRow], spent: Mapping[str, int]
) -> Iterator[SpendMove]:
    """What each limit had spent before this round, and what after it."""
    owners = {name: call.facts.org_id for call in calls for name in call.facts.chain}
    for name, cost_nano in spent.items():
        row = limits[name]
        yield SpendMove(
            scope=row.scope,
            owner_id=row.owner_id,
            window_id=row.window_id,
            org_id=owners[name],
            limit_nano=row.limit_nano,
            before_nano=row.spent_nano,
            after_nano=row.spent_nano + cost_nano,
        )


def _give(ask: RoundAsk, rows: Rows) -> None:
    """Take back what is returned; of a limit that the replica does not know any more, all."""
    for name, giving in ask.givings.items():
        rows.move(name, partial(rules.give, giving=giving))
    for name, recall in ask.seen.items():
        if name not in ask.givings:
            rows.move(name, partial(rules.give, giving=rules.closed(rows.lease(name))))
        rows.move(name, partial(_seen, recall=recall))


def _seen(row: LimitRow, lease: LeaseRow, recall: int) -> tuple[LimitRow, LeaseRow]:
    return row, structs.replace(lease, recall_seen=max(recall, lease.recall_seen))


def _recalled(row: LimitRow, lease: LeaseRow, recall: int) -> tuple[LimitRow, LeaseRow]:
    return structs.replace(row, recall=recall), lease


def _grant(tx: Tx, ask: RoundAsk, rows: Rows) -> tuple[Answer, ...]:
    """Lease what the wants get, and recall what others have where that was too little."""
    others = cache(partial(_others, tx, ask.replica_id))  # the same for all who find too little
    grants = Grants(rows.limits, rows.leases, others)
    answers = tuple(
        grants.answer(want, tuple(rows.wanted[key] for key in want.chain))
        for want in ask.wants.calls
    )
    for advance in ask.wants.advances:
        name = rows.wanted[advance.level]
        if name not in ask.seen:  # what is given back to others is not taken again at once
            grants.advance(name, advance.block_nano)
    for name, amount_nano in (+grants.granted_nano).items():
        rows.move(name, partial(rules.grant, amount_nano=amount_nano))
    for name, recall in grants.recalls.items():
        rows.move(name, partial(_recalled, recall=recall))
    return answers


def _others(tx: Tx, replica_id: str, name: str) -> Others | None:
    return sql.others(tx, replica_id, name, SILENT_US)


def _done(ask: RoundAsk, rows: Rows, answers: tuple[Answer, ...]) -> RoundDone:
    lines = {name: rows.line(name) for name in rows.limits}
    return RoundDone(ask.number, lines, rows.wanted, answers)
