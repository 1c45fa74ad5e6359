"""How large a hold is: all of a stated output limit, or a first step of an unstated one."""

from tokenbooth.core.delta import Usage
from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.receipt import LimitState
from tokenbooth.money.leases.values import HoldAsk, Sized
from tokenbooth.money.prices.rules import affordable_output_tokens, cost_nano, worst_case_nano
from tokenbooth.money.prices.values import Price
from tokenbooth.money.refusals import start_refusal, strict_refusal


def wished(ask: HoldAsk) -> Sized:
    """The hold to take where the money suffices."""
    tokens = ask.choices * ask.output_tokens_max
    if not ask.stated:
        tokens = min(tokens, ask.choices * ask.step_tokens)
    amount_nano = worst_case_nano(ask.price, ask.input_tokens, tokens)
    return Sized(amount_nano, tokens, ask.output_tokens_max, lowered=False)


def least_output_tokens(ask: HoldAsk) -> int:
    """Without one output token for each choice a call makes no sense."""
    return ask.choices * min(1, ask.output_tokens_max)


def least_nano(ask: HoldAsk) -> int:
    """The smallest hold that a call may start with; what refuses a strict one tells of it too."""
    return worst_case_nano(ask.price, ask.input_tokens, least_output_tokens(ask))


def afforded(ask: HoldAsk, room_nano: int, limits: tuple[LimitState, ...]) -> Sized:
    """The hold that ``room_nano`` buys where the wished one does not fit.

    A stated limit is lowered to it; an unstated one is tried to be extended later. Raises
    BALANCE_EXHAUSTED or CAP_REACHED when the money cannot start the call, and OUTPUT_UNAFFORDABLE
    where the caller wants the stated limit or nothing.
    """
    least = least_output_tokens(ask)
    if worst_case_nano(ask.price, ask.input_tokens, least) > room_nano:
        raise start_refusal(limits, ask.price, ask.input_tokens, least)
    if ask.stated and ask.strict:
        raise strict_refusal(
            limits, ask.price, ask.input_tokens, ask.output_tokens_max, ask.choices
        )
    bought = affordable_output_tokens(ask.price, ask.input_tokens, room_nano) // ask.choices
    tokens = ask.choices * bought
    amount_nano = worst_case_nano(ask.price, ask.input_tokens, tokens)
    limit = bought if ask.stated else ask.output_tokens_max
    return Sized(amount_nano, tokens, limit, lowered=ask.stated)


def extension_nano(price: Price, input_tokens: int, output_tokens: int, held_nano: int) -> int:
    """What is missing for ``output_tokens`` in all; never negative."""
    return max(0, worst_case_nano(price, input_tokens, output_tokens) - held_nano)


def charge_of(price: Price, usage: Usage, held_nano: int) -> tuple[int, int]:
    """The exact cost, never above the hold, and what the usage costs beyond it."""
    full_nano = cost_nano(price, usage)
    kept_nano = min(full_nano, held_nano)
    return kept_nano, min(full_nano - kept_nano, NANO_MAX)
