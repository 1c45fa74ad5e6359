"""Exact prices: pico-units in, one half-even rounding to nano-units out.

Rounding is monotone, so a call that used no more than was held never costs more than was held.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.money import NANO_MAX, PICO_PER_NANO, pico_to_nano_half_even
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices.values import (
    NO_USES,
    Book,
    Lines,
    Meter,
    Price,
    PriceAsk,
    PriceLock,
    PriceVersion,
    Rates,
    Step,
    Tariff,
    Uses,
)

UNBOUNDED_TOKENS = NANO_MAX
WHOLES = {
    Meter.CACHED_INPUT: Meter.INPUT,
    Meter.CACHE_WRITE: Meter.INPUT,
    Meter.REASONING: Meter.OUTPUT,
}


def tariff_of(ask: PriceAsk) -> Tariff:
    """The standard tier under private data terms, without context steps."""
    lines = {Meter.INPUT: ask.input_pico, Meter.OUTPUT: ask.output_pico}
    if ask.cached_input_pico is not None:
        lines[Meter.CACHED_INPUT] = ask.cached_input_pico
    return Tariff(ServiceTier.STANDARD, DataTerms.PRIVATE, (Step(0, lines),))


def with_tariff(tariffs: Iterable[Tariff], new: Tariff) -> tuple[Tariff, ...]:
    """The new one instead of that for the same tier and data terms, or beside the others."""
    kept = [each for each in tariffs if terms_of(each) != terms_of(new)]
    return ordered((*kept, new))


def terms_of(tariff: Tariff) -> tuple[ServiceTier, DataTerms]:
    return tariff.tier, tariff.data_terms


def ordered(tariffs: Iterable[Tariff]) -> tuple[Tariff, ...]:
    """Standard first, private before contributor."""
    tiers, terms = list(ServiceTier), list(DataTerms)
    return tuple(sorted(tariffs, key=lambda t: (tiers.index(t.tier), terms.index(t.data_terms))))


def checked_tariffs(model: str, tariffs: Iterable[Tariff]) -> tuple[Tariff, ...]:
    """What a version may say, in order. Raises INVALID_VALUE naming what to correct."""
    made = ordered(tariffs)
    if not model or not model.isprintable():
        raise _bad("A price needs the name of a model.", "model")
    if not made:
        raise _bad(f"The price of {model!r} has no line at all.", "model")
    for before, after in pairwise(made):
        if terms_of(before) == terms_of(after):
            raise _bad(f"The price of {model!r} has {named(after)} twice.", "tier")
    for tariff in made:
        _check_steps(model, tariff)
    return made


def _check_steps(model: str, tariff: Tariff) -> None:
    of = f"The price of {model!r} for {named(tariff)}"
    leasts = [step.context_min_tokens for step in tariff.steps]
    if any(type(n) is not int or not 0 <= n <= NANO_MAX for n in leasts):
        raise _bad(f"{of} has a context step that is no count of tokens.", "context_min_tokens")
    if leasts[:1] != [0] or any(before >= after for before, after in pairwise(leasts)):
        raise _bad(
            f"{of} needs context steps that begin at 0 and rise, each once.", "context_min_tokens"
        )
    meters = tariff.steps[0].lines.keys()
    for step in tariff.steps:
        for required in (Meter.INPUT, Meter.OUTPUT):
            if required not in step.lines:
                raise _bad(f"{of} has no {required.value} price.", required.value)
        other = next((m for m in Meter if (m in meters) != (m in step.lines)), None)
        if other is not None:
            raise _bad(
                f"{of} has a price of {other.value} in one context step and none in another.",
                other.value,
            )
        for meter, unit_pico in step.lines.items():
            if type(unit_pico) is not int or not 0 <= unit_pico <= NANO_MAX:
                raise _bad(
                    f"{of}: {meter.value} must be between 0 and {NANO_MAX} pico-units each.",
                    meter.value,
                )


def _bad(public: str, param: str) -> Problem:
    return Problem(Code.INVALID_VALUE, public, param=param)


def named(tariff: Tariff) -> str:
    """How a refusal speaks of it: ``flex under contributor terms``."""
    return f"{tariff.tier.value} under {tariff.data_terms.value} terms"


def price_in(
    version: PriceVersion, tier: ServiceTier, data_terms: DataTerms, uses: Uses = NO_USES
) -> Price:
    """The price of one call on these terms.

    Raises PRICE_NOT_OFFERED naming the terms that have a price: nothing stands in for others.
    """
    for price in version.prices:
        if price.tier is tier and price.data_terms is data_terms:
            return price if uses is NO_USES else replace(price, uses=uses)
    tiers = [each for each in version.tariffs if each.data_terms is data_terms]
    offered = ", ".join(named(each) for each in version.tariffs)
    raise Problem(
        Code.PRICE_NOT_OFFERED,
        f"The model {version.model!r} has no price for {tier.value} under {data_terms.value}"
        f" terms; it has one for: {offered}.",
        param="service_tier" if tiers else None,
        facts={"model": version.model, "tier": tier.value, "data_terms": data_terms.value},
    )


def check_lock(lock: PriceLock, version: PriceVersion, book: Book, now_us: int) -> None:
    """Whether an organization of this book can be locked like this. Raises INVALID_VALUE, or
    STATE_CONFLICT when the version is of another book."""
    if lock.until_us is not None and lock.until_us <= max(lock.from_us, now_us):
        raise _bad("A lock must end after it begins, and after now.", "until")
    if version.book_id != book.id:
        raise Problem(
            Code.STATE_CONFLICT,
            f"The version {version.id} is not in the price book {book.name!r}, from which this"
            " organization buys.",
            param="version",
        )


def overlapping(new: PriceLock, others: Iterable[PriceLock]) -> PriceLock | None:
    """A lock on the same model that holds at a moment at which ``new`` would hold."""
    for other in others:
        begins_before = other.until_us is None or new.from_us < other.until_us
        ends_after = new.until_us is None or other.from_us < new.until_us
        ever = other.until_us is None or other.from_us < other.until_us
        if other.model == new.model and ever and begins_before and ends_after:
            return other
    return None


def holds_at(lock: PriceLock, now_us: int) -> bool:
    return lock.from_us <= now_us and (lock.until_us is None or now_us < lock.until_us)


def binds_from(lock: PriceLock, now_us: int) -> bool:
    """Whether it holds now or will."""
    return lock.until_us is None or lock.until_us > max(now_us, lock.from_us)


def effective_pico(lines: Lines, meter: Meter) -> int:
    """What a unit really costs: parts without a line cost as their whole, all else is free."""
    if meter in lines:
        return lines[meter]
    whole = WHOLES.get(meter)
    return 0 if whole is None else lines[whole]


def worst_case_nano(price: Price, input_tokens: int, output_tokens: int) -> int:
    """The most that a call of at most these tokens can cost; ``output_tokens`` of all choices.

    The dearest of the context steps that the input can reach, with every use that ``price.uses``
    allows.
    """
    worst_pico = 0
    for rates in price.rates:
        if rates.context_min_tokens <= input_tokens:
            pico = _fixed_pico(price, rates, input_tokens) + output_tokens * rates.output_worst
            if pico > worst_pico:
                worst_pico = pico
    return pico_to_nano_half_even(worst_pico)


def cost_nano(price: Price, usage: Usage) -> int:
    """What was counted costs this much, by the context step of the whole input.

    A part beyond its whole is charged once: cached input beyond the input, cache writes beyond
    what is left of it, reasoning beyond the output.
    """
    rates = price.rates[0] if len(price.rates) == 1 else _rates_of(price, usage.input_tokens)
    cached_tokens = min(usage.cached_input_tokens or 0, usage.input_tokens)
    written_tokens = min(usage.cache_write_tokens, usage.input_tokens - cached_tokens)
    reasoning_tokens = min(usage.reasoning_tokens, usage.output_tokens)
    return pico_to_nano_half_even(
        (usage.input_tokens - cached_tokens - written_tokens) * rates.input
        + cached_tokens * rates.cached_input
        + written_tokens * rates.cache_write
        + (usage.output_tokens - reasoning_tokens) * rates.output
        + reasoning_tokens * rates.reasoning
        + usage.images * rates.image
        + usage.audio_s * rates.audio_s
        + usage.video_s * rates.video_s
        + usage.searches * rates.search
        + rates.call
    )


def affordable_output_tokens(price: Price, input_tokens: int, remaining_nano: int) -> int:
    """The most output tokens, all choices together, whose worst case fits into what remains.

    0 also when not even the input fits. ``UNBOUNDED_TOKENS`` when output is free.
    """
    # The largest sum that still rounds down to remaining_nano: ties go to the even neighbour.
    tie_pico = PICO_PER_NANO // 2 if remaining_nano % 2 == 0 else PICO_PER_NANO // 2 - 1
    budget_pico = remaining_nano * PICO_PER_NANO + tie_pico
    bought = UNBOUNDED_TOKENS
    for rates in _reachable(price, input_tokens):
        left_pico = budget_pico - _fixed_pico(price, rates, input_tokens)
        if left_pico < 0:
            return 0
        if rates.output_worst:
            bought = min(bought, left_pico // rates.output_worst)
    return bought


def _reachable(price: Price, input_tokens: int) -> Iterator[Rates]:
    """The steps that a prompt of at most so many tokens can fall into."""
    return (rates for rates in price.rates if rates.context_min_tokens <= input_tokens)


def _rates_of(price: Price, input_tokens: int) -> Rates:
    found = price.rates[0]
    for rates in price.rates[1:]:
        if rates.context_min_tokens <= input_tokens:
            found = rates
    return found


def _fixed_pico(price: Price, rates: Rates, input_tokens: int) -> int:
    """The most that a call in this step can cost before its first output token."""
    uses, in_step = price.uses, rates.context_max_tokens
    billed_tokens = input_tokens if input_tokens < in_step else in_step
    if uses is NO_USES:
        return billed_tokens * rates.input_worst + rates.call
    return (
        billed_tokens * rates.input_worst
        + uses.images * rates.image
        + uses.audio_s * rates.audio_s
        + uses.video_s * rates.video_s
        + uses.searches * rates.search
        + rates.call
    )
