"""Random histories of money, compared after each step with a model of a few lines."""

from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from tests.support.bank import CALLER, Bank
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.delta import Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices import service as prices

CALLERS = (
    CALLER,
    Caller("org_a", "project_a", "key_b", frozenset(Scope)),
    Caller("org_a", "project_b", "key_c", frozenset(Scope)),
    Caller("org_b", "project_c", "key_d", frozenset(Scope)),
)
LEVELS = sorted({level for caller in CALLERS for level in ledger.chain_of(caller)})
CAPPED = [level for level in LEVELS if level[0] is not LimitScope.BALANCE]
REPLICAS = ("replica_a", "replica_b")
TOKENS = st.integers(0, 40)


@dataclass
class ModelHold:
    caller: Caller
    amount_nano: int
    price: prices.Price
    replica_id: str
    open: bool = True


class LedgerMachine(RuleBasedStateMachine):
    """``bank`` is set by the subclass that knows the database."""

    bank: Bank
    calls = Bundle("calls")

    def start(self, bank: Bank) -> None:
        self.bank = bank
        self.limit: dict = {
            level: 0 if level[0] is LimitScope.BALANCE else None for level in LEVELS
        }
        self.spent = dict.fromkeys(LEVELS, 0)
        self.holds: dict[str, ModelHold] = {}
        self.price = bank.price(1500, 2500, 700)
        self.count = 0

    def teardown(self) -> None:
        self.bank.close()

    def held(self, level: tuple[LimitScope, str]) -> int:
        return sum(
            hold.amount_nano
            for hold in self.holds.values()
            if hold.open and level in ledger.chain_of(hold.caller)
        )

    @rule(org=st.sampled_from(["org_a", "org_b"]), amount=st.integers(1, 400))
    def credit(self, org: str, amount: int) -> None:
        self.count += 1
        self.bank.fund(amount, org, ref=f"ref_{self.count}")
        self.bank.fund(amount, org, ref=f"ref_{self.count}")
        self.limit[LimitScope.BALANCE, org] += amount

    @rule(level=st.sampled_from(CAPPED), cap=st.none() | st.integers(0, 500))
    def cap(self, level: tuple[LimitScope, str], cap: int | None) -> None:
        fits = cap is None or cap >= self.spent[level] + self.held(level)
        try:
            self.bank.write(lambda op, tx: ledger.set_limit(op, tx, *level, cap))
        except Problem:
            assert not fits
        else:
            assert fits
            self.limit[level] = cap

    @rule(input_pico=TOKENS, output_pico=TOKENS, cached_pico=st.none() | TOKENS)
    def publish(self, input_pico: int, output_pico: int, cached_pico: int | None) -> None:
        cached = None if cached_pico is None else cached_pico * 100
        self.price = self.bank.price(input_pico * 100, output_pico * 100, cached)

    @rule(
        target=calls,
        caller=st.sampled_from(CALLERS),
        input_tokens=TOKENS,
        output_tokens=st.integers(1, 60),
        choices=st.integers(1, 3),
        replica_id=st.sampled_from(REPLICAS),
    )
    def hold(
        self, caller: Caller, input_tokens: int, output_tokens: int, choices: int, replica_id: str
    ) -> object:
        self.count += 1
        request_id = f"req_{self.count:06}"
        chain = ledger.chain_of(caller)
        rooms = [
            self.limit[level] - self.spent[level] - self.held(level)
            for level in chain
            if self.limit[level] is not None
        ]
        needed = prices.worst_case_nano(self.price, input_tokens, choices)
        try:
            hold = self.bank.hold(
                request_id,
                caller=caller,
                price=self.price,
                input_tokens=input_tokens,
                output_tokens_max=output_tokens,
                choices=choices,
                replica_id=replica_id,
            )
        except Problem:
            assert needed > min(rooms)
            return multiple()
        assert needed <= hold.amount_nano <= min(rooms)
        self.holds[request_id] = ModelHold(caller, hold.amount_nano, self.price, replica_id)
        return request_id

    @rule(call=calls, used_in=TOKENS, used_out=st.integers(0, 200), charge=st.booleans())
    def settle(self, call: str, used_in: int, used_out: int, charge: bool) -> None:
        known = self.holds[call]
        usage = Usage(used_in, used_out, used_in // 2)
        receipt = self.bank.settle(call, usage=usage, charge=charge)
        if known.open:
            known.open = False
            full = prices.cost_nano(known.price, usage) if charge else 0
            assert receipt.cost_nano == min(full, known.amount_nano)
            for level in ledger.chain_of(known.caller):
                self.spent[level] += receipt.cost_nano

    @rule(own=st.sampled_from(REPLICAS))
    def sweep(self, own: str) -> None:
        gone = [h for h in self.holds.values() if h.open and h.replica_id != own]
        assert self.bank.write(lambda op, tx: ledger.sweep(op, tx, own, 0)) == len(gone)
        for hold in gone:
            hold.open = False

    @invariant()
    def every_level_is_as_the_model_says(self) -> None:
        states = self.bank.read(lambda op, tx: ledger.limits(op, tx, tuple(LEVELS)))
        for level, state in zip(LEVELS, states, strict=True):
            assert (state.limit_nano, state.spent_nano, state.held_nano) == (
                self.limit[level],
                self.spent[level],
                self.held(level),
            )
            assert state.remaining_nano is None or state.remaining_nano >= 0

    @invariant()
    def the_books_prove_themselves(self) -> None:
        found = self.bank.verify()
        assert (found.difference_nano, found.problems) == (0, ())
        assert found.open_holds == sum(hold.open for hold in self.holds.values())
