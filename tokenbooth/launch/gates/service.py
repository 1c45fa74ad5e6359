"""Verbs on gates; the only import surface of this noun."""

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.launch.gates import sql
from tokenbooth.launch.gates.policy import read_policy
from tokenbooth.launch.gates.rules import figure_at, judge, read, shown
from tokenbooth.launch.gates.values import (
    NO_POLICY,
    Case,
    Gate,
    Mark,
    Need,
    Outcome,
    Policy,
    Reading,
    Sense,
    Waiver,
)
from tokenbooth.launch.stages.service import Stage

__all__ = [
    "NO_POLICY",
    "Case",
    "Gate",
    "Mark",
    "Need",
    "Outcome",
    "Policy",
    "Reading",
    "Sense",
    "Waiver",
    "figure_at",
    "judge",
    "read",
    "read_policy",
    "shown",
    "waive",
    "waivers",
]

WAIVED_MAX_US = 90 * 86_400_000_000


def waive(op: Op, tx: Tx, waiver: Waiver) -> Waiver:
    """Let a gate be until a day, at most 90 days from now. Raises INVALID_VALUE naming the field,
    or STATE_CONFLICT."""
    for param, said in (("owner", waiver.owner), ("reason", waiver.reason)):
        if not said.strip() or len(said) > 300 or not said.isprintable():
            raise Problem(
                Code.INVALID_VALUE,
                f"A waiver names its {param}, in up to 300 printable characters.",
                param=param,
            )
    if not op.now() < waiver.expires_us <= op.now() + WAIVED_MAX_US:
        raise Problem(
            Code.INVALID_VALUE, "A waiver ends within the next 90 days.", param="waive-until"
        )
    if not sql.insert_waiver(tx, waiver):
        raise Problem(
            Code.STATE_CONFLICT, "Somebody else waived this gate at this moment.", param="waive"
        )
    return waiver


def waivers(op: Op, tx: Tx, model: str, stages: tuple[Stage, ...]) -> tuple[Waiver, ...]:
    """Those of these edges that still hold."""
    found = sql.waivers(tx, model)
    return tuple(each for each in found if each.stage in stages and op.now() < each.expires_us)
