"""A card says something of a model until another one says something else."""

import pytest

from tests.support.ops import ManualClock
from tokenbooth.catalog.cards import service as cards
from tokenbooth.catalog.cards import sql
from tokenbooth.catalog.cards.rules import YEAR_9999_US, checked_card, deprecated_us
from tokenbooth.catalog.cards.service import Card, CardAsk, Stage
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem

NOW = 1_000_000


def card(stage: Stage | None) -> Card:
    return Card(
        model="m",
        sequence=1,
        display_name=None,
        stage=stage,
        shutdown_us=None,
        effective_us=NOW,
        author="operator",
    )


def test_the_last_word_counts_and_the_first_one_stays(op: Op, tx: Tx, clock: ManualClock) -> None:
    first = cards.describe(op, tx, "m", CardAsk(display_name="One"))
    clock.us += 1
    second = cards.describe(op, tx, "m", CardAsk(stage=Stage.GA))
    cards.describe(op, tx, "n", CardAsk())
    assert (first.sequence, second.sequence) == (1, 2)
    assert cards.card_of(op, tx, "m") == second
    assert cards.cards(op, tx)["m"] == second
    assert set(cards.cards(op, tx)) == {"m", "n"}
    assert cards.card_of(op, tx, "nothing") is None


def test_two_cards_at_once_do_not_become_one(
    op: Op, tx: Tx, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards.describe(op, tx, "m", CardAsk())
    monkeypatch.setattr(sql, "select_card", lambda tx, model: None)
    with pytest.raises(Problem) as caught:
        cards.describe(op, tx, "m", CardAsk())
    assert caught.value.code is Code.STATE_CONFLICT


@pytest.mark.parametrize(
    ("ask", "param"),
    [
        (CardAsk(display_name=""), "display_name"),
        (CardAsk(display_name="x" * 101), "display_name"),
        (CardAsk(display_name="a\nb"), "display_name"),
        (CardAsk(shutdown_us=NOW), "shutdown"),
        (CardAsk(shutdown_us=YEAR_9999_US), "shutdown"),
    ],
)
def test_a_card_that_cannot_be_is_refused(ask: CardAsk, param: str) -> None:
    with pytest.raises(Problem) as caught:
        checked_card(ask, NOW)
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, param)


def test_a_card_that_can_be_is_the_wish_itself() -> None:
    for ask in (CardAsk(), CardAsk(display_name="x" * 100, shutdown_us=NOW + 1)):
        assert checked_card(ask, NOW) is ask


def test_only_a_deprecated_model_has_a_time_since() -> None:
    assert deprecated_us(card(Stage.DEPRECATED)) == NOW
    assert deprecated_us(card(Stage.GA)) is None
    assert deprecated_us(None) is None
