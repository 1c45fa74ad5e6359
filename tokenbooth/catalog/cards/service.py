"""Verbs on cards; the only import surface of this noun."""

from tokenbooth.catalog.cards import sql
from tokenbooth.catalog.cards.rules import checked_card, deprecated_us
from tokenbooth.catalog.cards.values import Card, CardAsk, Stage
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem

__all__ = ["Card", "CardAsk", "Stage", "card_of", "cards", "deprecated_us", "describe"]


def describe(op: Op, tx: Tx, model: str, ask: CardAsk) -> Card:
    """Say this of the model from now on, and nothing that was said before.

    Raises INVALID_VALUE naming the field, or STATE_CONFLICT.
    """
    checked_card(ask, op.now())
    before = sql.select_card(tx, model)
    card = Card(
        model=model,
        sequence=1 if before is None else before.sequence + 1,
        display_name=ask.display_name,
        stage=ask.stage,
        shutdown_us=ask.shutdown_us,
        effective_us=op.now(),
        author=op.actor,
    )
    if not sql.insert_card(tx, card):
        raise Problem(
            Code.STATE_CONFLICT,
            f"Somebody else described {model!r} at this moment; look at it first.",
            param="model",
        )
    return card


def cards(op: Op, tx: Tx) -> dict[str, Card]:
    """What was said last, by the names of the models that anything was said of."""
    return {card.model: card for card in sql.select_cards(tx)}


def card_of(op: Op, tx: Tx, model: str) -> Card | None:
    return sql.select_card(tx, model)
