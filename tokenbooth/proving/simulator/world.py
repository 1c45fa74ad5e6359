"""One life: machines, calls, the database and the clock, moved step by step by one set of dice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.receipt import Outcome
from tokenbooth.gateway.options import TillOptions
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.prices.service import Price
from tokenbooth.proving.simulator import laws, peek
from tokenbooth.proving.simulator.books import Books
from tokenbooth.proving.simulator.call import Actor, Call, End, Plan, Stage
from tokenbooth.proving.simulator.coverage import Coverage, Cut, Turn, Way
from tokenbooth.proving.simulator.database import Database
from tokenbooth.proving.simulator.dice import Dice
from tokenbooth.proving.simulator.machine import (
    Gateway,
    Machine,
    NotedLog,
    State,
    Surroundings,
)

# The first second of a day, so that windows are met at their edges.
DAWN_US = 1_793_491_200 * 1_000_000
HOUR_US = 3_600_000_000


class Violated(Exception):
    """A law was broken; the texts say which."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__("; ".join(texts))
        self.texts = texts


@dataclass(slots=True)
class World:
    """``now_us`` is true time, and the clock of the database."""

    dice: Dice
    database: Database
    price: Price
    options: TillOptions
    coverage: Coverage = field(default_factory=Coverage)
    now_us: int = DAWN_US
    machines: list[Machine] = field(default_factory=list)
    strays: list[Gateway] = field(default_factory=list)
    started: list[Gateway] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    actors: dict[str, Actor] = field(default_factory=dict)
    books: Books = field(default_factory=Books)
    log: NotedLog = field(default_factory=NotedLog)
    unbooked: list[Call] = field(default_factory=list)
    watched: list[Call] = field(default_factory=list)
    made: int = 0

    # The operator's side.

    def op(self) -> Op:
        return Op("operator", lambda: self.now_us, self.log)

    def number(self) -> int:
        self.made += 1
        return self.made

    def write(self, verb: Callable[[Op, Tx], object]) -> None:
        """A transaction of the operator, at once and without fault."""
        self.database.transact(lambda tx: verb(self.op(), tx), keep=True)

    def credit(self, org_id: str, amount_nano: int) -> None:
        ref = f"ref_{self.number()}"
        self.write(lambda op, tx: ledger.credit(op, tx, org_id, amount_nano, ref))

    # Processes.

    @property
    def gateways(self) -> list[Gateway]:
        present = [m.gateway for m in self.machines if m.gateway is not None]
        return [g for g in (*present, *self.strays) if g.state is not State.OVER]

    @property
    def serving(self) -> list[Gateway]:
        return [gateway for gateway in self.gateways if gateway.serving]

    def start(self, machine: Machine) -> Gateway:
        around = Surroundings(self.database, lambda: self.now_us, self.dice, self.options)
        gateway = Gateway(machine, around, self.coverage.reach)
        machine.gateway = gateway
        self.started.append(gateway)
        self.disturb()
        return gateway

    def shut(self) -> None:
        """Let go of all processes that ever ran here."""
        for gateway in self.started:
            gateway.end()
            gateway.loop.shut()

    def kill(self, gateway: Gateway, way: Way) -> None:
        """End the process now; its calls have no caller any more."""
        self.disturb()
        self._cover_crash(gateway, way)
        self.cover_life(gateway)
        disk = gateway.machine.disk
        if gateway.disk.is_of(disk):
            disk.power_cut(self.dice.below) if way is Way.POWER else disk.kill()
        gateway.end()
        for call in self.calls_of(gateway):
            if not call.over:
                call.stage = Stage.LOST
        if gateway in self.strays:
            self.strays.remove(gateway)

    def cover_life(self, gateway: Gateway) -> None:
        """What a process went through, seen at its end."""
        if "replica_fenced" in gateway.log.names:
            self.coverage.reach(Turn.FENCED)
        if gateway.disk.removed:
            self.coverage.reach(Turn.SEGMENT_PRUNED)

    def _cover_crash(self, gateway: Gateway, way: Way) -> None:
        self.books.read(self.database)
        booked = frozenset(n for n, record in self.books.records.items() if record.closed)
        if gateway.state is State.STARTING:
            if gateway.store.writes:
                self.coverage.reach(self._starting_moment(gateway, booked))
            return
        records = peek.Records(gateway, booked)
        for call in self.calls_of(gateway):
            moment = records.moment(call)
            if moment is not None:
                self.coverage.crash(way, moment)

    def _starting_moment(self, gateway: Gateway, booked: frozenset[str]) -> Cut:
        if gateway.store.writes == 1:
            return Cut.ENROLLED
        if not peek.journaled(gateway) <= booked:
            return Cut.REPLAYED
        replica = gateway.machine.replica
        leases = self.database.rows("SELECT replica_id FROM lease WHERE granted_nano > 0")
        return Cut.RECOVERED if any(row[0] == replica for row in leases) else Cut.CLOSED

    def calls_of(self, gateway: Gateway) -> Iterator[Call]:
        return (call for call in self.calls.values() if call.gateway is gateway)

    # Calls.

    def ask(self, gateway: Gateway, plan: Plan) -> Call:
        call = Call(plan, gateway, self.now_us)
        self.calls[plan.request_id] = call
        self.unbooked.append(call)
        self.watched.append(call)
        actor = self.actors[plan.request_id] = Actor(
            call, self.price, self.coverage, lambda: self.now_us
        )
        actor.begin()
        return call

    def order(self, call: Call, step: int | End) -> None:
        """Move an idle call: so many more tokens, 0 to note its progress, or its end."""
        self.actors[call.request_id].order(step)

    def disturb(self) -> None:
        """Something happened after which a refusal may be one that a calm world would not know:
        who waits now is not watched any more."""
        self.watched.clear()

    # Laws.

    def broken_laws(self) -> list[str]:
        """What does not hold in the books as they are now."""
        texts: list[str] = []
        final = self.books.final
        if self.books.unexamined(self.database):
            known = len(final)
            texts += laws.book_laws(self.database, self.books)
            texts += laws.record_laws(self.books, self.calls)
            self._cover_ends(list(final)[known:])
            self.unbooked = [call for call in self.unbooked if call.request_id not in final]
        texts += laws.delivered_laws(self.books, self.unbooked)
        return texts

    def _cover_ends(self, names: list[str]) -> None:
        for name in names:
            record, call = self.books.final[name], self.calls[name]
            if record.forfeited:
                self.coverage.reach(Turn.CHARGE_FORFEITED)
            elif record.outcome == Outcome.INTERRUPTED:
                paid = record.cost_nano > 0
                self.coverage.reach(Turn.INTERRUPTED_PAID if paid else Turn.INTERRUPTED_FREE)
            elif (
                call.gateway.state is State.OVER
                and call.gateway is not call.gateway.machine.gateway
            ):
                self.coverage.reach(Turn.SETTLED_BY_RECOVERY)
