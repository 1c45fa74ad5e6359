"""Why money refuses a call, in words and in facts that a program can act on.

Pure: the rules decide that a call does not fit and raise what these functions return.
"""

from collections.abc import Callable, Mapping

from tokenbooth.core.codes import Code
from tokenbooth.core.money import NANO_MAX, format_nano
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState
from tokenbooth.money.prices.rules import affordable_output_tokens, worst_case_nano
from tokenbooth.money.prices.values import Price

HOLDS_WAIT_S = 1
HELD = "held_by_running_calls"
USED_UP = "limit_used_up"
_NAMES = {
    LimitScope.BALANCE: "The prepaid balance",
    LimitScope.ORGANIZATION: "The organization's hard cap",
    LimitScope.PROJECT: "The project's hard cap",
    LimitScope.KEY: "The key's hard cap",
}
_REMEDIES: Mapping[LimitScope, Callable[[str], str]] = {
    LimitScope.BALANCE: lambda more: f"Add at least {more} of credit",
    LimitScope.ORGANIZATION: lambda more: f"Raise the organization's cap by at least {more}",
    LimitScope.PROJECT: lambda more: f"Raise the project's cap by at least {more}",
    LimitScope.KEY: lambda more: f"Raise the key's cap by at least {more}, use another key",
}


def start_refusal(
    limits: tuple[LimitState, ...], price: Price, input_tokens: int, output_tokens: int
) -> Problem:
    """Of a call that cannot even start: BALANCE_EXHAUSTED or CAP_REACHED.

    ``output_tokens`` is the least that makes sense, one for each choice. The level is named that
    refuses even without the holds of running calls, the one with the least room of several, the
    outermost of equals; where only holds are in the way, that is said, with ``retry_after_s``.
    """
    needed_nano = worst_case_nano(price, input_tokens, output_tokens)
    state = _refusing(limits, needed_nano)
    waits = _waits(state, needed_nano)
    remedy = f"{_REMEDIES[state.scope](_missing(state, needed_nano))}, or shorten the prompt."
    return Problem(
        Code.BALANCE_EXHAUSTED if state.scope is LimitScope.BALANCE else Code.CAP_REACHED,
        f"{_left(state)}; this call needs at least {format_nano(needed_nano)}.{_hint(waits)}",
        retry_after_s=HOLDS_WAIT_S if waits else None,
        facts=_facts(state, needed_nano, 0, "Wait until running calls end." if waits else remedy),
    )


def strict_refusal(
    limits: tuple[LimitState, ...],
    price: Price,
    input_tokens: int,
    output_tokens_max: int,
    choices: int,
) -> Problem:
    """OUTPUT_UNAFFORDABLE, of a call that wants its stated output limit or nothing.

    ``output_tokens_max`` is of one choice, and so is ``affordable_output_tokens``: the limit that
    every level could bear now. Only a call that could start is refused like this.
    """
    needed_nano = worst_case_nano(price, input_tokens, choices * output_tokens_max)
    state = _refusing(limits, needed_nano)
    waits = _waits(state, needed_nano)
    affordable = min(
        affordable_output_tokens(price, input_tokens, _room_nano(each)) // choices
        for each in limits
    )
    lower = f"ower the output limit to {affordable} or less, or leave out x-tokenbooth-strict"
    if waits:
        remedy = f"Wait until running calls end, or l{lower}."
    else:
        remedy = f"L{lower}. {_REMEDIES[state.scope](_missing(state, needed_nano))} otherwise."
    return Problem(
        Code.OUTPUT_UNAFFORDABLE,
        f"{_left(state)}; {output_tokens_max} output tokens need {format_nano(needed_nano)}, and"
        f" {affordable} fit.{_hint(waits)}",
        retry_after_s=HOLDS_WAIT_S if waits else None,
        facts=_facts(state, needed_nano, affordable, remedy),
    )


def _refusing(limits: tuple[LimitState, ...], needed_nano: int) -> LimitState:
    """The level to name; ``min`` keeps the outermost of equals."""
    hard = [state for state in limits if needed_nano > _unspent_nano(state)]
    return min(hard, key=_unspent_nano) if hard else min(limits, key=_room_nano)


def _waits(state: LimitState, needed_nano: int) -> bool:
    """Whether the call would fit if no other were running."""
    return needed_nano <= _unspent_nano(state)


def _limit_nano(state: LimitState) -> int:
    """Without a cap, what 64 bits can still count."""
    return NANO_MAX if state.limit_nano is None else state.limit_nano


def _unspent_nano(state: LimitState) -> int:
    return _limit_nano(state) - state.spent_nano


def _room_nano(state: LimitState) -> int:
    return _unspent_nano(state) - state.held_nano


def _missing(state: LimitState, needed_nano: int) -> str:
    return format_nano(needed_nano - _unspent_nano(state))


def _left(state: LimitState) -> str:
    renews = "" if state.window is None else f" and renews at {state.window.renews_at}"
    return (
        f"{_NAMES[state.scope]} has {format_nano(_room_nano(state))} left"
        f" ({format_nano(state.held_nano)} held by running calls){renews}"
    )


def _hint(waits: bool) -> str:
    return " Only running calls are in the way; it fits once they have ended." if waits else ""


def _facts(
    state: LimitState, needed_nano: int, affordable: int, remedy: str
) -> Mapping[str, str | int]:
    """Amounts as decimal strings, which are authoritative, and as integers of nano-units; of a cap
    that renews also when it does."""
    amounts = {
        "limit": _limit_nano(state),
        "spent": state.spent_nano,
        "held": state.held_nano,
        "needed": needed_nano,
    }
    return {
        "limit_source": state.scope.value,
        "reason": HELD if _waits(state, needed_nano) else USED_UP,
        **{name: format_nano(amount_nano) for name, amount_nano in amounts.items()},
        **{f"{name}_nano": amount_nano for name, amount_nano in amounts.items()},
        "affordable_output_tokens": affordable,
        "remedy": remedy,
        **({} if state.window is None else {"renews_at": state.window.renews_at}),
    }
