"""Runs the benchmark of billing: two private instances, one load, turn by turn."""

import asyncio
import contextlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenbooth.edge.loop import run_on_fast_loop
from tokenbooth.proving.asking import CHAT
from tokenbooth.proving.bench.billing import unbilled
from tokenbooth.proving.bench.billing.plan import (
    ANSWER_TOKENS,
    BOOKKEEPER,
    CLIENT,
    DATABASE,
    GATEWAY,
    KEY,
    ORG,
    PROMPT,
    BillingOptions,
    Load,
    Side,
    SideBooks,
    TurnSeen,
)
from tokenbooth.proving.bench.billing.report import BillingReport
from tokenbooth.proving.bench.books import Database, database_of, machine_load, read_books
from tokenbooth.proving.bench.cpu import CpuMeter, alone, check_counted, others
from tokenbooth.proving.bench.figures import quantile
from tokenbooth.proving.bench.load import LoadClient, kept_bytes
from tokenbooth.proving.client import json_ask
from tokenbooth.proving.drills.play import Progress, ended_by_signal
from tokenbooth.proving.instance import PrivateInstance
from tokenbooth.proving.stage import Stage
from tokenbooth.proving.staging import clear_stage, set_stage

WARM_S = 0.5
LINES_SPARE = 48
UNBILLED = (sys.executable, "-m", unbilled.__name__)
# No event but the answer's own is wanted on the way, and no line of a log for each call either.
SETTINGS: Mapping[str, str] = {"log.level": "warning"}


def run_billing(options: BillingOptions, progress: Progress) -> BillingReport:
    """Blocks until done; every process that it starts ends with it.

    Raises Problem STATE_CONFLICT where CPU time is not counted, and InstanceFault.
    """
    check_counted()
    with (
        ended_by_signal(),
        tempfile.TemporaryDirectory(prefix="tokenbooth-bench-") as made,
        _booth(options, Path(made), Side.ON) as on,
        _booth(options, Path(made), Side.OFF) as off,
    ):
        booths = {Side.ON: on, Side.OFF: off}
        turns = run_on_fast_loop(_measured(options, booths, progress))
        books = tuple(_books(booth, turns) for booth in booths.values())
    return BillingReport(
        options=options,
        store=on.database.name,
        synced=on.database.synced,
        machine_load=machine_load(os.getloadavg()),
        turns=turns,
        books=books,
    )


@dataclass(slots=True)
class _Booth:
    """One side; ``warmed`` counts the calls that no turn has."""

    side: Side
    instance: PrivateInstance
    stage: Stage
    meter: CpuMeter
    database: Database
    warmed: int = 0


@contextlib.contextmanager
def _booth(options: BillingOptions, directory: Path, side: Side) -> Iterator[_Booth]:
    """An instance that serves, with its stage."""
    made = PrivateInstance(
        directory / side.value,
        store_url=options.store_of(side),
        settings={**SETTINGS, "gateway.bookkeeper": str(options.bookkeeper).lower()},
        serve=None if side is Side.ON else UNBILLED,
    )
    if side is Side.OFF:
        unbilled.mark(made.data_dir)
    with made as instance:
        settings = instance.settings()
        stage = set_stage(settings, options.stage, secrets.token_hex(4))
        instance.start()
        pid = instance.pid
        assert pid is not None, "it was started just now"
        pids = {GATEWAY: alone(pid), BOOKKEEPER: others(pid), CLIENT: alone(os.getpid())}
        database = asyncio.run(database_of(settings))
        if database.pids is not None:
            pids[DATABASE] = database.pids
        yield _Booth(side, instance, stage, CpuMeter(pids), database)
        clear_stage(settings, stage)


async def _measured(
    options: BillingOptions, booths: Mapping[Side, _Booth], progress: Progress
) -> tuple[TurnSeen, ...]:
    """Every load in turn, on and off side by side."""
    turns: list[TurnSeen] = []
    total = options.turns * len(Load) * len(Side)
    async with contextlib.AsyncExitStack() as stack:
        clients = {
            (side, stream): await stack.enter_async_context(
                _client(booth, options.calls_at_once, stream=stream)
            )
            for side, booth in booths.items()
            for stream in (True, False)
        }
        for (side, _), client in clients.items():
            warm = await client.closed_loop(options.calls_at_once, min(WARM_S, options.seconds))
            booths[side].warmed += warm.good
        for load in Load:
            for _ in range(options.turns):
                for side, booth in booths.items():
                    progress("measure", len(turns), total)
                    turns.append(await _turn(options, booth, clients[side, load.stream], load))
    progress("measure", total, total)
    return tuple(turns)


async def _turn(options: BillingOptions, booth: _Booth, client: LoadClient, load: Load) -> TurnSeen:
    booth.meter.start()
    begun_us = _now_us()
    if load is Load.RATE:
        seen = await client.at_rate(options.calls_per_s, options.seconds)
    else:
        seen = await client.closed_loop(options.calls_at_once, options.seconds)
    wall_us = _now_us() - begun_us
    await asyncio.sleep(options.tail_s)
    return TurnSeen(
        side=booth.side,
        load=load,
        calls=seen.good,
        failed=seen.failed,
        unsent=seen.unsent,
        wall_us=wall_us,
        ran_ns=booth.meter.stop(),
        first_us=_middle(seen.first_us),
        whole_us=_middle(seen.whole_us),
    )


def _middle(times_us: list[int]) -> tuple[int, int]:
    return quantile(times_us, 50), quantile(times_us, 99)


def _client(booth: _Booth, calls_at_once: int, *, stream: bool) -> LoadClient:
    ask = json_ask(
        CHAT,
        booth.stage.keys[KEY].secret,
        {
            "model": booth.stage.model(None).name,
            "messages": [{"role": "user", "content": PROMPT}],
            "max_completion_tokens": ANSWER_TOKENS,
            "stream": stream,
        },
    )
    address = booth.instance.replicas[0].address
    sent = kept_bytes(ask, address)
    return LoadClient((address,), lambda _: sent, calls_at_once + LINES_SPARE, _now_us)


def _books(booth: _Booth, turns: tuple[TurnSeen, ...]) -> SideBooks:
    """After a stop, which tells the ledger everything."""
    booth.instance.stop()
    calls = booth.warmed + sum(turn.calls for turn in turns if turn.side is booth.side)
    books = asyncio.run(read_books(booth.instance.settings(), booth.stage.orgs[ORG]))
    return SideBooks(side=booth.side, calls=calls, books=books)


def _now_us() -> int:
    return time.monotonic_ns() // 1000
