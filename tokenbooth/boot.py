"""The only composition root: real clocks, ids and engines meet the rooms here and nowhere else."""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from tokenbooth.admission.entry.service import GateBook
from tokenbooth.admission.rates.service import RateBook
from tokenbooth.admission.shares.service import Shares
from tokenbooth.bookkeeper.far import FarBooks
from tokenbooth.booth import Booth, open_booth
from tokenbooth.catalog.models import service as catalog
from tokenbooth.config import Settings
from tokenbooth.control.launch_report import Desk
from tokenbooth.control.launching import policy_of
from tokenbooth.control.serving import Serving, serving_lock
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Sink
from tokenbooth.core.problem import Problem
from tokenbooth.edge.front import Elsewhere, Front
from tokenbooth.edge.routes import Route, TalkRoute
from tokenbooth.edge.server import SIGNALS, Server, listen
from tokenbooth.engine_choice import engine_of
from tokenbooth.engines.port import Engine
from tokenbooth.gateway.background import BackgroundDesk
from tokenbooth.gateway.directory import Directory, DirectoryBounds
from tokenbooth.gateway.live import LiveCalls
from tokenbooth.gateway.media import MediaDesk, draw_bounds
from tokenbooth.gateway.pool import EnginePool
from tokenbooth.gateway.reconcile import Reconciler
from tokenbooth.gateway.replay import ReplayDesk
from tokenbooth.gateway.responses import ResponseDesk
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.serve import serve
from tokenbooth.gateway.till import Till
from tokenbooth.media.fetch.service import Connector, Fetcher, Resolver
from tokenbooth.media.rendering.service import Renderer
from tokenbooth.opened_till import OpenTill, adopt_left, books_of, open_till
from tokenbooth.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from tokenbooth.protocols.dialect import Dialect
from tokenbooth.protocols.openai_chat import OPENAI_CHAT
from tokenbooth.protocols.openai_completions import OPENAI_COMPLETIONS
from tokenbooth.protocols.openai_embeddings import OPENAI_EMBEDDINGS
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.openai_responses.compaction import OPENAI_COMPACTION
from tokenbooth.protocols.problems import openai_refusal
from tokenbooth.safety.screening.service import Policy
from tokenbooth.telemetry.metrics import Gauge
from tokenbooth.web.count_tokens import count_endpoint
from tokenbooth.web.endpoint import account_endpoint
from tokenbooth.web.files import FileRooms, upload_endpoint
from tokenbooth.web.quote import quote_endpoint
from tokenbooth.web.response_socket import PATH, ResponseTalks
from tokenbooth.web.responses import response_routes
from tokenbooth.web.rooms import Others
from tokenbooth.web.routes import WebRooms, account_routes
from tokenbooth.workers.demotion import Demotion
from tokenbooth.workers.loop import Loop, Workers
from tokenbooth.workers.receipts import ReceiptSigning
from tokenbooth.workers.reconcile import reconcile_loop
from tokenbooth.workers.upkeep import Upkeep

