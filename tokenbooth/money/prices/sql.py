"""Statements of the price book; a version and its lines are only ever inserted."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, func, insert, select

from tokenbooth.core.ports import Tx
from tokenbooth.money.prices.values import REQUIRED_METERS, Meter, Price, PriceVersion
from tokenbooth.store.tables.prices import PRICE_LINE, PRICE_VERSION

_LAST = select(func.max(PRICE_VERSION.c.sequence)).where(PRICE_VERSION.c.model == bindparam("name"))
_JOINED = select(
    PRICE_VERSION.c.id,
    PRICE_VERSION.c.model,
    PRICE_VERSION.c.sequence,
    PRICE_VERSION.c.author,
    PRICE_VERSION.c.effective_us,
    PRICE_LINE.c.meter,
    PRICE_LINE.c.unit_pico,
).join_from(PRICE_VERSION, PRICE_LINE)
_NEWEST_FIRST = PRICE_VERSION.c.sequence.desc()
_CURRENT = _JOINED.where(
    PRICE_VERSION.c.model == bindparam("name"), PRICE_VERSION.c.sequence == _LAST.scalar_subquery()
)
_HISTORY = _JOINED.where(PRICE_VERSION.c.model == bindparam("name")).order_by(_NEWEST_FIRST)
_VERSION = _JOINED.where(
    PRICE_VERSION.c.id == bindparam("version"), PRICE_VERSION.c.model == bindparam("name")
)
_INSERT_VERSION = insert(PRICE_VERSION)
_INSERT_LINE = insert(PRICE_LINE)


def last_sequence(tx: Tx, model: str) -> int:
    """0 when the model has no price yet."""
    return tx.execute(_LAST, {"name": model}).scalar() or 0


def add_version(tx: Tx, version: PriceVersion) -> None:
    price = version.price
    tx.execute(
        _INSERT_VERSION,
        {
            "id": price.version_id,
            "model": price.model,
            "sequence": version.sequence,
            "author": version.author,
            "effective_us": version.effective_us,
        },
    )
    tx.execute(
        _INSERT_LINE,
        [
            {"version_id": price.version_id, "meter": meter.value, "unit_pico": unit_pico}
            for meter, unit_pico in price.lines.items()
        ],
    )


def current(tx: Tx, model: str) -> Price | None:
    versions = _versions(tx, _CURRENT, {"name": model})
    return versions[0].price if versions else None


def version(tx: Tx, version_id: str, model: str) -> Price | None:
    versions = _versions(tx, _VERSION, {"version": version_id, "name": model})
    return versions[0].price if versions else None


def history(tx: Tx, model: str) -> tuple[PriceVersion, ...]:
    return _versions(tx, _HISTORY, {"name": model})


def _versions(tx: Tx, statement: Any, values: Mapping[str, str]) -> tuple[PriceVersion, ...]:
    """A version that lost a line is none."""
    heads: dict[str, Any] = {}
    lines: dict[str, dict[Meter, int]] = {}
    for row in tx.execute(statement, values):
        heads.setdefault(row.id, row)
        lines.setdefault(row.id, {})[Meter(row.meter)] = row.unit_pico
    return tuple(
        PriceVersion(Price(row.id, row.model, mine), row.sequence, row.author, row.effective_us)
        for row, mine in ((heads[name], lines[name]) for name in heads)
        if mine.keys() >= REQUIRED_METERS
    )
