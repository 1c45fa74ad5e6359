"""Two ways to take and settle money for a call, over the same ledger and the same connections."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tokenbooth.core.caller import Caller
from tokenbooth.core.delta import Usage
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store
from tokenbooth.core.receipt import Outcome
from tokenbooth.gateway.till import Till
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import (
    CallFacts,
    Ending,
    Giving,
    HoldAsk,
    LevelKey,
    RoundAsk,
    RoundDone,
    SettledCall,
    Settlement,
    Sized,
    Verdict,
    Want,
    Wants,
)
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices.service import Price
from tokenbooth.proving.bench.hot_account.plan import INPUT_TOKENS, OUTPUT_TOKENS_MAX

REASON = "The answer is complete; the engine's usage is charged."
SPREAD = 37
NOBODY = "00" * 16
NO_WANTS = Wants()


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who calls, at which price."""

    caller: Caller
    price: Price
    model: str

    def ask(self, op: Op) -> HoldAsk:
        return HoldAsk(
            request_id=op.request_id,
            caller=self.caller,
            model=self.model,
            price=self.price,
            input_tokens=INPUT_TOKENS,
            output_tokens_max=OUTPUT_TOKENS_MAX,
            choices=1,
            stream=True,
            stated=True,
            strict=False,
            step_tokens=OUTPUT_TOKENS_MAX,
        )


def ending_of(op: Op, number: int) -> Ending:
    """How the call of that number ends: what calls cost differs."""
    now_us = op.now()
    return Ending(
        request_id=op.request_id,
        outcome=Outcome.COMPLETED,
        reason=REASON,
        usage=Usage(INPUT_TOKENS, 1 + number * SPREAD % OUTPUT_TOKENS_MAX),
        charge=True,
        started_us=now_us,
        first_output_us=now_us,
        ended_us=now_us,
        fingerprint=None,
        deployment_id=None,
    )


class Desk(Protocol):
    """Where one caller takes and settles money, call after call."""

    async def hold(self, op: Op) -> None: ...

    async def settle(self, op: Op, number: int) -> int:
        """What the call cost, in nano-units."""
        ...


class LeasedDesk:
    """The till of the process, as the gateway uses it."""

    def __init__(self, till: Till, buyer: Buyer) -> None:
        self._till = till
        self._buyer = buyer

    async def hold(self, op: Op) -> None:
        await self._till.hold(op, self._buyer.ask(op))

    async def settle(self, op: Op, number: int) -> int:
        receipt = await self._till.settle(op, ending_of(op, number))
        return receipt.cost_nano


class TransactionDesk:
    """Leases exactly what a call needs in one transaction; books it and gives the rest back in
    another. Each caller is a replica of its own, so that none waits for another's round."""

    def __init__(self, store: Store, buyer: Buyer, name: str) -> None:
        self._store = store
        self._buyer = buyer
        self._name = name
        self._chain = tuple(LevelKey(*level) for level in ledger.chain_of(buyer.caller))
        self._epoch = 0
        self._rounds = 0
        self._sized: Sized | None = None
        self._limits: tuple[str, ...] = ()

    async def open(self, op: Op) -> None:
        """Enroll; before the first hold."""
        self._epoch = await self._store.write(lambda tx: leases.enroll(op, tx, self._name, NOBODY))
        self._rounds = 0

    async def hold(self, op: Op) -> None:
        ask = self._buyer.ask(op)
        sized = self._sized = leases.wished(ask)
        want = Want(
            chain=self._chain,
            amount_nano=sized.amount_nano,
            least_nano=sized.amount_nano,
            runs=False,
            recalls={},
        )
        done = await self._book(op, self._round(wants=Wants(calls=(want,))))
        assert done.answers[0].verdict is Verdict.FITS, "a hot account has money enough"
        self._limits = tuple(done.wanted[key] for key in self._chain)

    async def settle(self, op: Op, number: int) -> int:
        sized, buyer = self._sized, self._buyer
        assert sized is not None, "held before"
        ending = ending_of(op, number)
        cost_nano, loss_nano = leases.charge_of(buyer.price, ending.usage, sized.amount_nano)
        rest = Giving(sized.amount_nano - cost_nano, 0)
        call = SettledCall(
            self._facts(op, sized), self._settlement(ending, cost_nano, loss_nano), self._epoch
        )
        await self._book(op, self._round((call,), givings=dict.fromkeys(self._limits, rest)))
        return cost_nano

    async def _book(self, op: Op, ask: RoundAsk) -> RoundDone:
        return await self._store.write(lambda tx: leases.book(op, tx, ask))

    def _round(
        self,
        settled: tuple[SettledCall, ...] = (),
        wants: Wants = NO_WANTS,
        givings: dict[str, Giving] | None = None,
    ) -> RoundAsk:
        self._rounds += 1
        return RoundAsk(
            replica_id=self._name,
            epoch=self._epoch,
            number=self._rounds,
            settled=settled,
            wants=wants,
            givings=givings or {},
        )

    def _facts(self, op: Op, sized: Sized) -> CallFacts:
        caller, price = self._buyer.caller, self._buyer.price
        return CallFacts(
            request_id=op.request_id,
            org_id=caller.org_id,
            project_id=caller.project_id,
            key_id=caller.key_id,
            end_customer=None,
            model=self._buyer.model,
            stream=True,
            price_version=price.version_id,
            tier=price.tier.value,
            data_terms=price.data_terms.value,
            chain=self._limits,
            held_nano=sized.amount_nano,
            input_tokens=INPUT_TOKENS,
            output_tokens=sized.held_output_tokens,
            created_us=op.now(),
        )

    def _settlement(self, ending: Ending, cost_nano: int, loss_nano: int) -> Settlement:
        assert self._sized is not None, "held before"
        return Settlement(
            request_id=ending.request_id,
            outcome=ending.outcome,
            reason=ending.reason,
            usage=ending.usage,
            charged=True,
            cost_nano=cost_nano,
            loss_nano=loss_nano,
            held_nano=self._sized.amount_nano,
            started_us=ending.started_us,
            first_output_us=ending.first_output_us,
            ended_us=ending.ended_us,
            fingerprint=ending.fingerprint,
            deployment_id=ending.deployment_id,
        )


@dataclass(slots=True)
class Tally:
    """What the callers of one turn did."""

    calls: int
    charged_nano: int
    hold_us: list[int]
    settle_us: list[int]


async def call_until(
    desk: Desk, new_op: Callable[[], Op], tally: Tally, over: Callable[[], bool]
) -> None:
    """Hold, settle, and again, until it is ``over``."""
    while not over():
        op = new_op()
        tally.calls += 1
        number = tally.calls
        begun_us = now_us()
        await desk.hold(op)
        held_us = now_us()
        cost_nano = await desk.settle(op, number)
        tally.charged_nano += cost_nano  # not across the wait, in which others add theirs
        tally.hold_us.append(held_us - begun_us)
        tally.settle_us.append(now_us() - held_us)


def now_us() -> int:
    """The machine's monotonic clock."""
    return time.monotonic_ns() // 1000
