"""Statements of spend alerts."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import BindParameter, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from tokenbooth.core.ports import Tx
from tokenbooth.money.alerts.values import CountedFrom
from tokenbooth.store.tables.audits import ALERT_BASE, ALERT_RULE

_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_RULES = select(ALERT_RULE.c.level_id, ALERT_RULE.c.percents).where(ALERT_RULE.c.level_id.in_(_IDS))
_BASES = select(ALERT_BASE).where(ALERT_BASE.c.level_id.in_(_IDS))
_DROP_RULE = delete(ALERT_RULE).where(ALERT_RULE.c.level_id == bindparam("level"))
_PUT_RULE = insert(ALERT_RULE)
_PUT_RULE = _PUT_RULE.on_conflict_do_update(
    index_elements=["level_id"],
    set_={
        "percents": _PUT_RULE.excluded.percents,
        "set_us": _PUT_RULE.excluded.set_us,
        "set_by": _PUT_RULE.excluded.set_by,
    },
)
_PUT_BASE = insert(ALERT_BASE)
_PUT_BASE = _PUT_BASE.on_conflict_do_update(
    index_elements=["level_id"],
    set_={
        "limit_nano": _PUT_BASE.excluded.limit_nano,
        "spent_nano": _PUT_BASE.excluded.spent_nano,
    },
)


def percents(tx: Tx, level_ids: Collection[str]) -> dict[str, tuple[int, ...]]:
    """The limits that have thresholds of their own."""
    return {
        row.level_id: tuple(int(part) for part in row.percents.split(",") if part)
        for row in tx.execute(_RULES, {"ids": list(level_ids)})
    }


def put_percents(tx: Tx, level_id: str, wanted: Sequence[int], set_us: int, set_by: str) -> None:
    row = {"level_id": level_id, "set_us": set_us, "set_by": set_by}
    tx.execute(_PUT_RULE, {**row, "percents": ",".join(map(str, wanted))})


def drop_percents(tx: Tx, level_id: str) -> None:
    tx.execute(_DROP_RULE, {"level": level_id})


def counted_from(tx: Tx, level_ids: Collection[str]) -> dict[str, CountedFrom]:
    return {
        row.level_id: CountedFrom(row.limit_nano, row.spent_nano)
        for row in tx.execute(_BASES, {"ids": list(level_ids)})
    }


def put_counted_from(tx: Tx, begins: Mapping[str, CountedFrom]) -> None:
    rows = [
        {"level_id": level_id, "limit_nano": begin.limit_nano, "spent_nano": begin.spent_nano}
        for level_id, begin in begins.items()
    ]
    if rows:
        tx.execute(_PUT_BASE, rows)
