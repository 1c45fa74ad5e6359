"""A till that takes no money: it neither holds, nor writes down, nor tells. For measurements."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tokenbooth.booth import Booth
from tokenbooth.core.caller import Caller
from tokenbooth.core.delta import Usage
from tokenbooth.core.op import Op
from tokenbooth.core.receipt import LimitState, Receipt
from tokenbooth.gateway.books import Books
from tokenbooth.gateway.running import RunningCalls
from tokenbooth.gateway.till import Till
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import Ending, Hold, HoldAsk
from tokenbooth.money.prices.service import Price

NO_JOURNAL = "00" * 16


class _FreeCalls(RunningCalls):
    """Every output is paid for, and nothing of it is written down."""

    def __init__(self) -> None:
        """Without anything to ask."""

    def covered(self, request_id: str, output_tokens: int) -> int:
        return output_tokens

    async def extend(self, request_id: str, output_tokens: int) -> bool:
        return True

    def progress(self, request_id: str, usage: Usage, first_output_us: int | None) -> None:
        """Nobody is charged after a crash either."""


class FreeTill(Till):
    """Satisfies everything that the gateway asks of a till, without any effect.

    Answers are the same bytes but for the money in them: every cost is 0 and no level is told.
    """

    away = False
    waiting = 0
    replica_id = ""
    epoch = 0

    def __init__(self, replica_id: str, epoch: int) -> None:
        self.replica_id = replica_id
        self.epoch = epoch
        self.running = _FreeCalls()
        self._prices: dict[str, Price] = {}

    def start(self, new_op: Callable[[], Op]) -> None:
        """There is nothing to tell."""

    async def close(self) -> None:
        """There is nothing to give back."""

    async def flushed(self) -> bool:
        return True

    async def check_start(
        self, op: Op, caller: Caller, price: Price, input_tokens: int, output_tokens: int
    ) -> None:
        """Everybody may start."""

    async def limits(self, op: Op, caller: Caller) -> tuple[LimitState, ...]:
        return ()

    async def hold(self, op: Op, ask: HoldAsk) -> Hold:
        self._prices[ask.request_id] = ask.price
        return Hold(
            request_id=ask.request_id,
            amount_nano=0,
            input_tokens=ask.input_tokens,
            output_tokens_max=ask.output_tokens_max,
            held_output_tokens=ask.output_tokens_max * ask.choices,
            clamped_by=None,
            limits=(),
            price=ask.price,
        )

    async def settle(self, op: Op, ending: Ending) -> Receipt:
        price = self._prices.pop(ending.request_id)
        return Receipt(
            request_id=ending.request_id,
            outcome=ending.outcome,
            reason=ending.reason,
            usage=ending.usage,
            cost_nano=0,
            currency=price.currency,
            price_version=price.version_id,
            limits=(),
        )


@asynccontextmanager
async def open_free_till(booth: Booth, books: Books) -> AsyncIterator[Till]:
    """Satisfies ``boot.OpenTill``; the replica is known to the ledger, so that its loops run."""
    replica = f"{booth.settings.gateway.replica}-free"
    op = booth.op("replica")
    epoch = await booth.store.write(lambda tx: leases.enroll(op, tx, replica, NO_JOURNAL))
    yield FreeTill(replica, epoch)
