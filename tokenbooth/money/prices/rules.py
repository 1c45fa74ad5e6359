"""Exact prices: pico-units in, one half-even rounding to nano-units out.

Rounding is monotone, so a call that used no more than was held never costs more than was held.
"""

from collections.abc import Iterator

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.money import NANO_MAX, PICO_PER_NANO, pico_to_nano_half_even
from tokenbooth.core.problem import Problem
from tokenbooth.money.prices.values import Lines, Meter, Price, PriceAsk, Rates

UNBOUNDED_TOKENS = NANO_MAX
WHOLES = {
    Meter.CACHED_INPUT: Meter.INPUT,
    Meter.CACHE_WRITE: Meter.INPUT,
    Meter.REASONING: Meter.OUTPUT,
}


def lines_of(ask: PriceAsk) -> dict[Meter, int]:
    """The lines of a new version. Raises Problem INVALID_VALUE naming the price to correct."""
    lines = {Meter.INPUT: ask.input_pico, Meter.OUTPUT: ask.output_pico}
    if ask.cached_input_pico is not None:
        lines[Meter.CACHED_INPUT] = ask.cached_input_pico
    for meter, unit_pico in lines.items():
        if type(unit_pico) is not int or not 0 <= unit_pico <= NANO_MAX:
            raise Problem(
                Code.INVALID_VALUE,
                f"The {meter.value} price must be between 0 and {NANO_MAX} pico-units per token.",
                param=meter.value,
            )
    if not ask.model:
        raise Problem(Code.INVALID_VALUE, "A price needs the name of a model.", param="model")
    return lines


def effective_pico(lines: Lines, meter: Meter) -> int:
    """What a unit really costs: parts without a line cost as their whole, all else is free."""
    if meter in lines:
        return lines[meter]
    whole = WHOLES.get(meter)
    return 0 if whole is None else lines[whole]


def input_worst_pico(price: Price) -> int:
    """The dearest that one input token of a short prompt can become; a cache may cost more."""
    return price.rates[0].input_worst


def worst_case_nano(price: Price, input_tokens: int, output_tokens: int) -> int:
    """The most that a call of at most these tokens can cost; ``output_tokens`` of all choices.

    The dearest of the context steps that the input can reach, with every use that ``price.uses``
    allows.
    """
    return pico_to_nano_half_even(
        max(
            _fixed_pico(price, rates, input_tokens) + output_tokens * rates.output_worst
            for rates in _reachable(price, input_tokens)
        )
    )


def cost_nano(price: Price, usage: Usage) -> int:
    """What was counted costs this much, by the context step of the whole input.

    A part beyond its whole is charged once: cached input beyond the input, cache writes beyond
    what is left of it, reasoning beyond the output.
    """
    rates = _rates_of(price, usage.input_tokens)
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
    uses = price.uses
    return (
        min(input_tokens, rates.context_max_tokens) * rates.input_worst
        + uses.images * rates.image
        + uses.audio_s * rates.audio_s
        + uses.video_s * rates.video_s
        + uses.searches * rates.search
        + rates.call
    )
