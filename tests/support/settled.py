"""Settled calls without a gateway: rows as a round leaves them, over any database."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import insert, text

from tests.support.ops import CountingIds, ManualClock, SilentLog
from tokenbooth.core.delta import Usage
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices import service as prices
from tokenbooth.money.receipts import service as receipts
from tokenbooth.money.receipts.service import Json, Signer
from tokenbooth.store.open import open_store
from tokenbooth.store.options import StoreOptions
from tokenbooth.store.tables.money import (
    CALL_RECORD,
    LEDGER_ACCOUNT,
    LEDGER_POSTING,
    LEDGER_TXN,
)

T = TypeVar("T")

SEED = bytes(range(32))
OTHER_SEED = bytes(range(1, 33))
INPUT_PICO, CACHED_PICO, OUTPUT_PICO = 1_250_000, 150_000, 4_250_000
HELD_NANO = 10**9
USAGE = Usage(100, 20, 3)


@dataclass
class Desk:
    """Every verb is a transaction of its own; the clock steps by one for each write."""

    options: StoreOptions
    clock: ManualClock = field(default_factory=ManualClock)
    log: SilentLog = field(default_factory=SilentLog)
    ids: CountingIds = field(default_factory=CountingIds)
    signer: Signer = field(default_factory=lambda: Signer(SEED))
    orgs: set[str] = field(default_factory=set)
    charges: int = 0

    def __post_init__(self) -> None:
        self.op = Op("req_test", self.clock.now_us, self.log, actor="tester")
        self.runner = asyncio.Runner()
        self.store = self.runner.run(self._opened())

    async def _opened(self) -> Any:
        return open_store(self.options)

    def close(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()

    def write(self, verb: Callable[[Op, Tx], T]) -> T:
        self.clock.us += 1
        return self.runner.run(self.store.write(lambda tx: verb(self.op, tx)))

    def read(self, verb: Callable[[Op, Tx], T]) -> T:
        return self.runner.run(self.store.read(lambda tx: verb(self.op, tx)))

    def sql(self, statement: str) -> None:
        self.write(lambda _op, tx: tx.execute(text(statement)))

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.read(lambda _op, tx: [tuple(row) for row in tx.execute(text(statement))])

    def forged(self, statement: str) -> None:
        """Change a settled call as an intruder with the database's own tools could."""
        if self.options.is_sqlite:
            with closing(sqlite3.connect(self.options.sqlite_path)) as intruder:
                intruder.execute("DROP TRIGGER call_record_final")
                intruder.execute(statement)
                intruder.commit()
            return

        def change(_op: Op, tx: Tx) -> None:
            tx.execute(text("SET LOCAL session_replication_role = replica"))
            tx.execute(text(statement))

        self.write(change)

    def price(self, model: str = "m", *tariffs: prices.Tariff, book: Any = None) -> Any:
        """A version of the model's price; the plain one unless tariffs are given."""
        plain = prices.tariff_of(prices.PriceAsk(model, INPUT_PICO, OUTPUT_PICO, CACHED_PICO))
        ask = prices.VersionAsk(book or prices.DEFAULT, model, tariffs or (plain,))
        return self.write(lambda op, tx: prices.publish_version(op, tx, ask, self.ids))

    def settle(self, *calls: dict[str, Any], org: str = "org_a") -> None:
        """One round: the calls of one organization, with one charge for all that cost."""
        rows = [self._row(call, org) for call in calls]
        total_nano = sum(row["cost_nano"] for row in rows)
        name = None
        if total_nano:
            self.charges += 1
            name = f"charge:{org}:{self.charges}"
        for row in rows:
            row["txn_id"] = name if row["cost_nano"] else None
        self.write(lambda op, tx: self._book(tx, org, total_nano, rows))

    def _book(self, tx: Tx, org: str, total_nano: int, rows: list[dict[str, Any]]) -> None:
        if org not in self.orgs:
            self.orgs.add(org)
            kinds = ("prepaid", "clearing", "revenue")
            accounts = [{"id": f"{k}:{org}", "kind": k, "org_id": org} for k in kinds]
            tx.execute(insert(LEDGER_ACCOUNT), accounts)
        if total_nano:
            ref = str(self.charges)
            name = f"charge:{org}:{ref}"
            head = {"id": name, "kind": "charge", "org_id": org, "ref": ref, "actor": "rep"}
            tx.execute(insert(LEDGER_TXN), {**head, "created_us": self.clock.us})
            for line, (kind, amount) in enumerate((("prepaid", -1), ("revenue", 1))):
                posting = {"txn_id": name, "line": line, "account_id": f"{kind}:{org}"}
                tx.execute(insert(LEDGER_POSTING), {**posting, "amount_nano": amount * total_nano})
        if rows:
            tx.execute(insert(CALL_RECORD), rows)

    def _row(self, call: dict[str, Any], org: str) -> dict[str, Any]:
        usage: Usage = call.pop("usage", USAGE)
        charged = call.pop("charged", True)
        tier = call.pop("tier", ServiceTier.STANDARD)
        terms = call.pop("data_terms", DataTerms.PRIVATE)
        model = call.pop("model", "m")
        version = call.pop("version", None) or self.read(
            lambda op, tx: prices.newest(op, tx, prices.DEFAULT, model)
        )
        held_nano = call.pop("held_nano", HELD_NANO)
        cost_nano = prices.cost_nano(prices.price_in(version, tier, terms), usage)
        return {
            "org_id": org,
            "project_id": "project_a",
            "key_id": "key_a",
            "end_customer": None,
            "model": model,
            "stream": True,
            "replica_id": "rep",
            "price_version": version.id,
            "tier": tier.value,
            "data_terms": terms.value,
            "held_nano": held_nano,
            "held_input_tokens": 100,
            "held_output_tokens": 100,
            "created_us": self.clock.us,
            "state": "posted" if charged else "void",
            "swept": False,
            "outcome": "completed",
            "reason": "The answer is complete.",
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "images": usage.images,
            "audio_s": usage.audio_s,
            "video_s": usage.video_s,
            "searches": usage.searches,
            "usage_source": usage.source.value,
            "cost_nano": min(cost_nano, held_nano) if charged else 0,
            "operator_loss_nano": 0,
            "started_us": self.clock.us,
            "first_output_us": self.clock.us,
            "ended_us": self.clock.us,
            "fingerprint": "fp_1",
            **call,
        }

    def sign_all(self) -> int:
        """How many calls were signed, batch by batch."""
        signed, more = 0, True
        while more:
            count, more = self.write(lambda op, tx: receipts.sign_due(op, tx, self.signer))
            signed += count
        return signed

    def receipt(self, request_id: str, org: str = "org_a") -> Json:
        found = self.read(lambda op, tx: receipts.receipt(op, tx, org, request_id))
        assert found is not None, "it is not signed"
        return found


@contextmanager
def opened_desk(options: StoreOptions) -> Iterator[Desk]:
    desk = Desk(options)
    try:
        yield desk
    finally:
        desk.close()
