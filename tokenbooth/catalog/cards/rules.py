"""What a card may say."""

from tokenbooth.catalog.cards.values import Card, CardAsk, Stage
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

DISPLAY_NAME_CHARACTERS_MAX = 100
YEAR_9999_US = 253_370_764_800_000_000


def checked_card(ask: CardAsk, now_us: int) -> CardAsk:
    """The wish itself, or Problem INVALID_VALUE with ``param``."""
    name = ask.display_name
    if name is not None and not (
        0 < len(name) <= DISPLAY_NAME_CHARACTERS_MAX and name.isprintable()
    ):
        raise Problem(
            Code.INVALID_VALUE,
            f"display_name must be 1 to {DISPLAY_NAME_CHARACTERS_MAX} characters, none of them a"
            " control character.",
            param="display_name",
        )
    if ask.shutdown_us is not None and not now_us < ask.shutdown_us < YEAR_9999_US:
        raise Problem(
            Code.INVALID_VALUE, "A model can only be announced to end later.", param="shutdown"
        )
    return ask


def deprecated_us(card: Card | None) -> int | None:
    """When the model was said to be on its way out; ``None`` while it is not."""
    if card is None or card.stage is not Stage.DEPRECATED:
        return None
    return card.effective_us
