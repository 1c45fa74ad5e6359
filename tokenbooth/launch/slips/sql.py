"""Statements on promises."""

from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from tokenbooth.core.ports import Tx
from tokenbooth.launch.slips.values import Promise
from tokenbooth.launch.stages.service import Stage
from tokenbooth.store.tables.launch import LAUNCH_SLIP

_C = LAUNCH_SLIP.c


def insert_promise(tx: Tx, promise: Promise) -> bool:
    """False when somebody else promised at the same moment; give the transaction up."""
    same = (_C.model == promise.model, _C.stage == promise.stage.value)
    last = tx.execute(select(func.coalesce(func.max(_C.sequence), 0)).where(*same)).scalar_one()
    try:
        tx.execute(
            insert(LAUNCH_SLIP).values(
                model=promise.model,
                stage=promise.stage.value,
                sequence=int(last) + 1,
                promised_us=promise.promised_us,
                early_us=promise.early_us,
                late_us=promise.late_us,
                reason=promise.reason,
                said_us=promise.said_us,
                author=promise.author,
            )
        )
    except IntegrityError:
        return False
    return True


def promises(tx: Tx) -> tuple[Promise, ...]:
    """Every promise of every model, oldest first."""
    rows = tx.execute(select(LAUNCH_SLIP).order_by(_C.said_us, _C.model, _C.stage, _C.sequence))
    return tuple(_promise(row) for row in rows)


def _promise(row: Any) -> Promise:
    return Promise(
        model=row.model,
        stage=Stage(row.stage),
        promised_us=row.promised_us,
        early_us=row.early_us,
        late_us=row.late_us,
        reason=row.reason,
        said_us=row.said_us,
        author=row.author,
    )