D = TypeVar("D", ResponseDesk, BackgroundDesk)
CYCLES_LOOKED_FOR_AFTER = 50_000
DIALECTS = {
    dialect.name: dialect
    for dialect in (
        OPENAI_CHAT,
        OPENAI_RESPONSES,
        ANTHROPIC_MESSAGES,
        OPENAI_COMPLETIONS,
        OPENAI_EMBEDDINGS,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one of several processes that serve one address is; a server alone is a whole one.

    ``elsewhere`` answers what a data plane does not; a ``behind`` server is reached through such
    ones alone. ``signals`` are those that end it. ``shares`` makes its part of the limits,
    ``makes`` its engines, and ``others`` are those that it can ask.
    """

    elsewhere: Elsewhere | None = None
    behind: bool = False
    others: Others | None = None
    shares: Callable[[RateBook, GateBook], Shares] | None = None
    makes: Callable[[Booth, catalog.Deployment], Engine] = engine_of
    signals: Sequence[signal.Signals] = SIGNALS


WHOLE = Part()


async def run_server(
    settings: Settings,
    ready: Callable[[Serving], Awaitable[None]],
    opened_till: OpenTill = open_till,
    link: socket.socket | None = None,
) -> None:
    """Serve until a signal; ``ready`` runs once when the port answers.

    ``link`` leads to the bookkeeper, if there is one. ``opened_till`` is for measurements alone:
    every command serves with the real one. Raises
    STATE_CONFLICT when the directory is served already or the port is taken.
    """
    with serving_lock(settings.data_dir, settings.gateway.replica) as note:
        listener = listen(settings.edge)
        here = Serving(os.getpid(), settings.edge.host, listener.getsockname()[1])

        async def tell() -> None:
            note.write(here)
            await ready(here)

        async with open_booth(settings) as booth, serving_rooms(booth, opened_till, link) as rooms:
            await adopt_left(booth, 0)
            booth.log.event("serving", host=here.host, port=here.port)
            await serve_on(listener, booth, rooms, tell)


async def serve_on(
    listener: socket.socket,
    booth: Booth,
    rooms: Rooms,
    ready: Callable[[], Awaitable[None]],
    part: Part = WHOLE,
) -> None:
    """Serve until a signal, and until every call has ended."""
    front = Front(
        _inference_routes(booth, rooms)
        + ([] if part.elsewhere else _other_routes(booth, rooms, part.others)),
        new_op=lambda request_id: booth.op("caller", request_id),
        ids=booth.ids,
        refusal=openai_refusal,
        options=booth.settings.edge,
        talks=[_response_talk(rooms)],
    )
    front.elsewhere, front.behind = part.elsewhere, part.behind

    async def tell() -> None:
        gc.collect()
        gc.freeze()  # what stands by now stays: no collection has to walk through it again
        # A call leaves no cycles; the objects of the calls that are open are no reason.
        gc.set_threshold(CYCLES_LOOKED_FOR_AFTER)
        await ready()

    def cut_short() -> None:
        rooms.live.stop_all(Problem(Code.SHUTTING_DOWN, "The server stopped."))

    server = Server(front, booth.clock, ready=tell, cut_short=cut_short, signals=part.signals)
    await server.serve(listener)
    front.cut_short()
    cut_short()
    await front.idle()
    booth.log.event("stopped")


@asynccontextmanager
async def serving_rooms(
    booth: Booth, opened_till: OpenTill, link: socket.socket | None, part: Part = WHOLE
) -> AsyncIterator[Rooms]:
    """Everything that a server has and a command has not; let go of in reverse order."""
    settings, clock = booth.settings, booth.clock
    near = books_of(booth)
    far = None if link is None else FarBooks(near, link)
    async with opened_till(booth, far or near) as till:
        rates, gates = RateBook(clock.monotonic_us), _gates(booth)
        rooms = Rooms(
            store=booth.store,
            clock=clock,
            directory=_directory(booth),
            rates=rates,
            gates=gates,
            shares=None if part.shares is None else part.shares(rates, gates),
            engines=EnginePool(
                partial(part.makes, booth), open_wait_max_s=settings.gateway.engine_open_wait_max_s
            ),
            live=LiveCalls(),
            till=till,
            replays=_replay_desk(booth, till),
            responses=_response_desk(ResponseDesk, booth, till),
            background=_response_desk(BackgroundDesk, booth, till),
            media=_media_desk(booth),
            policy=Policy(settings.safety.blocked_phrases),
            metrics=booth.metrics,
            options=settings.gateway,
            till_options=settings.till,
        )
        upkeep = Upkeep(rooms, lambda: booth.op("worker"), settings.workers)
        await rooms.replays.sweep(booth.op("replica"))
        await rooms.background.sweep(booth.op("replica"))
        _watch(rooms)
        signing = ReceiptSigning(
            booth.store,
            booth.signer(),
            lambda: booth.op("worker"),
            elsewhere=lambda: far is not None and not far.lost,
        )
        receipts = signing.loop(settings.workers.receipts_every_ms)
        demotions = Demotion(booth.store, lambda: booth.op("worker"), partial(_launch_desk, booth))
        loops = (*upkeep.loops(), receipts, demotions.loop(settings.workers.beat_every_ms))
        workers = Workers((*loops, _reconciling(booth, rooms)), booth.log)
        workers.start()
        preload = asyncio.create_task(_preload(booth, rooms))
        try:
            yield rooms
        finally:
            preload.cancel()
            await workers.stop()
            await rooms.engines.close()


def _gates(booth: Booth) -> GateBook:
    gateway = booth.settings.gateway
    return GateBook(
        booth.clock.monotonic_us,
        first_party=frozenset(gateway.first_party_orgs),
        paces=gateway.pace_by_model(),
    )


def _replay_desk(booth: Booth, till: Till) -> ReplayDesk:
    return ReplayDesk(
        booth.store,
        till,
        key=booth.secrets.sealing_key,
        noise=booth.randomness,
        options=booth.settings.replays,
    )


def _launch_desk(booth: Booth) -> Desk:
    return Desk(policy_of(booth.settings.data_dir), booth.signer().key)


def _response_desk(desk: type[D], booth: Booth, till: Till) -> D:
    return desk(
        booth.store,
        till,
        key=booth.secrets.sealing_key,
        noise=booth.randomness,
        options=booth.settings.responses,
    )


def _media_desk(booth: Booth) -> MediaDesk:
    options, key = booth.settings.media, booth.secrets.sealing_key
    fetcher = Fetcher(Resolver(), Connector())
    return MediaDesk(booth.store, fetcher, Renderer(draw_bounds(options)), key, options)


def _directory(booth: Booth) -> Directory:
    options = booth.settings.gateway
    bounds = DirectoryBounds(
        fresh_us=options.directory_fresh_ms * 1000,
        stale_max_us=options.directory_stale_max_s * 1_000_000,
    )
    pepper = booth.secrets.pepper
    return Directory(booth.store, booth.clock.monotonic_us, pepper=pepper, bounds=bounds)


def _inference_routes(booth: Booth, rooms: Rooms) -> list[Route]:
    """What runs a model, or takes as much of this process as if it did."""

    def calls(path: str, dialect: Dialect) -> Route:
        async def endpoint(op: Op, head: CallHead, body: Body, sink: Sink) -> None:
            await serve(rooms, dialect, op, head, body, sink)

        return Route("POST", path, endpoint, refusal=dialect.refusal)

    uploads = FileRooms(
        rooms=rooms, ids=booth.ids, noise=booth.randomness, key=booth.secrets.sealing_key
    )
    return [
        calls("/v1/chat/completions", OPENAI_CHAT),
        calls("/v1/completions", OPENAI_COMPLETIONS),
        calls("/v1/embeddings", OPENAI_EMBEDDINGS),
        calls("/v1/responses", OPENAI_RESPONSES),
        calls("/v1/responses/compact", OPENAI_COMPACTION),
        calls("/v1/messages", ANTHROPIC_MESSAGES),
        Route(
            "POST",
            "/v1/messages/count_tokens",
            count_endpoint(rooms, ANTHROPIC_MESSAGES),
            refusal=ANTHROPIC_MESSAGES.refusal,
        ),
        Route("POST", "/v1/files", upload_endpoint(uploads)),
        *_stored_routes(rooms, bodies=True),
        Route("POST", "/v1/quote", quote_endpoint(rooms, DIALECTS, OPENAI_CHAT.name)),
    ]


def _stored_routes(rooms: Rooms, *, bodies: bool) -> list[Route]:
    """Those of Responses beside the call itself; ``bodies`` says which: with a turn in them."""
    return [
        Route(r.method, r.pattern, r.endpoint, refusal=OPENAI_RESPONSES.refusal)
        for r in response_routes(rooms)
        if ("{" not in r.pattern) is bodies
    ]


def _other_routes(booth: Booth, rooms: Rooms, others: Others | None) -> list[Route]:
    account = account_routes(
        WebRooms(
            store=booth.store,
            engines=rooms.engines,
            metrics=booth.metrics,
            settlements=rooms.till,
            metrics_loopback_only=booth.settings.metrics.loopback_only,
            signer=booth.signer(),
            sealing_key=booth.secrets.sealing_key,
            prefixes=rooms.prefixes,
            others=others,
        )
    )
    return [
        *_stored_routes(rooms, bodies=False),
        *(
            Route(
                r.method,
                r.pattern,
                account_endpoint(rooms, r.scope, r.answer, others),
                r.loopback_only,
            )
            for r in account
        ),
    ]


def _response_talk(rooms: Rooms) -> TalkRoute:
    return TalkRoute(
        path=PATH,
        endpoint=ResponseTalks(rooms),
        refusal=OPENAI_RESPONSES.refusal,
        text_bytes_max=rooms.options.body_bytes_max,
    )


async def _preload(booth: Booth, rooms: Rooms) -> None:
    """Open the engines before their first call; one that fails is tried again by that call."""
    op = booth.op("replica")
    for model in await booth.store.read(lambda tx: catalog.models(op, tx)):
        for deployment in model.deployments:
            try:
                await rooms.engines.engine(deployment)
            except Problem as problem:
                booth.log.fault("engine_not_opened", problem, model=model.name)


def _reconciling(booth: Booth, rooms: Rooms) -> Loop:
    """Made before the first call, because it counts from now on."""
    found = Reconciler(rooms, asyncio.sleep, started_us=booth.clock.now_us())
    rooms.metrics.watch(Gauge.LEDGER_DIFFERENCE_NANO, lambda: found.ledger_difference_nano)
    rooms.metrics.watch(Gauge.ENGINE_DIFFERENCE_TOKENS, lambda: found.engine_differences)
    rooms.metrics.watch(Gauge.RECONCILED_AT_S, lambda: found.finished_s)
    every_s = booth.settings.workers.reconcile_every_s
    return reconcile_loop(found, lambda: booth.op("worker"), every_s)


def _watch(rooms: Rooms) -> None:
    rooms.metrics.watch(Gauge.IN_FLIGHT, lambda: len(rooms.live))
    rooms.metrics.watch(Gauge.QUEUED, rooms.gates.waiting)
    rooms.metrics.watch(Gauge.CONCURRENCY_LIMIT, rooms.gates.limits)
    rooms.metrics.watch(Gauge.DEMAND_MILLI, rooms.gates.demand_milli)
    rooms.metrics.watch(Gauge.LATE_SETTLEMENTS, lambda: rooms.till.waiting)
    rooms.metrics.watch(Gauge.ENGINE_READY, rooms.engines.ready)
    rooms.metrics.watch(Gauge.ENGINE_RESTARTS, rooms.engines.restarts)
