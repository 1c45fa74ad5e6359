"""Statements on certificates in force."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from tokenbooth.core.ports import Tx
from tokenbooth.store.tables.certificates import CERTIFICATE
from tokenbooth.verify.applied.values import Applied

_LAST = (
    select(CERTIFICATE.c.model, func.max(CERTIFICATE.c.sequence).label("sequence"))
    .group_by(CERTIFICATE.c.model)
    .subquery()
)
_NEWEST = select(CERTIFICATE).join(
    _LAST,
    (CERTIFICATE.c.model == _LAST.c.model) & (CERTIFICATE.c.sequence == _LAST.c.sequence),
)


def insert_applied(tx: Tx, applied: Applied) -> bool:
    """False when somebody else applied one at the same moment; give the transaction up."""
    try:
        tx.execute(insert(CERTIFICATE).values(**asdict(applied)))
    except IntegrityError:
        return False
    return True


def select_all(tx: Tx) -> tuple[Applied, ...]:
    return tuple(_applied(row) for row in tx.execute(_NEWEST))


def select_one(tx: Tx, model: str) -> Applied | None:
    row = tx.execute(_NEWEST.where(CERTIFICATE.c.model == model)).first()
    return None if row is None else _applied(row)


def _applied(row: Any) -> Applied:
    return Applied(**row._mapping)
