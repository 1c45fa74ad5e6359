"""A small world of money over one database: prices, holds and settlements in a few words.

One or several gateway processes take money from it. ``bank.hold`` and ``bank.settle`` are those of
``replica_a`` unless another is named; what is read of limits and calls is read after everybody has
told the ledger everything.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

from sqlalchemy import text

from tests.support.changed import changed
from tests.support.ops import CountingIds, ManualClock, SilentLog
from tests.support.replica import Replica
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.delta import Usage
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.receipt import LimitState, Outcome, Receipt
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import Ending, Hold, HoldAsk, PoolOptions
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.meter import service as meter
from tokenbooth.money.prices import service as prices
from tokenbooth.store.open import open_store
from tokenbooth.store.options import StoreOptions

T = TypeVar("T")

CALLER = Caller("org_a", "project_a", "key_a", frozenset(Scope))
USD = 1_000_000_000


class Bank:
    """Every verb is a transaction of its own, through the real store."""

    def __init__(self, options: StoreOptions, pool: PoolOptions | None = None) -> None:
        """Nothing is leased in advance unless ``pool`` says so."""
        self.options = options
        self.pool_options = pool or PoolOptions(block_nano_max=0)
        self.replicas: dict[str, Replica] = {}
        self.clock = ManualClock()
        self.ids = CountingIds()
        self.log = SilentLog()
        self.op = Op("req_test", self.clock.now_us, self.log, actor="tester")
        self._runner = asyncio.Runner()
        self._store = self._runner.run(self._open())

    async def _open(self):
        return open_store(self.options)

    def close(self) -> None:
        self._runner.run(self._store.close())
        self._runner.close()

    @property
    def is_sqlite(self) -> bool:
        return self.options.is_sqlite

    def write(self, verb: Callable[[Op, Tx], T]) -> T:
        self.clock.us += 1
        return self._runner.run(self._store.write(lambda tx: verb(self.op, tx)))

    def read(self, verb: Callable[[Op, Tx], T]) -> T:
        """What the ledger says after everybody has told it everything."""
        self.flush()
        return self.seen(verb)

    def seen(self, verb: Callable[[Op, Tx], T]) -> T:
        """What the ledger says now."""
        return self._runner.run(self._store.read(lambda tx: verb(self.op, tx)))

    def sql(self, statement: str) -> None:
        self.write(lambda op, tx: tx.execute(text(statement)))

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        return self.read(lambda op, tx: [tuple(row) for row in tx.execute(text(statement))])

    def unguarded(self, table: str, *statements: str) -> None:
        """Change rows as an intruder with the database's own tools could."""
        if self.is_sqlite:
            with closing(sqlite3.connect(self.options.sqlite_path)) as intruder:
                intruder.execute("PRAGMA ignore_check_constraints = ON")
                triggers = intruder.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?",
                    (table,),
                ).fetchall()
                for statement in (*(f"DROP TRIGGER {name}" for (name,) in triggers), *statements):
                    intruder.execute(statement)
                intruder.commit()
            return

        def change(op: Op, tx: Tx) -> None:
            tx.execute(text("SET LOCAL session_replication_role = replica"))
            for (name,) in tx.execute(
                text(
                    "SELECT conname FROM pg_constraint"
                    f" WHERE contype = 'c' AND conrelid = '{table}'::regclass"
                )
            ).all():
                tx.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
            for statement in statements:
                tx.execute(text(statement))

        self.write(change)

    def price(
        self, input_pico: int, output_pico: int, cached_pico: int | None = None, model: str = "m"
    ) -> prices.Price:
        ask = prices.PriceAsk(model, input_pico, output_pico, cached_pico)
        return self.write(lambda op, tx: prices.publish(op, tx, ask, self.ids))

    def fund(self, amount_nano: int, org_id: str = CALLER.org_id, ref: str = "first") -> LimitState:
        return self.write(lambda op, tx: ledger.credit(op, tx, org_id, amount_nano, ref))

    def replica(self, name: str = "replica_a") -> Replica:
        """The gateway process of that name; it enrolls when it is first asked for."""
        if name not in self.replicas:
            self.replicas[name] = Replica(self, name, self.pool_options)
        return self.replicas[name]

    def answer(self, *, but: str = "") -> None:
        """Let every replica but one answer the recalls that it has not seen."""
        for replica in self.replicas.values():
            if replica.name != but:
                replica.answer()

    def flush(self) -> None:
        """Let every replica tell the ledger everything."""
        for replica in self.replicas.values():
            replica.flush()

    def ask(self, request_id: str, **fields: object) -> HoldAsk:
        """100 input tokens and up to 10 output tokens of one choice, unless told otherwise."""
        price = fields.pop("price", None) or self.seen(
            lambda op, tx: prices.current(op, tx, str(fields.get("model", "m")))
        )
        plain = HoldAsk(
            request_id=request_id,
            caller=CALLER,
            model="m",
            price=price,
            input_tokens=100,
            output_tokens_max=10,
            choices=1,
            stream=False,
            stated=True,
            strict=False,
            step_tokens=4,
        )
        return changed(plain, **fields)

    def hold(self, request_id: str, *, on: str = "replica_a", **fields: object) -> Hold:
        self.clock.us += 1
        return self.replica(on).hold(self.ask(request_id, **fields))

    def ending(self, request_id: str, **fields: object) -> Ending:
        """Completed and charged for 100 input and 10 output tokens, unless told otherwise."""
        plain = Ending(
            request_id=request_id,
            outcome=Outcome.COMPLETED,
            reason="The answer is complete.",
            usage=Usage(100, 10),
            charge=True,
            started_us=1,
            first_output_us=2,
            ended_us=3,
            fingerprint="fp",
            deployment_id=None,
        )
        return changed(plain, **fields)

    def settle(self, request_id: str, **fields: object) -> Receipt:
        """End the call where it runs."""
        self.clock.us += 1
        (replica,) = (r for r in self.replicas.values() if request_id in r.running)
        return replica.settle(self.ending(request_id, **fields))

    def forfeit(self, name: str) -> int:
        """Give the leases of a replica that was seen a moment ago back, by force."""
        return self.write(lambda op, tx: leases.forfeit(op, tx, name, living=True))

    def limits(self, caller: Caller = CALLER) -> dict[str, LimitState]:
        states = self.read(lambda op, tx: ledger.limits(op, tx, ledger.chain_of(caller)))
        return {state.scope.value: state for state in states}

    def call(self, request_id: str, org_id: str = CALLER.org_id) -> meter.CallRecord:
        return self.read(lambda op, tx: meter.call(op, tx, org_id, request_id))

    def verify(self) -> ledger.Verification:
        return self.read(ledger.verify)


@contextmanager
def opened_bank(options: StoreOptions, pool: PoolOptions | None = None) -> Iterator[Bank]:
    bank = Bank(options, pool)
    try:
        yield bank
    finally:
        bank.close()
