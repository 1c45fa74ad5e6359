"""Verbs on stages; the only import surface of this noun."""

from collections.abc import Mapping

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.launch.stages import sql
from tokenbooth.launch.stages.rules import (
    OPEN_TO_ALL,
    checked_ask,
    door_of,
    gated_edges,
    part_refusal,
    refusal,
    stage_below,
)
from tokenbooth.launch.stages.values import WHOLE_MODEL, Door, Stage, StageAsk, Standing

__all__ = [
    "OPEN_TO_ALL",
    "WHOLE_MODEL",
    "Door",
    "Stage",
    "StageAsk",
    "Standing",
    "door",
    "door_of",
    "gated_edges",
    "history",
    "move",
    "part_refusal",
    "refusal",
    "stage_below",
    "standing",
    "standings",
]


def move(op: Op, tx: Tx, ask: StageAsk) -> Standing:
    """Decide the stage from now on; whether its gates pass was asked before.

    Raises INVALID_VALUE naming the field, or STATE_CONFLICT.
    """
    checked_ask(ask, op.now())
    before = standing(op, tx, ask.model, ask.capability)
    decided = Standing(
        model=ask.model,
        capability=ask.capability,
        sequence=1 if before is None else before.sequence + 1,
        stage=ask.stage,
        sunset_us=ask.sunset_us,
        successor=ask.successor,
        reason=ask.reason,
        report=ask.report,
        effective_us=op.now(),
        author=op.actor,
    )
    if not sql.insert_standing(tx, decided):
        raise Problem(
            Code.STATE_CONFLICT,
            f"Somebody else moved {ask.model!r} at this moment; look at it first.",
            param="model",
        )
    return decided


def standing(op: Op, tx: Tx, model: str, capability: str = WHOLE_MODEL) -> Standing | None:
    """``None`` where nothing was ever decided: then it is open to all."""
    found = sql.newest(tx, model)
    return next((each for each in found if each.capability == capability), None)


def standings(op: Op, tx: Tx) -> Mapping[str, tuple[Standing, ...]]:
    """What was decided last, by model."""
    found: dict[str, tuple[Standing, ...]] = {}
    for each in sql.newest_of_all(tx):
        found[each.model] = (*found.get(each.model, ()), each)
    return found


def history(op: Op, tx: Tx, model: str) -> tuple[Standing, ...]:
    """Every decision of a model, oldest first."""
    return sql.history(tx, model)


def door(op: Op, tx: Tx, model: str) -> Door | None:
    """What step 4 asks; ``None`` where the model is simply open."""
    return door_of(sql.newest(tx, model))
