"""Step 5, admit: rate limits, then a place in front of the engine; given back on every way out."""

from collections.abc import Callable
from types import TracebackType

from tokenbooth.admission.rates.service import RateTicket
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Sink
from tokenbooth.gateway.grant import Grant
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.route import Seat


class Admission:
    """What an admitted call occupies. A call refused before ``counts`` was never there."""

    def __init__(self, ticket: RateTicket) -> None:
        self._ticket = ticket
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
        admission = Admission(rooms.rates.admit(grant.caller, worst_tokens))
        try:
            deployment = grant.candidates[0].deployment
            if rooms.shares is not None:
                await rooms.shares.cover_place(deployment)
            admission.seat.take(await rooms.gates.enter(deployment, waits=self._waits))
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
