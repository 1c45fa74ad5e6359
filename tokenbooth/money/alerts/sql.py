"""Statements of spend alerts."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from tokenbooth.core.ports import Tx
from tokenbooth.money.alerts.values import CountedFrom
from tokenbooth.store.listing import listed, listing
from tokenbooth.store.prepared import Prepared
from tokenbooth.store.tables.audits import ALERT_BASE, ALERT_RULE

_IDS = select(listing("ids").c.value)
_RULES = Prepared(
    select(ALERT_RULE.c.level_id, ALERT_RULE.c.percents).where(ALERT_RULE.c.level_id.in_(_IDS))
)
_BASES = Prepared(
    select(ALERT_BASE.c.level_id, ALERT_BASE.c.limit_nano, ALERT_BASE.c.spent_nano).where(
        ALERT_BASE.c.level_id.in_(_IDS)
    )
)
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
        level_id: tuple(int(part) for part in found.split(",") if part)
        for level_id, found in _RULES.rows(tx, {"ids": listed(level_ids)})
    }


def put_percents(tx: Tx, level_id: str, wanted: Sequence[int], set_us: int, set_by: str) -> None:
    row = {"level_id": level_id, "set_us": set_us, "set_by": set_by}
    tx.execute(_PUT_RULE, {**row, "percents": ",".join(map(str, wanted))})


def drop_percents(tx: Tx, level_id: str) -> None:
    tx.execute(_DROP_RULE, {"level": level_id})


def counted_from(tx: Tx, level_ids: Collection[str]) -> dict[str, CountedFrom]:
    return {
        level_id: CountedFrom(limit_nano, spent_nano)
        for level_id, limit_nano, spent_nano in _BASES.rows(tx, {"ids": listed(level_ids)})
    }


def put_counted_from(tx: Tx, begins: Mapping[str, CountedFrom]) -> None:
    rows = [
        {"level_id": level_id, "limit_nano": begin.limit_nano, "spent_nano": begin.spent_nano}
        for level_id, begin in begins.items()
    ]
    if rows:
        tx.execute(_PUT_BASE, rows)
