"""Verbs of limits: opened, set, and read in the window of the moment."""

from msgspec import structs

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState
from tokenbooth.money.ledger import sql
from tokenbooth.money.ledger.rules import check_cap, check_used, empty_row, window_row
from tokenbooth.money.ledger.values import Chain, LimitRow
from tokenbooth.money.windows import Period, limit_id


def open_limit(
    op: Op,
    tx: Tx,
    scope: LimitScope,
    owner_id: str,
    limit_nano: int | None,
    period: Period = Period.NONE,
) -> None:
    """Open a level; ``None`` is uncapped, and a balance opens empty. A cap begins anew each
    ``period``.

    Opening it again with the same cap changes nothing. Raises ALREADY_EXISTS when it is open with
    another cap, and what ``set_limit`` raises.
    """
    check_cap(scope, limit_nano, period)
    row = empty_row(scope, owner_id)
    if scope is LimitScope.BALANCE:
        sql.open_accounts(tx, owner_id)
    else:
        row = structs.replace(row, limit_nano=limit_nano, period=period)
    if not sql.add_limit(tx, row):
        present = sql.rows(tx, (row.id,))[row.id]
        same = present.limit_nano == limit_nano and present.period is period
        if scope is not LimitScope.BALANCE and not same:
            raise Problem(
                Code.ALREADY_EXISTS, f"The {scope.value} {owner_id} has a cap already; change it."
            )


def set_limit(
    op: Op,
    tx: Tx,
    scope: LimitScope,
    owner_id: str,
    limit_nano: int | None,
    period: Period | None = None,
) -> None:
    """Change a hard cap and the window of the moment; ``None`` lifts it.

    Without ``period`` it renews as before. With another one, counting begins anew: what was spent
    in the windows of one rhythm does not count in those of another. Raises STATE_CONFLICT below
    what is spent and leased, or for a balance; INVALID_VALUE for a cap that cannot be booked.
    """
    if scope is LimitScope.BALANCE:
        raise Problem(Code.STATE_CONFLICT, "A balance changes only by credit.", param="limit")
    row = sql.locked_row(tx, scope, owner_id)
    if period is None:
        period = Period.NONE if limit_nano is None else row.period
    check_cap(scope, limit_nano, period)
    after = structs.replace(row, limit_nano=limit_nano, period=period)
    counts = _counting(tx, after, locked=True)
    check_used(counts, limit_nano)
    for name in {row.id, counts.id}:
        sql.set_limit(tx, name, limit_nano, period)
    if period is not row.period:
        sql.recall(tx, _counting(tx, row, locked=False).id)


def limits(op: Op, tx: Tx, chain: Chain) -> tuple[LimitState, ...]:
    """The states in the order of the chain, in the windows of the moment; a level that nobody
    opened is empty."""
    ids = [limit_id(*level) for level in chain]
    found = sql.rows(tx, ids)
    rows = [found.get(name) or empty_row(*level) for name, level in zip(ids, chain, strict=True)]
    if any(row.period is not Period.NONE for row in rows):
        now_us = sql.now_us(tx)
        rows = [window_row(r, now_us) if r.period is not Period.NONE else r for r in rows]
        windows = sql.rows(tx, [row.id for row in rows if row.window_id])
        rows = [windows.get(row.id, row) for row in rows]
    return tuple(row.state() for row in rows)


def _counting(tx: Tx, row: LimitRow, *, locked: bool) -> LimitRow:
    """The row that counts now for the limit: itself, or its window of the moment."""
    if row.period is Period.NONE:
        return row
    window = window_row(row, sql.now_us(tx))
    return sql.rows(tx, (window.id,), locked=locked).get(window.id, window)
