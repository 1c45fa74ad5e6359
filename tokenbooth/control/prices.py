"""Prices of models on offer, with a guard against a misplaced decimal point."""

from dataclasses import dataclass

from tokenbooth.catalog.models import service as catalog
from tokenbooth.core.codes import Code
from tokenbooth.core.money import MICRO_PER_UNIT
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Ids, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.prices import service as book
from tokenbooth.money.prices.service import Meter, Price, PriceAsk, PriceVersion

STEP_MAX = 10


@dataclass(frozen=True, slots=True)
class PriceStep:
    """A line that changes tenfold or more, up or down, or between free and paid."""

    meter: Meter
    before_pico: int
    after_pico: int

    def __str__(self) -> str:
        before, after = map(format_price, (self.before_pico, self.after_pico))
        return f"{self.meter.value} from {before} to {after} USD per million"


def price_model(op: Op, tx: Tx, ask: PriceAsk, ids: Ids, *, confirmed: bool) -> Price:
    """Publish a new version of the model's price.

    Raises MODEL_NOT_FOUND, or STATE_CONFLICT naming each tenfold step that was not confirmed.
    """
    catalog.model_by(op, tx, ask.model)
    steps = price_steps(current_price(op, tx, ask.model), ask)
    if steps and not confirmed:
        listed = "; ".join(map(str, steps))
        raise Problem(
            Code.STATE_CONFLICT,
            f"This changes a price tenfold or more: {listed}. Confirm it with --yes.",
            param="confirmed",
        )
    return book.publish(op, tx, ask, ids)


def current_price(op: Op, tx: Tx, model: str) -> Price | None:
    """The standard price under private terms in the default book, or ``None`` without one."""
    try:
        return book.current(op, tx, model)
    except Problem as problem:
        if problem.code not in (Code.PRICE_UNKNOWN, Code.PRICE_NOT_OFFERED):
            raise
        return None


def offered_version(op: Op, tx: Tx, org_id: str, model: str) -> PriceVersion | None:
    """What an organization pays now, or ``None`` where the model has no price for it."""
    try:
        return book.offered(op, tx, org_id, model)
    except Problem as problem:
        if problem.code is not Code.PRICE_UNKNOWN:
            raise
        return None


def price_steps(current: Price | None, ask: PriceAsk) -> tuple[PriceStep, ...]:
    """The lines of ``ask`` that are suspiciously far from ``current``; none without a price."""
    if current is None:
        return ()
    asked = {Meter.INPUT: ask.input_pico, Meter.OUTPUT: ask.output_pico}
    if ask.cached_input_pico is not None:
        asked[Meter.CACHED_INPUT] = ask.cached_input_pico
    pairs = (
        (meter, book.effective_pico(current.lines, meter), book.effective_pico(asked, meter))
        for meter in Meter
        if meter in current.lines or meter in asked
    )
    return tuple(PriceStep(*pair) for pair in pairs if _is_step(*pair[1:]))


def format_price(price_pico: int) -> str:
    """Pico-units per unit as a decimal per million units: ``150000`` is ``"0.150000"``."""
    whole, fraction = divmod(price_pico, MICRO_PER_UNIT)
    return f"{whole}.{fraction:06d}"


def _is_step(before: int, after: int) -> bool:
    low, high = sorted((before, after))
    return high > 0 and high >= STEP_MAX * low
