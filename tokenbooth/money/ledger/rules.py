"""Decisions about money, on integers alone."""

from msgspec import structs

from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.money import NANO_MAX, format_nano
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, LimitState
from tokenbooth.money.ledger.values import Chain, LimitRow
from tokenbooth.money.prices.rules import worst_case_nano
from tokenbooth.money.prices.values import Price
from tokenbooth.money.refusals import start_refusal
from tokenbooth.money.windows import Period, limit_id, window_of

REF_CHARS_MAX = 200


def chain_of(caller: Caller) -> Chain:
    """Balance and organization share the organization's id."""
    return (
        (LimitScope.BALANCE, caller.org_id),
        (LimitScope.ORGANIZATION, caller.org_id),
        (LimitScope.PROJECT, caller.project_id),
        (LimitScope.KEY, caller.key_id),
    )


def empty_row(scope: LimitScope, owner_id: str) -> LimitRow:
    """A level nobody opened: no money on a balance, no cap elsewhere."""
    return LimitRow(
        id=limit_id(scope, owner_id),
        scope=scope,
        owner_id=owner_id,
        window_id="",
        period=Period.NONE,
        limit_nano=0 if scope is LimitScope.BALANCE else None,
        spent_nano=0,
        leased_nano=0,
        held_nano=0,
        recall=0,
    )


def window_row(pattern: LimitRow, now_us: int) -> LimitRow:
    """The empty window of that moment, of a cap that renews."""
    window_id = window_of(pattern.period, now_us)
    name = limit_id(pattern.scope, pattern.owner_id, window_id)
    return structs.replace(
        pattern, id=name, window_id=window_id, spent_nano=0, leased_nano=0, held_nano=0, recall=0
    )


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


def check_credit(amount_nano: int, ref: str, balance: LimitRow) -> None:
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


def check_cap(scope: LimitScope, limit_nano: int | None, period: Period) -> None:
    """Whether a level may have such a cap. Raises INVALID_VALUE, or STATE_CONFLICT for a balance,
    which only credit changes and which never renews."""
    if scope is LimitScope.BALANCE and (limit_nano or period is not Period.NONE):
        raise Problem(Code.STATE_CONFLICT, "A balance changes only by credit.", param="limit")
    if limit_nano is None:
        if period is not Period.NONE:
            raise Problem(
                Code.INVALID_VALUE,
                "Only a cap can renew; without one, the period is none.",
                param="cap-period",
            )
        return
    if type(limit_nano) is not int or not 0 <= limit_nano <= NANO_MAX:
        raise Problem(
            Code.INVALID_VALUE,
            f"A cap must be between 0 and {format_nano(NANO_MAX)}.",
            param="limit",
        )


def check_used(row: LimitRow, limit_nano: int | None) -> None:
    """Raise STATE_CONFLICT for a cap below what is spent and leased under it.

    What is leased and not held by calls can be recalled: ``limit_id`` says of which limit.
    """
    used_nano = row.spent_nano + row.leased_nano
    if limit_nano is not None and limit_nano < used_nano:
        raise Problem(
            Code.STATE_CONFLICT,
            f"{format_nano(row.spent_nano)} is spent and {format_nano(row.leased_nano)} is leased"
            " for calls already; the cap cannot be lower.",
            param="limit",
            facts={
                "limit_id": row.id,
                "cap_nano": limit_nano,
                "spent_nano": row.spent_nano,
                "leased_nano": row.leased_nano,
                "held_nano": row.held_nano,
            },
        )
