"""The limits that a round touches, locked until its transaction ends, and the leases on them."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from tokenbooth.core.ports import Tx
from tokenbooth.money.leases import rules, sql
from tokenbooth.money.leases.values import LeaseLine, LeaseRow, LevelKey, LimitRow
from tokenbooth.money.ledger.service import empty_row, window_row
from tokenbooth.money.windows import Period, limit_id, window_left_us, window_named

Move = Callable[[LimitRow, LeaseRow], tuple[LimitRow, LeaseRow]]


@dataclass(slots=True)
class Rows:
    """Limits and the replica's own leases, by limit id; ``wanted`` are the ids of named levels.

    ``periods`` says how the cap of each limit's owner begins anew now. ``moved`` are the limits
    that have to be written, ``told`` the leases.
    """

    limits: dict[str, LimitRow]
    leases: dict[str, LeaseRow]
    wanted: Mapping[LevelKey, str]
    periods: Mapping[str, Period]
    now_us: int
    moved: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)

    def lease(self, name: str) -> LeaseRow:
        found = self.leases.get(name)
        return found or LeaseRow(limit_id=name, granted_nano=0, held_nano=0, recall_seen=0)

    def move(self, name: str, by: Move) -> None:
        """Change a limit and the lease on it."""
        before = self.limits[name], self.lease(name)
        self.limits[name], self.leases[name] = by(*before)
        if self.limits[name] != before[0]:
            self.moved.add(name)
        if self.leases[name] != before[1]:
            self.told.add(name)

    def write(self, tx: Tx, replica_id: str) -> None:
        sql.move_limits(tx, (self.limits[name] for name in sorted(self.moved)))
        sql.put_leases(tx, replica_id, (self.leases[name] for name in sorted(self.told)))

    def line(self, name: str) -> LeaseLine:
        row = self.limits[name]
        left_us = window_left_us(window_named(row.period, row.window_id), self.now_us)
        current = rules.is_current(row, self.periods[name])
        return LeaseLine(row, self.lease(name).granted_nano, left_us, current)


def locked_rows(
    tx: Tx, replica_id: str, keys: Collection[LevelKey], touched: Collection[str]
) -> Rows:
    """Lock the touched limits and those that the keys stand for; absent ones are opened."""
    found = _opened(tx, keys, touched)
    periods, now_us = _periods(tx, found), 0
    if any(period is not Period.NONE for period in periods.values()):
        now_us = sql.now_us(tx)
    wanted, new = {}, {}
    for key in keys:
        row = found[_name(key)]
        if key.window_id is None and row.period is not Period.NONE:
            row = window_row(row, now_us)
            new[row.id] = row
        wanted[key] = row.id
    missing = new.keys() - found.keys()
    if missing:
        sql.open_limits(tx, (new[name] for name in sorted(missing)))
        found |= sql.limits(tx, missing, locked=True)
    rows = {name: found[name] for name in {*touched, *wanted.values()}}
    own = {name: periods[_base(row)] for name, row in rows.items()}
    return Rows(rows, sql.leases(tx, replica_id, rows), wanted, own, now_us)


def _opened(tx: Tx, keys: Iterable[LevelKey], touched: Collection[str]) -> dict[str, LimitRow]:
    """By id; a renewing cap itself where the window of the moment was asked for."""
    named = {_name(key): key for key in keys}
    found = sql.limits(tx, {*named, *touched}, locked=True)
    missing = sorted(named.keys() - found.keys())
    if missing:
        sql.open_limits(tx, (_empty(named[name]) for name in missing))
        found |= sql.limits(tx, missing, locked=True)
    return found


def _periods(tx: Tx, found: Mapping[str, LimitRow]) -> dict[str, Period]:
    """How each owner's cap begins anew, by the id that it has without a window."""
    periods = {name: row.period for name, row in found.items() if not row.window_id}
    missing = {_base(row) for row in found.values()} - periods.keys()
    return periods | sql.periods(tx, missing) if missing else periods


def _empty(level: LevelKey) -> LimitRow:
    return empty_row(level.scope, level.owner_id)


def _base(row: LimitRow) -> str:
    return limit_id(row.scope, row.owner_id)


def _name(level: LevelKey) -> str:
    return limit_id(level.scope, level.owner_id, level.window_id or "")
