"""The ten steps of a lab's booth, in this process and on its clock, without a socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tokenbooth.admission.entry.service import GateBook
from tokenbooth.admission.rates.service import RateBook
from tokenbooth.control import keys
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead, SinkListener
from tokenbooth.engines.options import options_from
from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import ScriptOptions
from tokenbooth.gateway.background import BackgroundDesk
from tokenbooth.gateway.books import StoreBooks
from tokenbooth.gateway.directory import Directory, DirectoryBounds
from tokenbooth.gateway.live import LiveCalls
from tokenbooth.gateway.media import MediaDesk, draw_bounds
from tokenbooth.gateway.options import (
    GatewayOptions,
    MediaOptions,
    ReplayOptions,
    ResponseOptions,
    TillOptions,
)
from tokenbooth.gateway.pool import EnginePool
from tokenbooth.gateway.recovery import recovered
from tokenbooth.gateway.replay import ReplayDesk
from tokenbooth.gateway.responses import ResponseDesk
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.serve import serve
from tokenbooth.gateway.till import Till
from tokenbooth.media.fetch.service import Connector, Fetcher, Resolver
from tokenbooth.media.rendering.service import Renderer
from tokenbooth.money.journal.service import JournalDriver, open_directory
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.proving.launching.lab import Lab
from tokenbooth.safety.screening.service import Policy
from tokenbooth.store.open import open_store
from tokenbooth.store.options import StoreOptions
from tokenbooth.telemetry.metrics import Metrics

PEPPER, SEALING_KEY = b"p" * 32, b"s" * 32
CALL_MAX_S = 20


@dataclass(frozen=True, slots=True)
class Answered:
    """What a caller got; ``code`` is the error's, empty for an answer."""

    status: int
    code: str
    headers: dict[str, str]


@dataclass
class _Sink:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def started(self) -> bool:
        return self.status > 0

    def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        self.status, self.headers = status, dict(headers)

    def write(self, chunk: bytes) -> None:
        self.body += chunk

    def end(self) -> None:
        """Everything was written."""

    def listen(self, listener: SinkListener) -> None:
        """This caller neither hangs up nor slows down."""


@dataclass(frozen=True)
class _Body:
    raw: bytes

    async def read(self, bytes_max: int) -> bytes:
        return self.raw


@dataclass
class FrontDoor:
    """Calls by key secrets, each as ``POST /v1/chat/completions`` would make it."""

    lab: Lab
    rooms: Rooms

    async def call(self, secret: str, model: str, text: str = "hello") -> Answered:
        body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 24}
        head = CallHead(
            "POST", "/v1/chat/completions", {"authorization": f"Bearer {secret}"}, {}, {}
        )
        sink = _Sink()
        op = Op(self.lab.ids.new("req"), self.lab.clock.now_us, self.lab.log, actor="caller")
        async with asyncio.timeout(CALL_MAX_S):
            await serve(self.rooms, OPENAI_CHAT, op, head, _Body(json.dumps(body).encode()), sink)
        error = json.loads(sink.body).get("error") or {}
        return Answered(sink.status, error.get("code") or "", sink.headers)

    async def told(self) -> None:
        """Everything that was charged is in the ledger."""
        await self.rooms.till.flushed()


def new_key(lab: Lab, org: str) -> str:
    """The secret of a key of that organization."""
    mint = keys.Mint(lab.ids, lab.ids, PEPPER)
    with lab.tx() as tx:
        return keys.create_key(lab.op(), tx, keys.NewKey(org=org, name="main"), mint).secret


@asynccontextmanager
async def open_front(lab: Lab) -> AsyncIterator[FrontDoor]:
    """One gateway process over the lab's database; it gives its leases back in the end."""
    store = open_store(StoreOptions(f"sqlite:///{lab.home / 'tokenbooth.db'}"))
    options, till_options = GatewayOptions(directory_fresh_ms=1), TillOptions(ship_after_ms=0)
    disk, journal_id = open_directory(lab.home / "journal", lab.ids)
    pool, journal = await recovered(store, lab.op(), disk, journal_id, "main", till_options)
    books = StoreBooks(store, till_options.alert_percents)
    till = Till(books, pool, JournalDriver(journal), lab.clock, till_options)
    key, noise = SEALING_KEY, lab.ids
    bounds = DirectoryBounds(fresh_us=options.directory_fresh_ms * 1000, stale_max_us=1_000_000)
    media, kept = MediaOptions(fetch_urls=False), ResponseOptions()
    engines = EnginePool(
        lambda d: ScriptedEngine(options_from(ScriptOptions, d.options)), open_wait_max_s=5
    )
    rooms = Rooms(
        store=store,
        clock=lab.clock,
        directory=Directory(store, lab.clock.monotonic_us, pepper=PEPPER, bounds=bounds),
        rates=RateBook(lab.clock.monotonic_us),
        gates=GateBook(lab.clock.monotonic_us),
        engines=engines,
        live=LiveCalls(),
        till=till,
        replays=ReplayDesk(store, till, key=key, noise=noise, options=ReplayOptions()),
        responses=ResponseDesk(store, till, key=key, noise=noise, options=kept),
        background=BackgroundDesk(store, till, key=key, noise=noise, options=kept),
        media=MediaDesk(
            store,
            Fetcher(Resolver(), Connector()),
            Renderer(draw_bounds(media)),
            SEALING_KEY,
            media,
        ),
        policy=Policy(),
        metrics=Metrics(),
        options=options,
        till_options=till_options,
    )
    till.start(lab.op)
    try:
        yield FrontDoor(lab, rooms)
    finally:
        await engines.close()
        await till.close()
        await store.close()
