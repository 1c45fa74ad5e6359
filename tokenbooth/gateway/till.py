"""The till of one gateway process: money in memory, the journal under it, and rounds to the ledger.

A hold is taken from leased money without a wait, or waits for a round. A settlement waits for the
journal alone. What the ledger does not know yet is told in rounds, in the background.
"""

import asyncio
import contextlib
from collections.abc import Callable

from msgspec import structs

from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage, UsageSource
from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Clock
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitState, Outcome, Receipt
from tokenbooth.gateway.books import Books
from tokenbooth.gateway.chains import Chains
from tokenbooth.gateway.options import TillOptions
from tokenbooth.gateway.rules import NOTHING_DELIVERED, WITHHELD
from tokenbooth.gateway.running import Running, RunningCalls, charge_at_once
from tokenbooth.gateway.teller import Teller
from tokenbooth.money.journal.service import JournalDriver
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import (
    CallFacts,
    Ending,
    HeldMoney,
    Hold,
    HoldAsk,
    Levels,
    Pool,
    SettledCall,
    Settlement,
    Sized,
)
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import Price


class Till:
    """Lives on one event loop from ``start`` to ``close``."""

    def __init__(
        self,
        books: Books,
        pool: Pool,
        journal: JournalDriver,
        clock: Clock,
        options: TillOptions,
    ) -> None:
        self._books = books
        self._pool = pool
        self._journal = journal
        self._clock = clock
        self._options = options
        self._closed = False
        self._chains = Chains(pool)
        self._teller = Teller(books, pool, clock, options, booked=journal.forget)
        self._waiting = self._teller.waiting
        self.running = RunningCalls(pool, self._waiting, journal, clock)

    def start(self, new_op: Callable[[], Op]) -> None:
        """Begin to tell the ledger; ``new_op`` is the context of one round."""
        self._teller.start(new_op)

    async def close(self) -> None:
        """Tell everything, give every lease back, and let go of the journal.

        What the database does not take in time is told at the next start. Again it does nothing.
        """
        if self._closed:
            return
        self._closed = True
        await self._teller.close()
        with contextlib.suppress(Problem):  # a broken journal was told of when it broke
            await self._journal.close()

    @property
    def away(self) -> bool:
        """Whether the database did not take the newest round, or nothing can be written down."""
        return self._teller.away or self._journal.broken is not None

    @property
    def waiting(self) -> int:
        """Settled calls that the ledger does not know yet."""
        return self._pool.waiting

    @property
    def replica_id(self) -> str:
        return self._pool.replica_id

    @property
    def epoch(self) -> int:
        return self._pool.epoch

    async def flushed(self) -> bool:
        """Wait until the ledger shows what happened here so far; bounded: then it lags, False."""
        return await self._teller.flushed()

    async def check_start(
        self, op: Op, caller: Caller, price: Price, input_tokens: int, output_tokens: int
    ) -> None:
        """Refuse at once what the balance or a cap cannot start, whatever running calls hold; the
        ledger is asked only where memory does not say that there is enough. Raises what ``hold``
        raises."""
        leased = self._chains.leased(caller, self._clock.monotonic_us())
        if leased is not None:
            needed_nano = prices.worst_case_nano(price, input_tokens, output_tokens)
            for level in leased.levels:
                if level.free_nano < needed_nano and level.left_nano < needed_nano:
                    break
            else:
                return
        states = await self._books.limits(op, caller)
        ledger.check_unspent(states, price, input_tokens, output_tokens)

    async def limits(self, op: Op, caller: Caller) -> tuple[LimitState, ...]:
        """Every level of the caller as the ledger has it now."""
        return await self._books.limits(op, caller)

    async def hold(self, op: Op, ask: HoldAsk) -> Hold:
        """Take the worst case at every level of the caller, or what the money buys of it.

        Raises BALANCE_EXHAUSTED or CAP_REACHED when not one output token for each choice fits,
        OUTPUT_UNAFFORDABLE for a strict caller, LEDGER_UNAVAILABLE and REPLICA_FENCED.
        """
        if ask.request_id in self.running.calls:
            raise Problem(Code.STATE_CONFLICT, f"The call {ask.request_id} has a hold already.")
        if self._teller.fenced is not None or self._journal.broken is not None:
            self._check_open()
        sized = leases.wished(ask)
        now_us = self._clock.monotonic_us()
        leased, chain = self._chains.leased(ask.caller, now_us), self._chains.of(ask.caller)
        if leased is not None and self._waiting.may_take(leased, chain, sized.amount_nano):
            return self._take(op, ask, leased.levels, sized, now_us)

        def short(found: Levels) -> Hold:
            refusing = tuple(level.refusing_state() for level in found)
            room_nano = min(level.free_nano for level in found)
            sized = leases.afforded(ask, room_nano, refusing)
            return self._take(op, ask, found, sized, self._clock.monotonic_us())

        def fits(found: Levels) -> Hold:
            return self._take(op, ask, found, sized, self._clock.monotonic_us())

        try:
            return await self._waiting.wait(
                chain,
                sized.amount_nano,
                runs=False,
                take=fits,
                short=short,
                least_nano=leases.least_nano(ask),
            )
        except asyncio.CancelledError:
            if ask.request_id in self.running.calls:  # the money came while its caller was going
                await self.settle(op, _unused(ask.request_id, op.now()))
            raise

    def _take(self, op: Op, ask: HoldAsk, levels: Levels, sized: Sized, now_us: int) -> Hold:
        facts = _facts(ask, levels, sized, op.now())
        self._journal.open(facts)
        held = self._pool.hold(facts, levels, now_us)
        self.running.calls[ask.request_id] = Running(ask, held, sized.held_output_tokens)
        limits = self._pool.limits(levels) if ask.stream or sized.lowered else ()
        tightest = min(limits, key=_left_nano).scope if sized.lowered else None
        return Hold(
            request_id=ask.request_id,
            amount_nano=sized.amount_nano,
            input_tokens=ask.input_tokens,
            output_tokens_max=sized.output_tokens_max,
            held_output_tokens=sized.held_output_tokens,
            clamped_by=tightest,
            limits=limits,
            price=ask.price,
        )

    async def settle(self, op: Op, ending: Ending) -> Receipt:
        """Resolve the hold once; returns when the settlement survives a power cut.

        Where it cannot be written down, a streamed call waits for the ledger instead, and a whole
        answer is withheld, which costs nothing. Raises LEDGER_UNAVAILABLE for both when that fails.
        """
        running = self.running.calls[ending.request_id]
        broken = self._journal.broken is not None
        if broken and ending.charge and not running.ask.stream:
            ending = _withheld(ending)
        cost_nano, loss_nano = charge_at_once(running, ending)
        if loss_nano:
            cost_nano, loss_nano = await self.running.charge(op, running, ending)
        del self.running.calls[ending.request_id]
        held = running.held
        settlement = _settlement(ending, held, cost_nano, loss_nano)
        self._pool.release(held, cost_nano, self._clock.monotonic_us())
        call = SettledCall(held.facts, settlement, self._pool.epoch)
        try:
            if not broken:
                await self._journal.settle(call)
        except Problem as problem:
            op.log.fault("journal_broken", problem)
            broken = True
            if not running.ask.stream and cost_nano:
                ending = _withheld(ending)
                self._pool.uncharge(held, cost_nano)
                call = structs.replace(call, settlement=_settlement(ending, held, 0, 0))
                settlement = call.settlement
        finally:
            self._teller.tell(call)
        if broken and ending.outcome is Outcome.INTERRUPTED and ending.reason == WITHHELD:
            raise Problem(
                Code.LEDGER_UNAVAILABLE,
                "The price of the answer could not be booked: it is withheld and costs nothing.",
                retry_after_s=5,
            )
        if broken:
            await self._booked_instead(op, settlement)
        return _receipt(settlement, running.ask.price, self._pool.limits(held.levels))

    async def _booked_instead(self, op: Op, settlement: Settlement) -> None:
        """The ledger itself makes the end durable where the journal cannot: a next start would
        charge the last progress that the journal has, also for a call that ended free."""
        if not await self._teller.flushed():
            raise Problem(
                Code.LEDGER_UNAVAILABLE,
                "The call has ended, but its price could not be booked yet; see GET"
                f" /v1/requests/{settlement.request_id} for it.",
                retry_after_s=5,
            )

    def _check_open(self) -> None:
        if self._teller.fenced is not None:
            raise self._teller.fenced
        if self._journal.broken is not None:
            raise Problem(
                Code.LEDGER_UNAVAILABLE,
                "Charges cannot be written down, so nothing is served.",
                detail=self._journal.broken,
                retry_after_s=5,
            )


