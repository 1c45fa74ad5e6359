"""Step 5, admit: rate limits, then a place in front of the engine; given back on every way out."""

from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from tokenbooth.admission.rates.service import RateTicket
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Sink
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import ServiceTier
from tokenbooth.gateway.grant import Grant, question_of
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.route import Seat

US_PER_MS = 1000


class Admission:
    """What an admitted call occupies. A call refused before ``counts`` was never there.

    ``grant`` is on the terms of the tier that was delivered.
    """

    def __init__(self, ticket: RateTicket, grant: Grant) -> None:
        self._ticket = ticket
        self.grant = grant
        self.seat = Seat()
        self._counted = False
        self._tokens_used = 0

    def counts(self) -> None:
        """The call goes on to the engine, so it counts against the limits."""
        self._counted = True

    def used(self, tokens: int) -> None:
        """The tokens that the call really took; the rest of the estimate is given back."""
        self._tokens_used = tokens

    def close(self) -> None:
        self.seat.leave()
        if self._counted:
            self._ticket.close(self._tokens_used)
        else:
            self._ticket.void()


class _Patience:
    """Listens to a sink whose caller waits in the queue."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        self._give_up = give_up

    def gone(self) -> None:
        self._give_up()

    def pressure(self, high: bool) -> None:
        """Nothing is written while a call waits."""


class Admitted:
    """``async with Admitted(...) as admission``. What the balance cannot start is refused on the
    way in, before it would wait in a queue; a caller that hangs up while it waits leaves the queue.

    Raises BALANCE_EXHAUSTED, CAP_REACHED, RATE_LIMITED, ENGINE_BUSY or SHUTTING_DOWN.
    """

    def __init__(self, rooms: Rooms, op: Op, grant: Grant, sink: Sink) -> None:
        self._rooms = rooms
        self._op = op
        self._grant = grant
        self._sink = sink
        self._admission: Admission | None = None

    async def __aenter__(self) -> Admission:
        rooms, grant = self._rooms, self._grant
        choices = grant.parsed.turn.choices
        # One token of each choice is the least that makes sense, of a call that writes any.
        least = choices * min(1, grant.output_tokens_max)
        await rooms.till.check_start(self._op, grant.caller, grant.price, grant.input_tokens, least)
        worst_tokens = grant.input_tokens + grant.output_tokens_max * choices
        if rooms.shares is not None:
            await rooms.shares.cover(grant.caller, worst_tokens)
        admission = Admission(rooms.rates.admit(grant.caller, worst_tokens), grant)
        turn = grant.parsed.turn
        place = rooms.gates.place(
            grant.caller.org_id,
            turn.service_tier,
            grant.input_tokens,
            worst_tokens - grant.input_tokens,
        )
        try:
            deployment = grant.candidates[0].deployment
            if rooms.shares is not None:
                await rooms.shares.cover_place(deployment)
            admission.seat.take(await rooms.gates.enter(deployment, place, waits=self._waits))
            if turn.service_tier is ServiceTier.PRIORITY:
                late = place.waited_us > rooms.options.priority_wait_max_ms * US_PER_MS
                admission.grant = await as_standard(rooms, self._op, grant) if late else grant
            rooms.live.check_open()
        except BaseException:
            admission.close()
            raise
        self._admission = admission
        return admission

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._admission is not None, "left without having entered"
        self._admission.close()

    def _waits(self, give_up: Callable[[], None]) -> None:
        self._sink.listen(_Patience(give_up))


async def as_standard(rooms: Rooms, op: Op, grant: Grant) -> Grant:
    """The grant of a call that asked for priority and waited as others do: it pays what they pay.

    Raises ENGINE_BUSY where the model has no standard price.
    """
    turn = replace(grant.parsed.turn, service_tier=ServiceTier.STANDARD)
    try:
        price = await rooms.directory.price(op, question_of(grant.caller, turn))
    except Problem as problem:
        if problem.code is not Code.PRICE_NOT_OFFERED:
            raise
        raise Problem(
            Code.ENGINE_BUSY, "The model is too busy for the tier priority.", retry_after_s=1
        ) from problem
    price = replace(price, uses=grant.price.uses)
    return replace(grant, parsed=replace(grant.parsed, turn=turn), price=price)
