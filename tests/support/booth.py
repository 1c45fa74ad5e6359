"""The ten steps over a real embedded store and the scripted engine, without a socket."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import msgspec

from tests.support.media import media_desk
from tests.support.ops import CountingIds, ManualClock, make_op
from tests.support.stores import fresh_store
from tokenbooth.admission.entry.service import GateBook
from tokenbooth.admission.rates.service import RateBook
from tokenbooth.catalog.models import service as catalog
from tokenbooth.control import accounts, keys, prices
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead
from tokenbooth.core.receipt import LimitScope
from tokenbooth.engines.port import Engine
from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import ScriptOptions
from tokenbooth.gateway.background import BackgroundDesk
from tokenbooth.gateway.books import StoreBooks
from tokenbooth.gateway.directory import Directory, DirectoryBounds
from tokenbooth.gateway.live import LiveCalls
from tokenbooth.gateway.options import GatewayOptions, ReplayOptions, ResponseOptions, TillOptions
from tokenbooth.gateway.pool import EnginePool
from tokenbooth.gateway.recovery import recovered
from tokenbooth.gateway.replay import ReplayDesk
from tokenbooth.gateway.responses import ResponseDesk
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.serve import serve
from tokenbooth.gateway.till import Till
from tokenbooth.money.journal.service import JournalDriver, open_directory
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.meter import service as meter
from tokenbooth.money.prices.service import PriceAsk
from tokenbooth.protocols.dialect import Dialect
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.safety.screening.service import Policy
from tokenbooth.store.open import AsyncStore
from tokenbooth.telemetry.metrics import Metrics

PEPPER = b"p" * 32
SEALING_KEY = b"s" * 32
INPUT_PICO, OUTPUT_PICO = 1_000_000, 4_000_000


class Noise:
    """Different bytes each time, the same in every run."""

    def __init__(self) -> None:
        self._count = 0

    def token_bytes(self, count: int) -> bytes:
        self._count += 1
        return (self._count.to_bytes(4) * (count // 4 + 1))[:count]


@dataclass
class MemorySink:
    """Keeps what is written; hands every chunk to ``on_write`` as it comes."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ends: int = 0
    listener: Any = None
    on_write: Any = None

    @property
    def started(self) -> bool:
        return self.status is not None

    def start(self, status: int, headers: Any) -> None:
        assert self.status is None, "started twice"
        self.status, self.headers = status, dict(headers)

    def write(self, chunk: bytes) -> None:
        assert self.started
        assert not self.ends, "written after the end"
        self.body += chunk
        if self.on_write is not None:
            self.on_write(chunk)

    def end(self) -> None:
        self.ends += 1

    def listen(self, listener: Any) -> None:
        self.listener = listener

    @property
    def document(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def events(self) -> list[Any]:
        """The decoded ``data:`` events of a stream; ``"[DONE]"`` stays text."""
        lines = [line[6:] for line in self.body.split(b"\n") if line.startswith(b"data: ")]
        return [msgspec.json.decode(x) if x != b"[DONE]" else "[DONE]" for x in lines]


@dataclass(frozen=True)
class MemoryBody:
    raw: bytes

    async def read(self, bytes_max: int) -> bytes:
        return self.raw


@dataclass
class TestBooth:
    """``secret`` is a key of an organization with ``credit_nano`` of prepaid money."""

    __test__ = False

    rooms: Rooms
    store: AsyncStore
    clock: ManualClock
    op: Op
    org_id: str
    key_id: str
    secret: str
    ids: CountingIds
    noise: Noise
    pepper: bytes = PEPPER
    calls: int = 0

    def new_op(self) -> Op:
        self.calls += 1
        return replace(self.op, request_id=f"req_{self.calls:032x}")

    async def ask(
        self,
        body: Mapping[str, Any] | bytes,
        *,
        sink: MemorySink | None = None,
        headers: Mapping[str, str] | None = None,
        dialect: Dialect = OPENAI_CHAT,
    ) -> MemorySink:
        """One call with the booth's own key, unless ``headers`` say otherwise."""
        sink = sink or MemorySink()
        sent = {"authorization": f"Bearer {self.secret}"} if headers is None else headers
        head = CallHead("POST", "/v1/chat/completions", sent, {}, {})
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        async with asyncio.timeout(20):
            await serve(self.rooms, dialect, self.new_op(), head, MemoryBody(raw), sink)
        assert sink.ends == 1
        return sink

    async def record(self, call: int | None = None) -> meter.CallRecord:
        """The record of the n-th call, or of the last one."""
        request_id = f"req_{call or self.calls:032x}"
        await self.rooms.till.flushed()
        return await self.store.read(lambda tx: meter.call(self.op, tx, self.org_id, request_id))

    async def verified(self) -> ledger.Verification:
        """The ledger's own proof; fails the test when it does not hold."""
        await self.rooms.till.flushed()
        found = await self.store.read(lambda tx: ledger.verify(self.op, tx))
        assert found.difference_nano == 0
        assert found.problems == ()
        return found

    async def spent_nano(self) -> int:
        await self.rooms.till.flushed()
        chain = ((LimitScope.BALANCE, self.org_id),)
        (balance,) = await self.store.read(lambda tx: ledger.limits(self.op, tx, chain))
        return balance.spent_nano


def chat(text: str = "hello there", **fields: Any) -> dict[str, Any]:
    """A body for the model ``demo``."""
    return {"model": "demo", "messages": [{"role": "user", "content": text}], **fields}


def _split(options: Mapping[str, int]) -> tuple[GatewayOptions, TillOptions]:
    """Each option goes where its name is known; charges are told at once unless it says so."""
    names = {f.name for f in fields(TillOptions)}
    till = {"ship_after_ms": 0, **{k: v for k, v in options.items() if k in names}}
    gateway = {k: v for k, v in options.items() if k not in names}
    return GatewayOptions(**gateway), TillOptions(**till)  # type: ignore[arg-type]


def _directory(store: AsyncStore, clock: ManualClock, options: GatewayOptions) -> Directory:
    bounds = DirectoryBounds(
        fresh_us=options.directory_fresh_ms * 1000,
        stale_max_us=options.directory_stale_max_s * 1_000_000,
    )
    return Directory(store, clock.monotonic_us, pepper=PEPPER, bounds=bounds)


def _response_desks(
    store: AsyncStore, till: Till, noise: Noise, options: ResponseOptions | None
) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "key": SEALING_KEY,
        "noise": noise,
        "options": options or ResponseOptions(),
    }
    return {
        "responses": ResponseDesk(store, till, **parts),
        "background": BackgroundDesk(store, till, **parts),
    }


