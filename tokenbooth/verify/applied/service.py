"""Verbs on certificates in force; the only import surface of this noun."""

from dataclasses import replace

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.verify.applied import sql
from tokenbooth.verify.applied.rules import state_of
from tokenbooth.verify.applied.values import Applied, CapacityState

__all__ = ["Applied", "CapacityState", "applied", "applied_to", "apply", "state_of"]


def apply(op: Op, tx: Tx, wanted: Applied) -> Applied:
    """In force from now on, whatever was before; its sequence, time and author are set here.

    Raises STATE_CONFLICT when somebody else applies one at the same moment.
    """
    before = sql.select_one(tx, wanted.model)
    made = replace(
        wanted,
        sequence=1 if before is None else before.sequence + 1,
        effective_us=op.now(),
        author=op.actor,
    )
    if not sql.insert_applied(tx, made):
        raise Problem(
            Code.STATE_CONFLICT,
            f"Somebody else applied a certificate for {wanted.model!r} at this moment.",
            param="model",
        )
    return made


def applied(op: Op, tx: Tx) -> dict[str, Applied]:
    """What is in force, by the names of the models that have any."""
    return {each.model: each for each in sql.select_all(tx)}


def applied_to(op: Op, tx: Tx, model: str) -> Applied | None:
    return sql.select_one(tx, model)
