"""Verbs on promises; the only import surface of this noun."""

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.launch.slips import sql
from tokenbooth.launch.slips.rules import is_ahead, ratios_permille, slipped_us
from tokenbooth.launch.slips.values import Promise

__all__ = ["Promise", "promise", "promises", "ratios_permille", "slipped_us"]


def promise(op: Op, tx: Tx, said: Promise) -> Promise:
    """Write down a promised date; nothing that was promised before is forgotten.

    Raises INVALID_VALUE naming the field, or STATE_CONFLICT.
    """
    if not is_ahead(said.promised_us, op.now()):
        raise Problem(
            Code.INVALID_VALUE, "A date is promised for later, before the year 9999.", param="by"
        )
    if not said.reason.strip() or len(said.reason) > 500 or not said.reason.isprintable():
        raise Problem(
            Code.INVALID_VALUE, "Say why, in up to 500 printable characters.", param="reason"
        )
    if not sql.insert_promise(tx, said):
        raise Problem(Code.STATE_CONFLICT, "Somebody else promised at this moment.", param="by")
    return said


def promises(op: Op, tx: Tx) -> tuple[Promise, ...]:
    """Everything that was ever promised of any model, oldest first."""
    return sql.promises(tx)
