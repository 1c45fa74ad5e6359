"""A call that holds money: on every way out of it the hold is resolved, once."""

from types import TracebackType

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import RunEnd
from tokenbooth.core.op import Op
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.gateway.grant import Grant
from tokenbooth.gateway.headers import receipt_headers
from tokenbooth.gateway.media import with_uses
from tokenbooth.gateway.relay import Ended, Relay
from tokenbooth.gateway.reply import Reply
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.rules import Charge, charge_of
from tokenbooth.money.leases.service import Ending

NEVER_RAN = Ended(
    Outcome.ENGINE_FAILED,
    None,
    Problem(Code.INTERNAL, "The call could not be run; nothing is charged."),
)


class HeldCall:
    """``async with HeldCall(...)``: registered as running inside, settled when it is left."""

    def __init__(self, rooms: Rooms, op: Op, grant: Grant, relay: Relay, started_us: int) -> None:
        self._rooms = rooms
        self._op = op
        self._grant = grant
        self._relay = relay
        self._started_us = started_us
        self.receipt: Receipt | None = None

    async def __aenter__(self) -> "HeldCall":
        self._rooms.live.enter(self._op.request_id, self._grant.caller.key_id, self._relay)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._rooms.live.leave(self._op.request_id)
        ended = self._relay.result or NEVER_RAN
        charge = charge_of(
            ended.outcome,
            ended.end,
            self._relay.delivery,
            self._grant.input_tokens,
            exact=self._grant.input_exact,
        )
        ending = self._ending(charge, ended.end)
        self.receipt = await self._rooms.till.settle(self._op, ending)
        if ending.first_output_us is not None:
            self._rooms.prefixes.ran(
                ending.request_id, self._grant.match, ending.usage, ending.deployment_id
            )
        self._measure(self.receipt)

    @property
    def tokens_used(self) -> int:
        """Tokens of the settled call; 0 before it is settled."""
        usage = None if self.receipt is None else self.receipt.usage
        return 0 if usage is None else usage.input_tokens + usage.output_tokens

    def answer(self, reply: Reply) -> None:
        """Write the terminal event, after the settlement that it tells of."""
        ended = self._relay.result or NEVER_RAN
        if ended.problem is not None:
            reply.refuse(ended.problem)
        elif ended.end is not None and self.receipt is not None:
            shaped = self._relay.shape_headers
            paid = (*reply.headers, *shaped, *receipt_headers(self.receipt))
            self._relay.finish(ended.end, self.receipt, paid)
        else:
            self._relay.hang_up()

    def _ending(self, charge: Charge, end: RunEnd | None) -> Ending:
        return Ending(
            request_id=self._op.request_id,
            outcome=charge.outcome,
            reason=charge.reason,
            usage=with_uses(charge.usage, self._grant.price.uses),
            charge=charge.charge,
            started_us=self._started_us,
            first_output_us=self._relay.first_output_us,
            ended_us=self._op.now(),
            fingerprint=end.fingerprint if end is not None else None,
            deployment_id=self._relay.deployment_id,
        )

    def _measure(self, receipt: Receipt) -> None:
        first = self._relay.first_output_us
        model, duration_us = self._grant.parsed.turn.model, self._op.now() - self._started_us
        self._rooms.metrics.call_ended(
            model,
            receipt,
            first_output_us=None if first is None else first - self._started_us,
            duration_us=duration_us,
        )
        self._op.log.event(
            "call_settled",
            request_id=receipt.request_id,
            org_id=self._grant.caller.org_id,
            key_id=self._grant.caller.key_id,
            model=model,
            outcome=receipt.outcome.value,
            input_tokens=receipt.usage.input_tokens,
            output_tokens=receipt.usage.output_tokens,
            cost_nano=receipt.cost_nano,
            duration_us=duration_us,
        )
