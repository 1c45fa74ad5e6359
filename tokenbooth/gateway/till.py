"""The till of one gateway process: money in memory, the journal under it, and rounds to the ledger.

A hold is taken from leased money without a wait, or waits for a round. A settlement waits for the
journal alone. What the ledger does not know yet is told in rounds, in the background.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Clock, Store
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitState, Outcome, Receipt
from tokenbooth.gateway.options import TillOptions
from tokenbooth.gateway.rules import WITHHELD
from tokenbooth.gateway.teller import Teller
from tokenbooth.money.journal.service import JournalDriver
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import (
    CallFacts,
    Ending,
    HeldMoney,
    Hold,
    HoldAsk,
    LevelKey,
    Levels,
    Pool,
    Progress,
    SettledCall,
    Settlement,
    Sized,
)
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import Price

CHAINS_MAX = 10_000


@dataclass(slots=True)
class _Running:
    """A call that holds money; ``covered_tokens`` of output are paid for, all choices together."""

    ask: HoldAsk
    held: HeldMoney
    covered_tokens: int


class Till:
    """Lives on one event loop from ``start`` to ``close``."""

    def __init__(
        self,
        store: Store,
        pool: Pool,
        journal: JournalDriver,
        clock: Clock,
        options: TillOptions,
    ) -> None:
        self._store = store
        self._pool = pool
        self._journal = journal
        self._clock = clock
        self._options = options
        self._closed = False
        self._chains: dict[str, tuple[LevelKey, ...]] = {}
        self._running: dict[str, _Running] = {}
        self._teller = Teller(store, pool, clock, options, booked=journal.forget)

    def start(self, new_op: Callable[[], Op]) -> None:
        """Begin to tell the ledger; ``new_op`` is the context of one round."""
        self._teller.start(new_op)

    async def close(self) -> None:
        """Tell everything, give every lease back, and let go of the journal.

        What the database does not take in time is told by the next start of this replica. Closing
        again does nothing.
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
        """Refuse at once what the balance or a cap cannot start, whatever running calls hold.

        Asks the ledger only where memory does not say that it fits. Raises what ``hold`` raises.
        """
        chain = self._chain(caller)
        needed_nano = prices.worst_case_nano(price, input_tokens, output_tokens)
        if self._teller.levels_now(chain, needed_nano) is not None:
            return
        states = await self.limits(op, caller)
        ledger.check_unspent(states, price, input_tokens, output_tokens)

    async def limits(self, op: Op, caller: Caller) -> tuple[LimitState, ...]:
        """Every level of the caller as the ledger has it now."""
        return await self._store.read(lambda tx: ledger.limits(op, tx, ledger.chain_of(caller)))

    async def hold(self, op: Op, ask: HoldAsk) -> Hold:
        """Take the worst case at every level of the caller, or what the money buys of it.

        Raises BALANCE_EXHAUSTED or CAP_REACHED when not one output token for each choice fits,
        OUTPUT_UNAFFORDABLE for a strict caller, LEDGER_UNAVAILABLE and REPLICA_FENCED.
        """
        if ask.request_id in self._running:
            raise Problem(Code.STATE_CONFLICT, f"The call {ask.request_id} has a hold already.")
        self._check_open()
        sized = leases.wished(ask)
        chain = self._chain(ask.caller)
        levels = self._teller.levels_now(chain, sized.amount_nano)
        if levels is not None:
            return self._take(op, ask, levels, sized)

        def short(found: Levels) -> Hold:
            refusing = tuple(level.refusing_state() for level in found)
            room_nano = min(level.free_nano for level in found)
            return self._take(op, ask, found, leases.afforded(ask, room_nano, refusing))

        return await self._teller.wait(
            chain,
            sized.amount_nano,
            runs=False,
            take=lambda found: self._take(op, ask, found, sized),
            short=short,
            least_nano=leases.least_nano(ask),
        )

    def _take(self, op: Op, ask: HoldAsk, levels: Levels, sized: Sized) -> Hold:
        facts = CallFacts(
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
            chain=tuple(level.limit_id for level in levels),
            held_nano=sized.amount_nano,
            input_tokens=ask.input_tokens,
            output_tokens=sized.held_output_tokens,
            created_us=op.now(),
        )
        self._journal.open(facts)
        held = self._pool.hold(facts, levels, self._clock.monotonic_us())
        self._running[ask.request_id] = _Running(ask, held, sized.held_output_tokens)
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

    def covered(self, request_id: str, output_tokens: int) -> int:
        """Hold for ``output_tokens`` of output at least, if that is possible without a wait.

        Returns how many tokens are covered then, which may be more, or fewer.
        """
        running = self._running[request_id]
        step = running.ask.step_tokens * running.ask.choices
        ceiling = running.ask.output_tokens_max * running.ask.choices
        for tokens in (min(output_tokens + step, max(ceiling, output_tokens)), output_tokens):
            if tokens <= running.covered_tokens:
                break
            missing_nano = self._missing_nano(running, tokens)
            if self._teller.busy_for_running and missing_nano:
                break
            if self._pool.extend(running.held, missing_nano, self._clock.monotonic_us()):
                running.covered_tokens = tokens
                break
        return running.covered_tokens

    async def extend(self, request_id: str, output_tokens: int) -> bool:
        """Wait for the money for ``output_tokens``; running calls go before new ones.

        False when there is none, or when the ledger cannot be asked.
        """
        running = self._running.get(request_id)
        if running is None:
            return False
        missing_nano = self._missing_nano(running, output_tokens)
        if not await self._more(running, missing_nano):
            return False
        running.covered_tokens = max(running.covered_tokens, output_tokens)
        return True

    async def _more(self, running: _Running, missing_nano: int) -> bool:
        held = running.held

        def take(levels: Levels) -> bool:
            return self._pool.extend(held, missing_nano, self._clock.monotonic_us())

        if missing_nano == 0 or take(held.levels):
            return True
        chain = tuple(level.named_key for level in held.levels)
        try:
            return await self._teller.wait(
                chain, missing_nano, runs=True, take=take, short=lambda levels: False
            )
        except Problem:
            return False

    def _missing_nano(self, running: _Running, output_tokens: int) -> int:
        ask = running.ask
        return leases.extension_nano(
            ask.price, ask.input_tokens, output_tokens, running.held.held_nano
        )

    def progress(self, request_id: str, usage: Usage, first_output_us: int | None) -> None:
        """Write down what has left towards the caller: what a crash leaves to be charged."""
        running = self._running.get(request_id)
        if running is None or self._journal.broken is not None:
            return
        held_nano = running.held.held_nano
        cost_nano, _ = leases.charge_of(running.ask.price, usage, held_nano)
        self._journal.progress(
            Progress(
                request_id=request_id,
                usage=usage,
                cost_nano=cost_nano,
                held_nano=held_nano,
                first_output_us=first_output_us,
                at_us=self._clock.now_us(),
            )
        )

    async def settle(self, op: Op, ending: Ending) -> Receipt:
        """Resolve the hold once; returns when the settlement survives a power cut.

        Where it cannot be written down, a streamed call waits for the ledger instead, and a whole
        answer is withheld, which costs nothing. Raises LEDGER_UNAVAILABLE for both when that fails.
        """
        running = self._running[ending.request_id]
        broken = self._journal.broken is not None
        if broken and ending.charge and not running.ask.stream:
            ending = _withheld(ending)
        settlement = await self._settlement(op, running, ending)
        del self._running[ending.request_id]
        held = running.held
        self._pool.release(held, settlement.cost_nano, self._clock.monotonic_us())
        try:
            if not broken:
                await self._journal.durable(self._journal.settle(settlement))
        except Problem as problem:
            op.log.fault("journal_broken", problem)
            broken = True
        self._teller.tell(SettledCall(held.facts, settlement, self._pool.epoch))
        if broken and settlement.charged:
            await self._booked_instead(op, settlement)
        elif broken and ending.outcome is Outcome.INTERRUPTED and ending.reason == WITHHELD:
            raise Problem(
                Code.LEDGER_UNAVAILABLE,
                "The price of the answer could not be booked: it is withheld and costs nothing.",
                retry_after_s=5,
            )
        return Receipt(
            request_id=ending.request_id,
            outcome=settlement.outcome,
            reason=settlement.reason,
            usage=settlement.usage,
            cost_nano=settlement.cost_nano,
            currency=running.ask.price.currency,
            price_version=running.ask.price.version_id,
            limits=self._pool.limits(held.levels),
        )

    async def _settlement(self, op: Op, running: _Running, ending: Ending) -> Settlement:
        """With more money held where the usage costs more than was foreseen."""
        cost_nano = loss_nano = 0
        if ending.charge:
            price, held = running.ask.price, running.held
            cost_nano, loss_nano = leases.charge_of(price, ending.usage, held.held_nano)
            if loss_nano and not running.ask.stated and await self._more(running, loss_nano):
                cost_nano, loss_nano = leases.charge_of(price, ending.usage, held.held_nano)
        if loss_nano:
            op.log.fault("usage_above_hold", request_id=ending.request_id, loss_nano=loss_nano)
        return Settlement(
            request_id=ending.request_id,
            outcome=ending.outcome,
            reason=ending.reason,
            usage=ending.usage,
            charged=ending.charge,
            cost_nano=cost_nano,
            loss_nano=loss_nano,
            held_nano=running.held.held_nano,
            started_us=ending.started_us,
            first_output_us=ending.first_output_us,
            ended_us=ending.ended_us,
            fingerprint=ending.fingerprint,
            deployment_id=ending.deployment_id,
        )

    async def _booked_instead(self, op: Op, settlement: Settlement) -> None:
        """The ledger itself makes the charge durable where the journal cannot."""
        if not await self._teller.flushed():
            raise Problem(
                Code.LEDGER_UNAVAILABLE,
                "The answer is complete, but its price could not be booked yet; see GET"
                f" /v1/requests/{settlement.request_id} for it.",
                retry_after_s=5,
            )

    def _chain(self, caller: Caller) -> tuple[LevelKey, ...]:
        """The levels that pay for the caller; one object for each key, which is quick to find."""
        chain = self._chains.get(caller.key_id)
        if chain is None:
            if len(self._chains) >= CHAINS_MAX:
                self._chains.clear()
            chain = tuple(LevelKey(*level) for level in ledger.chain_of(caller))
            self._chains[caller.key_id] = chain
        return chain

    def _check_open(self) -> None:
        self._teller.check_open()
        if self._journal.broken is not None:
            raise Problem(
                Code.LEDGER_UNAVAILABLE,
                "Charges cannot be written down, so nothing is served.",
                detail=self._journal.broken,
                retry_after_s=5,
            )


def _withheld(ending: Ending) -> Ending:
    """The ending of a whole answer that never leaves, because it cannot be booked."""
    return replace(ending, outcome=Outcome.INTERRUPTED, reason=WITHHELD, charge=False)


def _left_nano(state: LimitState) -> int:
    return NANO_MAX if state.remaining_nano is None else state.remaining_nano
