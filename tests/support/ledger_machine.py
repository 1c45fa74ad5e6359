"""Random histories of leased money over several replicas, held against a model of a few lines."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import text

from tests.support.bank import CALLER, Bank
from tests.support.ledger_model import Level, Model, ModelCall
from tests.support.replica import Replica
from tests.support.timed import Timed
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.delta import Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, Period
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import PoolOptions
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
NAMES = ("replica_a", "replica_b", "replica_c")
TOKENS = st.integers(1, 40)
ASKS = st.fixed_dictionaries(
    {
        "caller": st.sampled_from(CALLERS),
        "name": st.sampled_from(NAMES),
        "input_tokens": TOKENS,
        "output_tokens_max": st.integers(1, 60),
        "choices": st.integers(1, 3),
        "stated": st.booleans(),
        "stream": st.booleans(),
    }
)
HOUR_US = 3_600_000_000
SILENT_US = leases.SILENT_US + 1


class LedgerMachine(RuleBasedStateMachine):
    """``begin`` is called by the subclass that knows the database."""

    bank: Bank

    def begin(self, timed: Timed) -> None:
        self.timed, self.bank = timed, timed.bank
        self.bank.pool_options = PoolOptions(block_nano_max=60, round_calls_max=2)
        self.model = Model(timed.now_us)
        self.lost: dict[str, Replica] = {}
        self.forfeited: set[str] = set()
        self.price = self.bank.price(1500, 2500, 700)
        self.count = 0
        self.done: Counter[str] = Counter()
        self.credit("org_a", 1200)
        self.credit("org_b", 200)
        self.cap((LimitScope.KEY, "key_a"), 400, Period.DAY)
        self.cap((LimitScope.PROJECT, "project_a"), 900, Period.MONTH)
        for name in NAMES:
            self.bank.replica(name)

    # What time does

    def pass_time(self, us: int) -> None:
        """Everybody who lives says so."""
        self.timed.now_us += us
        self.bank.clock.us += us
        self.timed.set_us(self.timed.now_us)
        self.model.now_us = self.timed.now_us
        for replica in self.bank.replicas.values():
            self.bank.write(lambda op, tx, r=replica: leases.beat(op, tx, r.name, r.epoch))

    @rule(us=st.sampled_from([1_000_000, 3_000_000, HOUR_US, 13 * HOUR_US, 24 * 17 * HOUR_US]))
    def wait(self, us: int) -> None:
        """Idle money goes back after seconds; windows end after hours."""
        self.pass_time(us)

    # What operators do

    @rule(org=st.sampled_from(["org_a", "org_b"]), amount=st.integers(1, 600))
    def credit(self, org: str, amount: int) -> None:
        self.count += 1
        for _ in range(2):
            self.bank.fund(amount, org, ref=f"ref_{self.count}")
        name = self.model.current((LimitScope.BALANCE, org))
        self.model.limits[name] = (self.model.limits[name] or 0) + amount

    @rule(
        level=st.sampled_from(CAPPED),
        cap=st.none() | st.integers(0, 600),
        period=st.sampled_from(Period),
    )
    def cap(self, level: Level, cap: int | None, period: Period) -> None:
        """What is leased and unused is recalled first, as the operator's command does it."""
        period = Period.NONE if cap is None else period
        caps = dict(self.model.caps)
        self.model.caps[level] = (cap, period)
        fits = cap is None or cap >= self.model.used(self.model.current(level))
        self.model.caps = caps
        assert self.tried_cap(level, cap, period) is fits
        if fits:
            self.model.set_cap(level, cap, period)
            self.bank.answer()

    def tried_cap(self, level: Level, cap: int | None, period: Period) -> bool:
        for _ in range(2):
            try:
                self.bank.write(lambda op, tx: ledger.set_limit(op, tx, *level, cap, period))
            except Problem as problem:
                name = str(problem.facts["limit_id"])
                self.bank.write(lambda op, tx, n=name: leases.recall(op, tx, n))
                self.bank.answer()
            else:
                return True
        return False

    @rule(input_pico=TOKENS, output_pico=TOKENS, cached_pico=st.none() | TOKENS)
    def publish(self, input_pico: int, output_pico: int, cached_pico: int | None) -> None:
        cached = None if cached_pico is None else cached_pico * 100
        self.price = self.bank.price(input_pico * 100, output_pico * 100, cached)

    # What calls do

    @rule(asks=st.lists(ASKS, min_size=1, max_size=6))
    def rush(self, asks: list[dict[str, Any]]) -> None:
        for ask in asks:
            self.hold(**ask)

    @rule(ask=ASKS, later_us=st.sampled_from([13 * HOUR_US, 24 * 17 * HOUR_US]))
    def over_an_end(self, ask: dict[str, Any], later_us: int) -> None:
        """A call leaves money unused; the next one comes when some windows have ended."""
        self.rest(ask)
        self.pass_time(later_us)
        self.hold(**{**ask, "output_tokens_max": 1, "choices": 1})

    @rule(ask=ASKS, cap=st.integers(200, 600), period=st.sampled_from(Period))
    def over_a_change(self, ask: dict[str, Any], cap: int, period: Period) -> None:
        """A call ends after its key's cap got another rhythm, and leaves money unused."""
        before = set(self.model.calls)
        self.hold(**ask)
        self.cap((LimitScope.KEY, ask["caller"].key_id), cap, period)
        for request_id in set(self.model.calls) - before:
            self.settled(request_id, self.bank.replica(ask["name"]), Usage(1, 0), charge=True)
        self.hold(**{**ask, "output_tokens_max": 1, "choices": 1})

    def rest(self, ask: dict[str, Any]) -> None:
        before = set(self.model.calls)
        self.hold(**ask)
        for request_id in set(self.model.calls) - before:
            self.settled(request_id, self.bank.replica(ask["name"]), Usage(1, 0), charge=True)

    def hold(
        self, caller: Caller, name: str, input_tokens: int, choices: int, **fields: Any
    ) -> None:
        """A call gets its whole hold if it fits anywhere, else what the money buys, else nothing:
        to the token, however the leases lie."""
        if name in self.lost:
            return
        self.count += 1
        request_id = f"req_{self.count:06}"
        ask = self.bank.ask(
            request_id,
            caller=caller,
            price=self.price,
            input_tokens=input_tokens,
            choices=choices,
            **fields,
        )
        ids = self.model.chain(caller)
        room = self.model.room(ids)
        wished_nano, least_nano = leases.wished(ask).amount_nano, leases.least_nano(ask)
        try:
            hold = self.bank.replica(name).hold(ask)
        except Problem:
            assert least_nano > room
            self.done["refused"] += 1
            return
        bought = prices.affordable_output_tokens(self.price, input_tokens, room) // choices
        lowered_nano = prices.worst_case_nano(self.price, input_tokens, choices * bought)
        assert hold.amount_nano == (wished_nano if wished_nano <= room else lowered_nano)
        assert least_nano <= room
        self.done["held" if hold.amount_nano == wished_nano else "lowered"] += 1
        self.model.calls[request_id] = ModelCall(
            name, ids, self.price, input_tokens, hold.amount_nano, bool(fields["stream"])
        )

    def drawn(self, data: Any) -> tuple[str, ModelCall, Replica]:
        running = sorted(n for n, c in self.model.calls.items() if c.replica not in self.lost)
        name = data.draw(st.sampled_from(running))
        call = self.model.calls[name]
        return name, call, self.bank.replica(call.replica)

    def runs(self) -> bool:
        return any(call.replica not in self.lost for call in self.model.calls.values())

    @precondition(runs)
    @rule(data=st.data(), tokens=st.integers(1, 200))
    def extend(self, data: Any, tokens: int) -> None:
        request_id, call, replica = self.drawn(data)
        worst_nano = prices.worst_case_nano(call.price, call.input_tokens, tokens)
        missing_nano = max(0, worst_nano - call.held_nano)
        short = self.model.short_of(call.ids, missing_nano)
        left = replica.free_nano
        fits = all(self.model.is_past(name) and left[name] >= missing_nano for name in short)
        assert replica.extend(request_id, tokens) is fits
        self.done["extended" if fits else "cut"] += 1
        if fits:
            call.held_nano += missing_nano

    @precondition(runs)
    @rule(data=st.data(), used_in=TOKENS, used_out=st.integers(0, 60))
    def progress(self, data: Any, used_in: int, used_out: int) -> None:
        request_id, call, replica = self.drawn(data)
        usage = Usage(used_in, used_out)
        replica.progress(request_id, usage)
        if call.stream:
            call.sent_nano = min(prices.cost_nano(call.price, usage), call.held_nano)

    @precondition(runs)
    @rule(data=st.data(), used_in=TOKENS, used_out=st.integers(0, 200), charge=st.booleans())
    def settle(self, data: Any, used_in: int, used_out: int, charge: bool) -> None:
        request_id, _, replica = self.drawn(data)
        self.settled(request_id, replica, Usage(used_in, used_out, used_in // 2), charge=charge)

    def settled(self, request_id: str, replica: Replica, usage: Usage, *, charge: bool) -> None:
        call = self.model.calls[request_id]
        receipt = replica.settle(self.bank.ending(request_id, usage=usage, charge=charge))
        full_nano = prices.cost_nano(call.price, usage) if charge else 0
        assert receipt.cost_nano == min(full_nano, call.held_nano)
        self.model.end(request_id, receipt.cost_nano)
        self.done["settled"] += 1

    # What processes do

    @rule(name=st.sampled_from(NAMES))
    def tell(self, name: str) -> None:
        if name not in self.lost:
            self.bank.replica(name).round()

    @rule(name=st.sampled_from(NAMES), announce=st.booleans())
    def lose_an_answer(self, name: str, announce: bool) -> None:
        """A round is booked, and nobody hears of it: it is asked again, word for word."""
        if name not in self.lost:
            ask = self.bank.replica(name).ask_round(announce=announce)
            if not ask.empty:
                self.bank.write(lambda op, tx: leases.book(op, tx, ask))

    @rule(level=st.sampled_from(LEVELS))
    def recall(self, level: Level) -> None:
        name = self.model.current(level)
        self.bank.write(lambda op, tx: leases.recall(op, tx, name))
        self.bank.answer()

    @rule(name=st.sampled_from(NAMES), ended=st.integers(0, 3), told=st.booleans())
    def crash(self, name: str, ended: int, told: bool) -> None:
        """Its leases are frozen: what it had not told is known to its journal alone. Some calls
        end just before, and the ledger may have booked what the process never heard of."""
        if name in self.lost:
            return
        lost = self.bank.replica(name)
        for request_id in sorted(lost.running)[:ended]:
            self.settled(request_id, lost, Usage(9, 9), charge=True)
        if told:
            self.lose_an_answer(name, announce=True)
        del self.bank.replicas[name]
        self.lost[name] = lost
        self.done["crashed"] += 1
        for request_id in lost.journal.keys() & self.model.ended.keys():
            _, ids, cost_nano = self.model.ended[request_id]
            if not self.booked(request_id):
                self.model.spend(ids, -cost_nano)
        self.drop_calls(name)
        self.model.frozen[name] = self.leased(name)
        self.pass_time(SILENT_US)

    def booked(self, request_id: str) -> bool:
        found = self.bank.seen(lambda op, tx: leases_state(op, tx, request_id))
        return found in ("posted", "void")

    def drop_calls(self, name: str) -> None:
        for request_id in [n for n, c in self.model.calls.items() if c.replica == name]:
            call = self.model.calls.pop(request_id)
            self.model.ended[request_id] = (name, call.ids, call.sent_nano)

    def leased(self, name: str) -> Counter[str]:
        rows = self.bank.seen(lambda op, tx: leases_of(tx, name))
        return Counter(dict(rows))

    @precondition(lambda self: self.lost)
    @rule(data=st.data())
    def restart(self, data: Any) -> None:
        name = data.draw(st.sampled_from(sorted(self.lost)))
        lost = self.lost.pop(name)
        forfeited = name in self.forfeited
        if not forfeited:
            for request_id in lost.journal:
                _, ids, cost_nano = self.model.ended[request_id]
                if not self.booked(request_id):
                    self.model.spend(ids, cost_nano)
        self.model.frozen.pop(name, None)
        self.forfeited.discard(name)
        lost.restart()
        self.bank.replicas[name] = lost

    @precondition(lambda self: set(self.lost) - self.forfeited)
    @rule(data=st.data())
    def forfeit(self, data: Any) -> None:
        """The customers get everything back; what the journal holds is the operator's loss."""
        name = data.draw(st.sampled_from(sorted(set(self.lost) - self.forfeited)))
        self.bank.write(lambda op, tx: leases.forfeit(op, tx, name))
        self.model.frozen.pop(name)
        self.forfeited.add(name)
        self.done["forfeited"] += 1

    # What always holds

    @invariant()
    def the_books_prove_themselves(self) -> None:
        found = self.bank.seen(ledger.verify)
        assert (found.difference_nano, found.problems) == (0, ())

    @rule()
    def everybody_tells(self) -> None:
        """Then every limit is as the model says."""
        self.bank.flush()
        for row in self.bank.seen(all_limits):
            name, limit, spent, leased, held = row
            frozen = sum(each[name] for each in self.model.frozen.values())
            assert spent == self.model.spent[name], name
            assert held >= self.model.held(name)
            assert leased - frozen >= self.model.held(name)
            if name in self.model.limits:
                assert limit == self.model.limits[name], name

    def teardown(self) -> None:
        if hasattr(self, "bank"):
            self.everybody_tells()


Rows = list[tuple[Any, ...]]


def rows_of(statement: str) -> Callable[..., Rows]:
    def read(tx: Any, **values: Any) -> Rows:
        return [tuple(row) for row in tx.execute(text(statement), values)]

    return read


_STATE = rows_of("SELECT state FROM call_record WHERE request_id = :name")
_LEASES = rows_of("SELECT limit_id, granted_nano FROM lease WHERE replica_id = :name")
_LIMITS = rows_of("SELECT id, limit_nano, spent_nano, leased_nano, held_nano FROM spend_limit")


def leases_state(op: Any, tx: Any, request_id: str) -> str | None:
    found = _STATE(tx, name=request_id)
    return None if not found else str(found[0][0])


def leases_of(tx: Any, name: str) -> Rows:
    return _LEASES(tx, name=name)


def all_limits(op: Any, tx: Any) -> Rows:
    return _LIMITS(tx)