def _wished(each: catalog.DeploymentAsk, count: int, *, alike: bool) -> catalog.ModelAsk:
    seeds = ({} if alike else {"seed": str(number)} for number in range(count))
    several = tuple(replace(each, options={**each.options, **seed}) for seed in seeds)
    return catalog.ModelAsk(name="demo", deployments=several)


@asynccontextmanager
async def open_test_booth(
    directory: Path,
    *scripts: ScriptOptions,
    credit_nano: int = 10**9,
    key: Mapping[str, Any] | None = None,
    engines: Mapping[str, Engine] | None = None,
    policy: Policy | None = None,
    deployment: Mapping[str, Any] | None = None,
    replay_options: ReplayOptions | None = None,
    response_options: ResponseOptions | None = None,
    alike: bool = False,
    media: Mapping[str, Any] | None = None,
    **options: int,
) -> AsyncIterator[TestBooth]:
    """A booth whose model ``demo`` has one deployment for each script, in order; with ``alike``
    they are replicas of one.

    ``engines`` replaces engines by deployment index, ``"0"`` first; ``media`` goes to its desk.
    """
    store, clock, ids, noise = fresh_store(directory), ManualClock(), CountingIds(), Noise()
    op = make_op(clock)
    scripts = scripts or (ScriptOptions(),)
    each = catalog.DeploymentAsk(engine=catalog.EngineKind.SCRIPTED, **(deployment or {}))
    mint = keys.Mint(ids, noise, PEPPER)

    def set_up(tx: Any) -> tuple[Any, Any, Any]:
        org = accounts.create_organization(op, tx, accounts.OrganizationAsk("acme"), ids)
        if credit_nano:
            accounts.add_credit(op, tx, "acme", credit_nano, "first")
        model = catalog.add_model(op, tx, _wished(each, len(scripts), alike=alike), ids)
        prices.price_model(op, tx, PriceAsk("demo", INPUT_PICO, OUTPUT_PICO), ids, confirmed=True)
        minted = keys.create_key(op, tx, keys.NewKey(org="acme", name="k", **(key or {})), mint)
        return org, model, minted

    org, model, minted = await store.write(set_up)
    made: dict[str, Engine] = {
        d.id: (engines or {}).get(str(i)) or ScriptedEngine(scripts[i])
        for i, d in enumerate(model.deployments)
    }
    bounds, till_options = _split(options)
    disk, journal_id = open_directory(directory / "journal", noise)
    pool, journal = await recovered(store, op, disk, journal_id, "main", till_options)
    books = StoreBooks(store, till_options.alert_percents)
    till = Till(books, pool, JournalDriver(journal), clock, till_options)
    rooms = Rooms(
        store=store,
        clock=clock,
        directory=_directory(store, clock, bounds),
        rates=RateBook(clock.monotonic_us),
        gates=GateBook(clock.monotonic_us),
        engines=EnginePool(lambda d: made[d.id], open_wait_max_s=5),
        live=LiveCalls(),
        till=till,
        replays=ReplayDesk(
            store, till, key=SEALING_KEY, noise=noise, options=replay_options or ReplayOptions()
        ),
        media=media_desk(store, **(media or {})),
        **_response_desks(store, till, noise, response_options),
        policy=policy or Policy(),
        metrics=Metrics(),
        options=bounds,
        till_options=till_options,
    )
    till.start(lambda: op)
    try:
        yield TestBooth(rooms, store, clock, op, org.id, minted.key.id, minted.secret, ids, noise)
    finally:
        await rooms.engines.close()
        await till.close()
        await store.close()
