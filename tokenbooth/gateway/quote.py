"""What a call would cost and whether the money is there: steps 1 to 4, and then no call."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitState
from tokenbooth.gateway.grant import gate
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.serve import authenticate, hold_ask
from tokenbooth.gateway.turn_reading import turn_read
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import HoldAsk, Sized
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import Price
from tokenbooth.protocols.dialect import Dialect


@dataclass(frozen=True, slots=True)
class QuotedLimit:
    """``affordable_output_tokens`` is of one choice; ``None`` where the money sets no bound."""

    state: LimitState
    fits: bool
    affordable_output_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a call with the same body would meet now.

    ``worst_case_nano`` is of the whole output limit, ``output_tokens_max`` of one choice, as the
    model allows it. ``sized`` is the hold that the call would take, lowered to what the money buys
    if need be; ``refusal`` stands in its place where the call would be refused.
    """

    caller: Caller
    model: str
    price: Price
    input_tokens: int
    input_exact: bool
    output_tokens_max: int
    choices: int
    stated: bool
    worst_case_nano: int
    limits: tuple[QuotedLimit, ...]
    sized: Sized | None
    refusal: Problem | None

    @property
    def fits(self) -> bool:
        """Whether every limit can bear the worst case."""
        return all(limit.fits for limit in self.limits)

    @property
    def affordable_output_tokens(self) -> int | None:
        bounds = (limit.affordable_output_tokens for limit in self.limits)
        return min((bound for bound in bounds if bound is not None), default=None)


async def quote(
    rooms: Rooms,
    dialect: Dialect,
    op: Op,
    head: CallHead,
    body: Body,
    turn: AbstractAsyncContextManager[None],
) -> Quote:
    """Read, parse and gate the body as a call would, and compute; nothing is held or kept.

    All that costs the server anything happens inside ``turn``, and nothing that waits for the
    caller: who sends a body slowly must not keep others from their turn. The limits are those of
    the ledger after everything that happened here was told to it. Raises what the first four steps
    and ``turn`` raise, and nothing for want of money: the quote tells of it.
    """
    caller = await authenticate(rooms, op, head, Scope.INFERENCE)
    raw = await body.read(rooms.options.body_bytes_max)
    async with turn:
        parsed = await turn_read(dialect, raw)
        caller = replace(caller, end_customer=parsed.turn.end_customer)
        op = replace(op, caller=caller)
        with rooms.media.basket() as basket:
            grant = await gate(rooms, op, dialect, caller, parsed, basket)
        ask = hold_ask(rooms, op, grant, head)
        await rooms.till.flushed()
        return quoted(ask, await rooms.till.limits(op, caller), input_exact=grant.input_exact)


def quoted(ask: HoldAsk, states: tuple[LimitState, ...], *, input_exact: bool) -> Quote:
    """The quote of a call under limits that stand like this."""
    tokens = ask.choices * ask.output_tokens_max
    worst_case_nano = prices.worst_case_nano(ask.price, ask.input_tokens, tokens)
    sized: Sized | None = leases.wished(ask)
    refusal: Problem | None = None
    room_nano = min(map(_room_nano, states))
    if sized is not None and sized.amount_nano > room_nano:
        sized, refusal = _short(ask, room_nano, states)
    return Quote(
        caller=ask.caller,
        model=ask.model,
        price=ask.price,
        input_tokens=ask.input_tokens,
        input_exact=input_exact,
        output_tokens_max=ask.output_tokens_max,
        choices=ask.choices,
        stated=ask.stated,
        worst_case_nano=worst_case_nano,
        limits=tuple(_limit(ask, state, worst_case_nano) for state in states),
        sized=sized,
        refusal=refusal,
    )


def _short(
    ask: HoldAsk, room_nano: int, states: tuple[LimitState, ...]
) -> tuple[Sized | None, Problem | None]:
    try:
        return leases.afforded(ask, room_nano, states), None
    except Problem as refusal:
        return None, refusal


def _limit(ask: HoldAsk, state: LimitState, worst_case_nano: int) -> QuotedLimit:
    room_nano = _room_nano(state)
    bought = prices.affordable_output_tokens(ask.price, ask.input_tokens, room_nano)
    bound = bought // ask.choices if bought < prices.UNBOUNDED_TOKENS else None
    if state.limit_nano is None:
        bound = None
    return QuotedLimit(state, worst_case_nano <= room_nano, bound)


def _room_nano(state: LimitState) -> int:
    """What a new hold may take; without a cap, what 64 bits can still count."""
    if state.limit_nano is None:
        return NANO_MAX - state.spent_nano - state.held_nano
    return state.limit_nano - state.spent_nano - state.held_nano
