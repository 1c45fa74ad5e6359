"""Statements on waivers."""

from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from tokenbooth.core.ports import Tx
from tokenbooth.launch.gates.values import Waiver
from tokenbooth.launch.stages.service import Stage
from tokenbooth.store.tables.launch import LAUNCH_WAIVER

_C = LAUNCH_WAIVER.c


def insert_waiver(tx: Tx, waiver: Waiver) -> bool:
    """False when somebody else waived the same at this moment; give the transaction up."""
    same = (_C.model == waiver.model, _C.stage == waiver.stage.value, _C.gate == waiver.gate)
    last = tx.execute(select(func.coalesce(func.max(_C.sequence), 0)).where(*same)).scalar_one()
    try:
        tx.execute(
            insert(LAUNCH_WAIVER).values(
                model=waiver.model,
                stage=waiver.stage.value,
                gate=waiver.gate,
                sequence=int(last) + 1,
                owner=waiver.owner,
                reason=waiver.reason,
                expires_us=waiver.expires_us,
                granted_us=waiver.granted_us,
                granted_by=waiver.granted_by,
            )
        )
    except IntegrityError:
        return False
    return True


def waivers(tx: Tx, model: str) -> tuple[Waiver, ...]:
    """All that were ever granted for a model, oldest first."""
    rows = tx.execute(select(LAUNCH_WAIVER).where(_C.model == model).order_by(_C.granted_us))
    return tuple(_waiver(row) for row in rows)


def _waiver(row: Any) -> Waiver:
    return Waiver(
        model=row.model,
        stage=Stage(row.stage),
        gate=row.gate,
        owner=row.owner,
        reason=row.reason,
        expires_us=row.expires_us,
        granted_us=row.granted_us,
        granted_by=row.granted_by,
    )
