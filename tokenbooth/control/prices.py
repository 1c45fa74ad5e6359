"""Prices of models on offer, with a guard against a misplaced decimal point."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tokenbooth.catalog.models import service as catalog
from tokenbooth.core.codes import Code
from tokenbooth.core.money import MICRO_PER_UNIT
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Ids, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import (
    DEFAULT_BOOK,
    Book,
    Meter,
    Price,
    PriceAsk,
    PriceVersion,
    Tariff,
    VersionAsk,
)

STEP_MAX = 10


@dataclass(frozen=True, slots=True)
class PriceStep:
    """A line that changes tenfold or more, up or down, or between free and paid.

    A tariff that is new is measured by the standard one beside it.
    """

    tariff: Tariff
    context_min_tokens: int
    meter: Meter
    before_pico: int
    after_pico: int
    currency: str

    def __str__(self) -> str:
        before, after = map(format_price, (self.before_pico, self.after_pico))
        since = f" from {self.context_min_tokens} tokens on" if self.context_min_tokens else ""
        return (
            f"{self.meter.value} ({prices.named(self.tariff)}{since}) from {before} to {after}"
            f" {self.currency} per million"
        )


@dataclass(frozen=True, slots=True)
class TariffAsk:
    """One tariff of a model in a book, by name or id; the others of the model stay."""

    model: str
    tariff: Tariff
    book: str = DEFAULT_BOOK


@dataclass(frozen=True, slots=True)
class Change:
    """What a new version of one model's price would change; ``before`` is what is in force.

    ``removed`` are terms that had a price and get none: calls that ask for them will be refused.
    """

    ask: VersionAsk
    before: PriceVersion | None
    steps: tuple[PriceStep, ...]
    removed: tuple[Tariff, ...]

    @property
    def is_one(self) -> bool:
        return self.before is None or self.before.tariffs != self.ask.tariffs


def price_model(op: Op, tx: Tx, ask: PriceAsk, ids: Ids, *, confirmed: bool) -> Price:
    """Set the standard price under private terms in the default book.

    Raises what ``set_tariff`` raises.
    """
    wanted = TariffAsk(ask.model, prices.tariff_of(ask))
    made = set_tariff(op, tx, wanted, ids, confirmed=confirmed)
    return prices.price_in(made, ServiceTier.STANDARD, DataTerms.PRIVATE)


def set_tariff(op: Op, tx: Tx, ask: TariffAsk, ids: Ids, *, confirmed: bool) -> PriceVersion:
    """Publish a version with this tariff and all others as they are.

    Raises NAME_NOT_FOUND, and what ``publish_all`` raises; STATE_CONFLICT also where the tariff has
    context steps, which would be lost.
    """
    book = prices.book_by(op, tx, ask.book)
    before = prices.newest(op, tx, book, ask.model)
    tariffs = () if before is None else before.tariffs
    for present in tariffs:
        same = prices.terms_of(present) == prices.terms_of(ask.tariff)
        if same and len(present.steps) > len(ask.tariff.steps):
            raise Problem(
                Code.STATE_CONFLICT,
                f"The price of {ask.model!r} for {prices.named(present)} has context steps; change"
                " it with `tokenbooth price publish`.",
                param="model",
            )
    wanted = VersionAsk(book, ask.model, prices.with_tariff(tariffs, ask.tariff))
    change = change_of(op, tx, wanted)
    publish_all(op, tx, (change,), ids, confirmed=confirmed)
    made = prices.newest(op, tx, book, ask.model)
    assert made is not None, "it was published just now"
    return made


def change_of(op: Op, tx: Tx, ask: VersionAsk) -> Change:
    """What publishing this would change. Raises MODEL_NOT_FOUND, or INVALID_VALUE for a price that
    cannot be booked."""
    _check_offered(op, tx, ask.model)
    whole = VersionAsk(ask.book, ask.model, prices.checked_tariffs(ask.model, ask.tariffs))
    before = prices.newest(op, tx, ask.book, ask.model)
    had = () if before is None else before.tariffs
    kept = {prices.terms_of(tariff) for tariff in whole.tariffs}
    removed = tuple(tariff for tariff in had if prices.terms_of(tariff) not in kept)
    return Change(whole, before, price_steps(had, whole), removed)


def _check_offered(op: Op, tx: Tx, model: str) -> None:
    """A list of many models says which of them it is."""
    try:
        catalog.model_by(op, tx, model)
    except Problem as problem:
        if problem.code is not Code.MODEL_NOT_FOUND:
            raise
        raise Problem(problem.code, f"No model {model!r} is on offer.", param="model") from None


def publish_all(
    op: Op, tx: Tx, changes: Iterable[Change], ids: Ids, *, confirmed: bool
) -> tuple[PriceVersion, ...]:
    """Publish what really changes, all of it or nothing.

    Raises STATE_CONFLICT naming each tenfold step that was not confirmed, or when somebody else
    publishes at the same moment.
    """
    wanted = [change for change in changes if change.is_one]
    steps = [f"{change.ask.model}: {step}" for change in wanted for step in change.steps]
    if steps and not confirmed:
        raise Problem(
            Code.STATE_CONFLICT,
            f"This changes a price tenfold or more: {'; '.join(steps)}. Confirm it with --yes.",
            param="confirmed",
        )
    return tuple(prices.publish_version(op, tx, change.ask, ids) for change in wanted)


def current_price(op: Op, tx: Tx, model: str) -> Price | None:
    """The standard price under private terms in the default book, or ``None`` without one."""
    try:
        return prices.current(op, tx, model)
    except Problem as problem:
        if problem.code not in (Code.PRICE_UNKNOWN, Code.PRICE_NOT_OFFERED):
            raise
        return None


def offered_version(op: Op, tx: Tx, org_id: str, model: str) -> PriceVersion | None:
    """What an organization pays now, or ``None`` where the model has no price for it."""
    try:
        return prices.offered(op, tx, org_id, model)
    except Problem as problem:
        if problem.code is not Code.PRICE_UNKNOWN:
            raise
        return None


def price_steps(had: Iterable[Tariff], ask: VersionAsk) -> tuple[PriceStep, ...]:
    """The lines of ``ask`` that are suspiciously far from ``had``; none for a first price."""
    by_terms = {prices.terms_of(tariff): tariff for tariff in had}
    asked = {prices.terms_of(tariff): tariff for tariff in ask.tariffs}
    found: list[PriceStep] = []
    for terms, tariff in asked.items():
        before = by_terms.get(terms)
        for other in ((ServiceTier.STANDARD, terms[1]), (ServiceTier.STANDARD, DataTerms.PRIVATE)):
            before = before or (asked.get(other) if other != terms else None)
        if before is not None:
            found += _tariff_steps(before, tariff, ask.book)
    return tuple(found)


def _tariff_steps(before: Tariff, after: Tariff, book: Book) -> Iterator[PriceStep]:
    """Compared at every length of context at which one of the two begins to cost otherwise."""
    leasts = {step.context_min_tokens for tariff in (before, after) for step in tariff.steps}
    for least in sorted(leasts):
        old, new = _lines_at(before, least), _lines_at(after, least)
        for meter in Meter:
            if meter in old or meter in new:
                pair = prices.effective_pico(old, meter), prices.effective_pico(new, meter)
                if _is_step(*pair):
                    yield PriceStep(after, least, meter, *pair, book.currency)


def _lines_at(tariff: Tariff, context_tokens: int) -> prices.Lines:
    reached = [step for step in tariff.steps if step.context_min_tokens <= context_tokens]
    return reached[-1].lines


def format_price(price_pico: int) -> str:
    """Pico-units per unit as a decimal per million units: ``150000`` is ``"0.150000"``."""
    whole, fraction = divmod(price_pico, MICRO_PER_UNIT)
    return f"{whole}.{fraction:06d}"


def _is_step(before: int, after: int) -> bool:
    low, high = sorted((before, after))
    return high > 0 and high >= STEP_MAX * low
