"""Verbs of the price book."""

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Ids, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.prices import sql
from tokenbooth.money.prices.rules import (
    UNBOUNDED_TOKENS,
    affordable_output_tokens,
    cost_nano,
    effective_pico,
    lines_of,
    worst_case_nano,
)
from tokenbooth.money.prices.values import NO_USES, Meter, Price, PriceAsk, PriceVersion, Uses

__all__ = [
    "NO_USES",
    "UNBOUNDED_TOKENS",
    "Meter",
    "Price",
    "PriceAsk",
    "PriceVersion",
    "Uses",
    "affordable_output_tokens",
    "by_version",
    "cost_nano",
    "current",
    "effective_pico",
    "history",
    "publish",
    "worst_case_nano",
]


def publish(op: Op, tx: Tx, ask: PriceAsk, ids: Ids) -> Price:
    """Add a version that holds from now on; calls already admitted keep theirs.

    Two authors at once: one of them is refused by the unique sequence and published nothing.
    Raises Problem INVALID_VALUE for a price that cannot be booked.
    """
    lines = lines_of(ask)
    price = Price(ids.new("price"), ask.model, lines)
    sequence = sql.last_sequence(tx, ask.model) + 1
    sql.add_version(tx, PriceVersion(price, sequence, op.actor, op.now()))
    return price


def current(op: Op, tx: Tx, model: str) -> Price:
    """The newest version. Raises Problem PRICE_UNKNOWN when there is none."""
    return _known(sql.current(tx, model), model)


def by_version(op: Op, tx: Tx, version_id: str, model: str) -> Price:
    """The version that a call was admitted under. Raises Problem PRICE_UNKNOWN."""
    return _known(sql.version(tx, version_id, model), model)


def history(op: Op, tx: Tx, model: str) -> tuple[PriceVersion, ...]:
    """Every version, newest first; empty when the model was never priced."""
    return sql.history(tx, model)


def _known(price: Price | None, model: str) -> Price:
    if price is None:
        raise Problem(
            Code.PRICE_UNKNOWN, f"The model {model!r} has no published price.", param="model"
        )
    return price
