"""Statements on stages."""

from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from tokenbooth.core.ports import Tx
from tokenbooth.launch.stages.values import Stage, Standing
from tokenbooth.store.tables.launch import LAUNCH_STAGE

_C = LAUNCH_STAGE.c
_LAST = (
    select(_C.model, _C.capability, func.max(_C.sequence).label("sequence"))
    .group_by(_C.model, _C.capability)
    .subquery()
)
_NEWEST = (
    select(LAUNCH_STAGE)
    .join(
        _LAST,
        (_C.model == _LAST.c.model)
        & (_C.capability == _LAST.c.capability)
        & (_C.sequence == _LAST.c.sequence),
    )
    .order_by(_C.model, _C.capability)
)


def insert_standing(tx: Tx, standing: Standing) -> bool:
    """False when somebody else decided at the same moment; give the transaction up."""
    try:
        tx.execute(
            insert(LAUNCH_STAGE).values(
                model=standing.model,
                capability=standing.capability,
                sequence=standing.sequence,
                stage=standing.stage.value,
                sunset_us=standing.sunset_us,
                successor=standing.successor,
                reason=standing.reason,
                report=standing.report,
                effective_us=standing.effective_us,
                author=standing.author,
            )
        )
    except IntegrityError:
        return False
    return True


def newest(tx: Tx, model: str) -> tuple[Standing, ...]:
    """Of the model and of each of its capabilities that anything was decided of."""
    last = (
        select(_C.capability, func.max(_C.sequence).label("sequence"))
        .where(_C.model == model)
        .group_by(_C.capability)
        .subquery()
    )
    found = select(LAUNCH_STAGE).join(
        last, (_C.capability == last.c.capability) & (_C.sequence == last.c.sequence)
    )
    return tuple(_standing(row) for row in tx.execute(found.where(_C.model == model)))


def newest_of_all(tx: Tx) -> tuple[Standing, ...]:
    return tuple(_standing(row) for row in tx.execute(_NEWEST))


def history(tx: Tx, model: str) -> tuple[Standing, ...]:
    """Everything that was ever decided of a model, oldest first."""
    rows = tx.execute(
        select(LAUNCH_STAGE)
        .where(_C.model == model)
        .order_by(_C.effective_us, _C.capability, _C.sequence)
    )
    return tuple(_standing(row) for row in rows)


def _standing(row: Any) -> Standing:
    return Standing(
        model=row.model,
        capability=row.capability,
        sequence=row.sequence,
        stage=Stage(row.stage),
        sunset_us=row.sunset_us,
        successor=row.successor,
        reason=row.reason,
        report=row.report,
        effective_us=row.effective_us,
        author=row.author,
    )