def _facts(ask: HoldAsk, levels: Levels, sized: Sized, now_us: int) -> CallFacts:
    return CallFacts(
        request_id=ask.request_id,
        org_id=ask.caller.org_id,
        project_id=ask.caller.project_id,
        key_id=ask.caller.key_id,
        end_customer=ask.caller.end_customer,
        model=ask.model,
        stream=ask.stream,
        price_version=ask.price.version_id,
        tier=ask.price.tier.value,
        data_terms=ask.price.data_terms.value,
        chain=tuple([level.limit_id for level in levels]),
        held_nano=sized.amount_nano,
        input_tokens=ask.input_tokens,
        output_tokens=sized.held_output_tokens,
        created_us=now_us,
    )


def _settlement(ending: Ending, held: HeldMoney, cost_nano: int, loss_nano: int) -> Settlement:
    return Settlement(
        request_id=ending.request_id,
        outcome=ending.outcome,
        reason=ending.reason,
        usage=ending.usage,
        charged=ending.charge,
        cost_nano=cost_nano,
        loss_nano=loss_nano,
        held_nano=held.held_nano,
        started_us=ending.started_us,
        first_output_us=ending.first_output_us,
        ended_us=ending.ended_us,
        fingerprint=ending.fingerprint,
        deployment_id=ending.deployment_id,
    )


def _receipt(settlement: Settlement, price: Price, limits: tuple[LimitState, ...]) -> Receipt:
    return Receipt(
        request_id=settlement.request_id,
        outcome=settlement.outcome,
        reason=settlement.reason,
        usage=settlement.usage,
        cost_nano=settlement.cost_nano,
        currency=price.currency,
        price_version=price.version_id,
        limits=limits,
    )


def _withheld(ending: Ending) -> Ending:
    """The ending of a whole answer that never leaves, because it cannot be booked."""
    return structs.replace(ending, outcome=Outcome.INTERRUPTED, reason=WITHHELD, charge=False)


def _unused(request_id: str, now_us: int) -> Ending:
    """The ending of a call that got its money, and nobody was there to hear of it."""
    return Ending(
        request_id=request_id,
        outcome=Outcome.CLIENT_GONE,
        reason=NOTHING_DELIVERED,
        usage=Usage(0, 0, source=UsageSource.BOUND),
        charge=False,
        started_us=now_us,
        first_output_us=None,
        ended_us=now_us,
        fingerprint=None,
        deployment_id=None,
    )


def _left_nano(state: LimitState) -> int:
    return NANO_MAX if state.remaining_nano is None else state.remaining_nano
