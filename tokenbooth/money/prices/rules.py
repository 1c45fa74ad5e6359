"""Exact prices: pico-units in, one half-even rounding to nano-units out.

Rounding is monotone, so a call that used no more than was held never costs more than was held.
"""

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.money import NANO_MAX, PICO_PER_NANO, pico_to_nano_half_even
from tokenbooth.core.problem import Problem
from tokenbooth.money.prices.values import Meter, Price, PriceAsk

UNBOUNDED_TOKENS = NANO_MAX
REQUIRED_METERS = frozenset({Meter.INPUT, Meter.OUTPUT})


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


def input_worst_pico(price: Price) -> int:
    """The dearest that one input token can become; a cache read may cost more than plain input."""
    plain_pico = price.lines[Meter.INPUT]
    return max(plain_pico, price.lines.get(Meter.CACHED_INPUT, plain_pico))


def worst_case_nano(price: Price, input_tokens: int, output_tokens: int) -> int:
    """The most that a call of at most these tokens can cost; ``output_tokens`` of all choices."""
    return pico_to_nano_half_even(
        input_tokens * input_worst_pico(price) + output_tokens * price.lines[Meter.OUTPUT]
    )


def cost_nano(price: Price, usage: Usage) -> int:
    """What the counted tokens cost; cached input beyond the whole input counts as input once."""
    plain_pico = price.lines[Meter.INPUT]
    cached_tokens = min(usage.cached_input_tokens or 0, usage.input_tokens)
    return pico_to_nano_half_even(
        (usage.input_tokens - cached_tokens) * plain_pico
        + cached_tokens * price.lines.get(Meter.CACHED_INPUT, plain_pico)
        + usage.output_tokens * price.lines[Meter.OUTPUT]
    )


def affordable_output_tokens(price: Price, input_tokens: int, remaining_nano: int) -> int:
    """The most output tokens, all choices together, whose worst case fits into what remains.

    0 also when not even the input fits. ``UNBOUNDED_TOKENS`` when output is free.
    """
    if worst_case_nano(price, input_tokens, 0) > remaining_nano:
        return 0
    output_pico = price.lines[Meter.OUTPUT]
    if output_pico == 0:
        return UNBOUNDED_TOKENS
    # The largest sum that still rounds down to remaining_nano: ties go to the even neighbour.
    tie_pico = PICO_PER_NANO // 2 if remaining_nano % 2 == 0 else PICO_PER_NANO // 2 - 1
    budget_pico = remaining_nano * PICO_PER_NANO + tie_pico
    return (budget_pico - input_tokens * input_worst_pico(price)) // output_pico
