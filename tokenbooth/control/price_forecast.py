"""What past calls would have cost under prices that are not published yet."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tokenbooth.access.orgs import service as orgs
from tokenbooth.control.prices import Change
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.meter import service as meter
from tokenbooth.money.meter.service import ChargedCall
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import Price, PriceVersion

US_PER_DAY = 86_400_000_000
DAYS_MAX = 366


@dataclass(slots=True)
class ModelForecast:
    """``old_nano`` is what ``calls`` were charged, ``new_nano`` what they would be.

    Apart from them: ``locked`` calls, whose organizations keep their price, and ``refused`` ones on
    terms that would have no price any more, with what those were charged.
    """

    model: str
    calls: int = 0
    old_nano: int = 0
    new_nano: int = 0
    locked: int = 0
    refused: int = 0
    refused_nano: int = 0

    @property
    def difference_nano(self) -> int:
        return self.new_nano - self.old_nano


@dataclass(frozen=True, slots=True)
class Forecast:
    """The charged calls of ``days`` up to now, by model."""

    days: int
    currency: str
    models: tuple[ModelForecast, ...]


@dataclass(slots=True)
class _Terms:
    """The prices of a version by its terms, each looked up once."""

    version: PriceVersion
    known: dict[tuple[ServiceTier, DataTerms], Price | None] = field(default_factory=dict)

    def price(self, tier: ServiceTier, data_terms: DataTerms) -> Price | None:
        key = (tier, data_terms)
        if key not in self.known:
            try:
                self.known[key] = prices.price_in(self.version, tier, data_terms)
            except Problem:
                self.known[key] = None
        return self.known[key]


def forecast(op: Op, tx: Tx, changes: Iterable[Change], days: int) -> Forecast:
    """Recompute each charged call of the book's organizations, to the nano.

    Raises INVALID_VALUE for a span that is none. Publishes nothing.
    """
    if not 1 <= days <= DAYS_MAX:
        raise Problem(Code.INVALID_VALUE, f"days must be between 1 and {DAYS_MAX}.", param="days")
    asks = [change.ask for change in changes]
    book = asks[0].book
    terms = {ask.model: _Terms(_unpublished(op, ask)) for ask in asks}
    found = {ask.model: ModelForecast(ask.model) for ask in asks}
    books = prices.books_of(op, tx)
    locks = {
        (lock.org_id, lock.model)
        for lock in prices.locks(op, tx, None)
        if prices.holds_at(lock, op.now())
    }
    since_us = op.now() - days * US_PER_DAY
    for org in orgs.orgs(op, tx):
        if books.get(org.id, prices.DEFAULT) != book:
            continue
        for call in meter.charged_calls(op, tx, org.id, since_us, op.now()):
            if call.model in found:
                locked = (org.id, call.model) in locks
                _add(found[call.model], call, terms[call.model], locked=locked)
    return Forecast(days, book.currency, tuple(found.values()))


def _add(line: ModelForecast, call: ChargedCall, terms: _Terms, *, locked: bool) -> None:
    if locked:
        line.locked += 1
        return
    price = terms.price(call.tier, call.data_terms)
    if price is None:
        line.refused += 1
        line.refused_nano += call.cost_nano
        return
    line.calls += 1
    line.old_nano += call.cost_nano
    line.new_nano += prices.cost_nano(price, call.usage)


def _unpublished(op: Op, ask: prices.VersionAsk) -> PriceVersion:
    return PriceVersion(
        id="",
        model=ask.model,
        book_id=ask.book.id,
        currency=ask.book.currency,
        sequence=0,
        author=op.actor,
        effective_us=op.now(),
        tariffs=ask.tariffs,
    )
