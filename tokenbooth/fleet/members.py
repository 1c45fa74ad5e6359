"""What each process of a fleet does from its birth to its end."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tokenbooth.admission.shares.service import Shares
from tokenbooth.bookkeeper.fork import bookkeeper
from tokenbooth.boot import Part, serve_on, serving_rooms
from tokenbooth.booth import Booth, open_booth
from tokenbooth.catalog.models import service as catalog
from tokenbooth.config import Settings
from tokenbooth.control.serving import serving_lock
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.edge.loop import run_on_fast_loop
from tokenbooth.edge.server import listen
from tokenbooth.engine_choice import shared_engine_of
from tokenbooth.fleet.engines import Boards, FarSupervisor, UserLine
from tokenbooth.fleet.forward import Forward
from tokenbooth.fleet.hub import Hub
from tokenbooth.fleet.line import ControlLine
from tokenbooth.fleet.rules import share_of, worker_name
from tokenbooth.fleet.supervisor import Birth, Member
from tokenbooth.gateway.options import REPLICA_CHARACTERS_MAX
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.opened_till import adopt_left, open_till

ENDS = (signal.SIGTERM,)
ORPHANED = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """``settings`` name the real port; ``meeting`` is a private directory for sockets."""

    settings: Settings
    workers: int
    meeting: Path

    @property
    def control_path(self) -> str:
        return str(self.meeting / "control")

    @property
    def hub_path(self) -> str:
        return str(self.meeting / "hub")

    @property
    def engines_path(self) -> str:
        return str(self.meeting / "engines")


def check_names(settings: Settings, workers: int) -> None:
    """Raises INVALID_VALUE where the name of a worker would be too long for a replica."""
    last = worker_name(settings.gateway.replica, workers)
    if len(last) > REPLICA_CHARACTERS_MAX:
        raise Problem(
            Code.INVALID_VALUE,
            f"The workers' names are made of the replica's: {last!r} has more than"
            f" {REPLICA_CHARACTERS_MAX} characters. Give the replica a name of at most"
            f" {REPLICA_CHARACTERS_MAX - len(worker_name('', workers))}.",
            param="gateway.replica",
        )


def members(plan: Plan) -> tuple[Member, tuple[Member, ...]]:
    """The control process, and the workers in the order of their numbers from 1."""
    return (
        Member("control", lambda birth: run_on_fast_loop(_control(plan, birth))),
        tuple(
            Member(f"worker {number}", _worker(plan, number))
            for number in range(1, plan.workers + 1)
        ),
    )


async def _control(plan: Plan, birth: Birth) -> None:
    async with open_booth(plan.settings) as booth:
        await adopt_left(booth, plan.workers)
        hub = Hub(plan.workers, booth.clock.monotonic_us)
        boards = Boards()
        makes = partial(shared_engine_of, boards.supervise)
        part = Part(behind=True, others=hub, makes=makes, signals=ENDS)
        async with serving_rooms(booth, open_till, None, part) as rooms:
            loop = asyncio.get_running_loop()
            met = await loop.create_unix_server(hub.accepted, sock=_met_at(plan.hub_path))
            lent = await loop.create_unix_server(
                lambda: UserLine(boards, partial(_engine_opened, booth, rooms)),
                sock=_met_at(plan.engines_path),
            )
            tidying = asyncio.create_task(hub.tidying())
            try:
                await serve_on(_met_at(plan.control_path), booth, rooms, _ready(birth), part)
            finally:
                tidying.cancel()
                met.close()
                lent.close()


async def _engine_opened(booth: Booth, rooms: Rooms, deployment_id: str) -> None:
    """Raises ENGINE_NOT_READY, and what its opening raises."""
    op = booth.op("replica")
    for model in await booth.store.read(lambda tx: catalog.models(op, tx)):
        for deployment in model.deployments:
            if deployment.id == deployment_id:
                await rooms.engines.engine(deployment)
                return
    raise Problem(Code.ENGINE_NOT_READY, "The model was removed.")


def _worker(plan: Plan, number: int) -> Callable[[Birth], None]:
    name = worker_name(plan.settings.gateway.replica, number)
    settings = plan.settings.listening(None, None, name)

    def work(birth: Birth) -> None:
        # Forked before there are threads, and before there is a listener to inherit.
        with bookkeeper(settings) as link:
            run_on_fast_loop(_serve(plan, number, settings, birth, link))

    return work


async def _serve(
    plan: Plan, number: int, settings: Settings, birth: Birth, link: socket.socket | None
) -> None:
    forward = Forward(plan.control_path)
    name = settings.gateway.replica
    line = ControlLine(name, plan.hub_path)
    with serving_lock(settings.data_dir, name):
        async with open_booth(settings) as booth:
            part = Part(
                elsewhere=forward,
                shares=lambda rates, gates: Shares(
                    rates,
                    gates,
                    line,
                    monotonic_us=booth.clock.monotonic_us,
                    queue_share=lambda queue_max: share_of(queue_max, number, plan.workers),
                ),
                makes=partial(shared_engine_of, partial(FarSupervisor, plan.engines_path)),
                signals=ENDS,
            )
            async with serving_rooms(booth, open_till, link, part) as rooms:
                tasks = [asyncio.create_task(line.keep(rooms)), asyncio.create_task(line.tidying())]
                try:
                    listener = listen(settings.edge, shared=True)
                    await serve_on(listener, booth, rooms, _ready(birth), part)
                finally:
                    forward.close()
                    for task in tasks:
                        task.cancel()


def _ready(birth: Birth) -> Callable[[], Awaitable[None]]:
    async def ready() -> None:
        # Where the parent is killed, everything is: the journals know what was done.
        asyncio.get_running_loop().add_reader(birth.lifeline, os._exit, ORPHANED)
        birth.tell_ready()

    return ready


def _met_at(path: str) -> socket.socket:
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    return listener


def with_port(settings: Settings, port: int) -> Settings:
    return replace(settings, edge=replace(settings.edge, port=port))
