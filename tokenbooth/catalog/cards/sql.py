"""Statements on cards."""

from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from tokenbooth.catalog.cards.values import Card, Stage
from tokenbooth.core.ports import Tx
from tokenbooth.store.tables.cards import MODEL_CARD

_LAST = (
    select(MODEL_CARD.c.model, func.max(MODEL_CARD.c.sequence).label("sequence"))
    .group_by(MODEL_CARD.c.model)
    .subquery()
)
_NEWEST = select(MODEL_CARD).join(
    _LAST,
    (MODEL_CARD.c.model == _LAST.c.model) & (MODEL_CARD.c.sequence == _LAST.c.sequence),
)


def insert_card(tx: Tx, card: Card) -> bool:
    """False when somebody else said something at the same moment; give the transaction up."""
    try:
        tx.execute(
            insert(MODEL_CARD).values(
                model=card.model,
                sequence=card.sequence,
                display_name=card.display_name,
                stage=None if card.stage is None else card.stage.value,
                shutdown_us=card.shutdown_us,
                effective_us=card.effective_us,
                author=card.author,
            )
        )
    except IntegrityError:
        return False
    return True


def select_cards(tx: Tx) -> tuple[Card, ...]:
    return tuple(_card(row) for row in tx.execute(_NEWEST))


def select_card(tx: Tx, model: str) -> Card | None:
    row = tx.execute(_NEWEST.where(MODEL_CARD.c.model == model)).first()
    return None if row is None else _card(row)


def _card(row: Any) -> Card:
    return Card(
        model=row.model,
        sequence=row.sequence,
        display_name=row.display_name,
        stage=None if row.stage is None else Stage(row.stage),
        shutdown_us=row.shutdown_us,
        effective_us=row.effective_us,
        author=row.author,
    )
