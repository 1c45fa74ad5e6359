"""One gateway process as the ledger sees it: leased money, rounds, and a journal that keeps all.

Everything happens when it is told to: there is no loop and no clock but the bank's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tests.support.changed import changed
from tests.support.ops import ManualClock
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitState, Receipt
from tokenbooth.money.journal.service import Replay, ReplayedCall, settled_calls
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import (
    Ending,
    Hold,
    HoldAsk,
    LevelKey,
    Levels,
    MoneyQueue,
    Pool,
    PoolOptions,
    Progress,
    RoundAsk,
    RoundDone,
    SettledCall,
    Settlement,
    Verdict,
    Waiter,
)
from tokenbooth.money.ledger import service as ledger

T = TypeVar("T")

WAITS_MAX = 20


class World(Protocol):
    """The database that replicas share, and the others."""

    clock: ManualClock

    def write(self, verb: Callable[[Op, Tx], T]) -> T: ...

    def seen(self, verb: Callable[[Op, Tx], T]) -> T: ...

    def answer(self, *, but: str) -> Any: ...


@dataclass
class RunningCall:
    """What the process keeps of a call that holds money."""

    ask: HoldAsk
    held: leases.HeldMoney


class Replica:
    """Enrolled in the bank's ledger under ``name``; ``restart`` follows a crash or a clean end."""

    def __init__(self, bank: World, name: str, options: PoolOptions) -> None:
        self.bank, self.name, self.options = bank, name, options
        self.journal_id = f"journal_of_{name}"
        self.journal: dict[str, ReplayedCall] = {}
        self.started = 0
        self.restart()

    def restart(self) -> None:
        """Forget everything but the journal, book what it knows, and give the leases back."""
        self.epoch = self.bank.write(
            lambda op, tx: leases.enroll(op, tx, self.name, self.journal_id)
        )
        replay = Replay(tuple(self.journal.values()), 0, (), None)
        left = settled_calls(replay, self.bank.clock.us)
        ask = RoundAsk(
            replica_id=self.name, epoch=self.epoch, number=1, settled=left, recovers=True
        )
        self.bank.write(lambda op, tx: leases.book(op, tx, ask))
        self.bank.write(lambda op, tx: leases.close(op, tx, self.name))
        self.journal.clear()
        self.pool = Pool(self.name, self.epoch, self.options, rounds=1)
        self.queue = MoneyQueue(self.pool, block_nano_max=self.options.block_nano_max)
        self.running: dict[str, RunningCall] = {}

    @property
    def now_us(self) -> int:
        return self.bank.clock.us

    @property
    def free_nano(self) -> dict[str, int]:
        """What is leased and not held, by limit id."""
        return {name: level.free_nano for name, level in self.pool._book.by_limit.items()}

    def hold(self, ask: HoldAsk) -> Hold:
        """Take the money from what is leased, or wait for it over as many rounds as it takes."""
        if ask.request_id in self.running:
            raise Problem(Code.STATE_CONFLICT, f"The call {ask.request_id} has a hold already.")
        sized = leases.wished(ask)
        chain = tuple(LevelKey(*level) for level in ledger.chain_of(ask.caller))
        levels = self.pool.levels(chain, self.now_us)
        if not self.pool.fits(levels, sized.amount_nano):
            least_nano = leases.least_nano(ask)
            waiter = Waiter(chain, sized.amount_nano, runs=False, least_nano=least_nano)
            verdict, found = self.wait(waiter)
            if verdict is Verdict.SHORT:
                refusing = tuple(level.refusing_state() for level in found)
                sized = leases.afforded(ask, min(v.free_nano for v in found), refusing)
            return self._take(ask, found, sized)
        return self._take(ask, tuple(v for v in levels if v is not None), sized)

    def wait(self, waiter: Waiter) -> tuple[Verdict, Levels]:
        """Ask round by round, while all others answer what they are asked."""
        self.queue.add(waiter)
        try:
            for _ in range(WAITS_MAX):
                self.round()
                levels = self.pool.levels(waiter.chain, self.now_us)
                verdict = self.queue.verdict(waiter, levels)
                if verdict is not Verdict.WAIT:
                    return verdict, tuple(v for v in levels if v is not None)
                self.bank.answer(but=self.name)
        finally:
            self.queue.remove(waiter)
        raise AssertionError("the ledger never decided")

    def _take(self, ask: HoldAsk, levels: Levels, sized: leases.Sized) -> Hold:
        facts = leases.CallFacts(
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
            created_us=self.now_us,
        )
        self.journal[ask.request_id] = ReplayedCall(facts, None, None, self.epoch)
        held = self.pool.hold(facts, levels, self.now_us)
        self.running[ask.request_id] = RunningCall(ask, held)
        limits = self.pool.limits(levels)
        tightest = min(limits, key=_left_nano)
        return Hold(
            request_id=ask.request_id,
            amount_nano=sized.amount_nano,
            input_tokens=ask.input_tokens,
            output_tokens_max=sized.output_tokens_max,
            held_output_tokens=sized.held_output_tokens,
            clamped_by=tightest.scope if sized.lowered else None,
            limits=limits,
            price=ask.price,
        )

    def extend(self, request_id: str, output_tokens: int) -> bool:
        """Hold for that much output; False when there is no money for it."""
        call = self.running[request_id]
        ask, held = call.ask, call.held
        missing_nano = leases.extension_nano(
            ask.price, ask.input_tokens, output_tokens, held.held_nano
        )
        if self.pool.extend(held, missing_nano, self.now_us):
            return True
        chain = tuple(level.named_key for level in held.levels)
        verdict, _ = self.wait(Waiter(chain, missing_nano, runs=True))
        return verdict is Verdict.FITS and self.pool.extend(held, missing_nano, self.now_us)

    def progress(self, request_id: str, usage: Usage) -> None:
        """Write down what has left towards the caller."""
        call = self.running[request_id]
        held_nano = call.held.held_nano
        cost_nano, _ = leases.charge_of(call.ask.price, usage, held_nano)
        told = Progress(
            request_id=request_id,
            usage=usage,
            cost_nano=cost_nano,
            held_nano=held_nano,
            first_output_us=self.now_us,
            at_us=self.now_us,
        )
        self.journal[request_id] = changed(self.journal[request_id], progress=told)

    def settle(self, ending: Ending) -> Receipt:
        """End the call in memory and in the journal; the next round tells the ledger."""
        call = self.running.pop(ending.request_id)
        price, held = call.ask.price, call.held
        cost_nano, loss_nano = 0, 0
        if ending.charge:
            cost_nano, loss_nano = leases.charge_of(price, ending.usage, held.held_nano)
        settlement = Settlement(
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
        kept = self.journal[ending.request_id]
        self.journal[ending.request_id] = changed(kept, settlement=settlement)
        self.pool.release(held, cost_nano, self.now_us)
        self.pool.tell(SettledCall(held.facts, settlement, self.epoch))
        return Receipt(
            request_id=ending.request_id,
            outcome=ending.outcome,
            reason=ending.reason,
            usage=ending.usage,
            cost_nano=cost_nano,
            price_version=price.version_id,
            limits=self.pool.limits(held.levels),
            currency=price.currency,
        )

    def ask_round(self, *, close: bool = False, announce: bool = False) -> RoundAsk:
        """What the next round would tell and ask; it counts as asked."""
        wants = self.queue.wants(self.now_us)
        again = self.pool.unanswered
        ask = self.pool.next_round(wants, self.now_us, close=close, announce=announce)
        if not again:
            self.queue.asked(ask)
        return ask

    def take_in(self, ask: RoundAsk, done: RoundDone) -> None:
        """Hear what a booked round brought."""
        self.pool.apply(done)
        self.queue.heard(done)
        for settled in ask.settled:
            self.journal.pop(settled.facts.request_id, None)

    def round(self, *, close: bool = False, announce: bool = False) -> None:
        """One round, if there is anything to tell or to ask."""
        ask = self.ask_round(close=close, announce=announce)
        if not ask.empty:
            done = self.bank.write(lambda op, tx: leases.book(op, tx, ask))
            self.take_in(ask, done)

    def answer(self) -> None:
        """Look for recalls and give back what they ask for, once the newest round is known."""
        if self.pool.unanswered:
            self.round()
        asked = self.bank.seen(lambda op, tx: leases.recalled(op, tx, self.name))
        if self.pool.recalled(asked):
            self.round()

    def flush(self) -> None:
        """Tell the ledger everything that happened here."""
        while self.pool.untold:
            self.round(announce=True)

    def stop(self) -> None:
        """End cleanly: everything is told, and every lease is back."""
        assert not self.running
        while self.pool.untold or self.pool.leased:
            self.round(close=True)


def _left_nano(state: LimitState) -> int:
    return NANO_MAX if state.remaining_nano is None else state.remaining_nano
