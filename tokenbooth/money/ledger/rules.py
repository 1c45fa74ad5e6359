"""Decisions about money, on integers alone."""

from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.money import NANO_MAX, format_nano
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState
from tokenbooth.money.ledger.values import Chain
from tokenbooth.money.prices.rules import worst_case_nano
from tokenbooth.money.prices.values import Price
from tokenbooth.money.refusals import start_refusal

REF_CHARS_MAX = 200


def chain_of(caller: Caller) -> Chain:
    """Balance and organization share the organization's id."""
    return (
        (LimitScope.BALANCE, caller.org_id),
        (LimitScope.ORGANIZATION, caller.org_id),
        (LimitScope.PROJECT, caller.project_id),
        (LimitScope.KEY, caller.key_id),
    )


def empty_limit(scope: LimitScope, owner_id: str) -> LimitState:
    """A level nobody opened: no money on a balance, no cap elsewhere."""
    return LimitState(scope, owner_id, 0 if scope is LimitScope.BALANCE else None, 0, 0)


def room_nano(state: LimitState) -> int:
    """What may still be held; without a cap, what 64 bits can still count."""
    limit_nano = NANO_MAX if state.limit_nano is None else state.limit_nano
    return limit_nano - state.spent_nano - state.held_nano


def check_unspent(
    limits: tuple[LimitState, ...], price: Price, input_tokens: int, output_tokens: int
) -> None:
    """Raise BALANCE_EXHAUSTED or CAP_REACHED when the money cannot start a call, ever.

    What running calls hold is not counted: it may come back. ``output_tokens`` is the least that
    makes sense: one for each choice.
    """
    needed_nano = worst_case_nano(price, input_tokens, output_tokens)
    if any(needed_nano > room_nano(state) + state.held_nano for state in limits):
        raise start_refusal(limits, price, input_tokens, output_tokens)


def check_credit(amount_nano: int, ref: str, balance: LimitState) -> None:
    """Raise INVALID_VALUE for what cannot be booked: nothing, debts, fractions, overflow."""
    if type(amount_nano) is not int or amount_nano <= 0:
        raise Problem(Code.INVALID_VALUE, "A credit must be more than zero.", param="amount")
    if (balance.limit_nano or 0) + amount_nano > NANO_MAX:
        raise Problem(
            Code.INVALID_VALUE,
            f"The balance would pass {format_nano(NANO_MAX)}, the most that can be booked.",
            param="amount",
        )
    if not ref or len(ref) > REF_CHARS_MAX or "\0" in ref:
        raise Problem(
            Code.INVALID_VALUE,
            f"A credit needs a reference of 1 to {REF_CHARS_MAX} characters.",
            param="ref",
        )


def check_limit(state: LimitState, limit_nano: int | None) -> None:
    """Whether a level may get this cap. Raises INVALID_VALUE, or STATE_CONFLICT when it is
    below what was spent and held, or when the level is a balance: only credit changes that."""
    if state.scope is LimitScope.BALANCE and limit_nano:
        raise Problem(Code.STATE_CONFLICT, "A balance changes only by credit.", param="limit")
    if limit_nano is None:
        return
    if type(limit_nano) is not int or not 0 <= limit_nano <= NANO_MAX:
        raise Problem(
            Code.INVALID_VALUE,
            f"A cap must be between 0 and {format_nano(NANO_MAX)}.",
            param="limit",
        )
    used_nano = state.spent_nano + state.held_nano
    if limit_nano < used_nano:
        raise Problem(
            Code.STATE_CONFLICT,
            f"{format_nano(used_nano)} is spent or held already; the cap cannot be lower.",
            param="limit",
            facts={"spent_nano": state.spent_nano, "held_nano": state.held_nano},
        )
