"""Runs the benchmark of one hot account: both ways turn by turn, then the servers themselves."""

import asyncio
import os
import secrets
import tempfile
import time
from pathlib import Path

from tokenbooth.edge.loop import run_on_fast_loop
from tokenbooth.proving.asking import CHAT
from tokenbooth.proving.bench.books import (
    Database,
    database_of,
    machine_load,
    read_books,
)
from tokenbooth.proving.bench.cpu import CpuMeter, Pids, alone, check_counted
from tokenbooth.proving.bench.figures import quantile
from tokenbooth.proving.bench.hot_account.plan import (
    ANSWER_TOKENS,
    KEY,
    ORG,
    PROMPT,
    GatewayPlan,
    HotOptions,
    HotSaw,
    HotTurn,
    HttpTurn,
    TurnPlan,
    Way,
)
from tokenbooth.proving.bench.hot_account.report import HotReport
from tokenbooth.proving.bench.hot_account.team import Team, gathered
from tokenbooth.proving.bench.load import LoadClient, kept_bytes
from tokenbooth.proving.client import json_ask
from tokenbooth.proving.drills.play import Progress, ended_by_signal
from tokenbooth.proving.instance import PrivateInstance
from tokenbooth.proving.stage import Stage
from tokenbooth.proving.staging import clear_stage, set_stage

CLIENT, DATABASE = "client", "database"
# The database's own line of a log for each call is wanted by nobody here.
SETTINGS = {"log.level": "warning"}


def run_hot_account(options: HotOptions, progress: Progress) -> HotReport:
    """Blocks until done; every process that it starts ends with it.

    Raises Problem STATE_CONFLICT where CPU time is not counted, and InstanceFault.
    """
    check_counted()
    with (
        ended_by_signal(),
        tempfile.TemporaryDirectory(prefix="tokenbooth-bench-") as made,
        PrivateInstance(
            Path(made) / "instance",
            store_url=options.store_url,
            settings=SETTINGS,
            replicas=options.replicas,
        ) as instance,
    ):
        settings = instance.settings()
        stage = set_stage(settings, options.stage, secrets.token_hex(4))
        database = asyncio.run(database_of(settings))
        bench = _Bench(options, instance, stage, database, progress)
        saw = bench.run()
        clear_stage(settings, stage)
    return HotReport(
        options=options,
        store=database.name,
        synced=database.synced,
        machine_load=machine_load(os.getloadavg()),
        saw=saw,
    )


class _Bench:
    """One benchmark over one instance."""

    def __init__(
        self,
        options: HotOptions,
        instance: PrivateInstance,
        stage: Stage,
        database: Database,
        progress: Progress,
    ) -> None:
        self._options = options
        self._instance = instance
        self._stage = stage
        self._database = database
        self._progress = progress

    def run(self) -> HotSaw:
        settings, org = self._instance.settings(), self._stage.orgs[ORG]
        plans = [
            GatewayPlan(
                data_dir=str(self._instance.data_dir),
                replica=f"bench-{number}",
                secret=self._stage.keys[KEY].secret,
                model=self._stage.model(None).name,
                callers=self._options.callers,
            )
            for number in range(self._options.replicas)
        ]
        with gathered(plans, self._instance.variables, self._instance.data_dir) as team:
            turns = tuple(self._turns(team))
        books = asyncio.run(read_books(settings, org))
        http = None
        if self._options.http:
            self._progress("http", 0, 1)
            self._instance.start()
            http = run_on_fast_loop(self._http())
            self._instance.stop()
            self._progress("http", 1, 1)
        return HotSaw(
            turns=turns, books=books, http=http, http_books=asyncio.run(read_books(settings, org))
        )

    def _turns(self, team: Team) -> list[HotTurn]:
        """Both ways in alternation, after a moment in which connections are opened."""
        turns: list[HotTurn] = []
        total = self._options.turns * len(Way)
        for _ in range(self._options.turns):
            for way in Way:
                self._progress("measure", len(turns), total)
                turns.append(self._turn(team, TurnPlan(way=way, seconds=self._options.seconds)))
        self._progress("measure", total, total)
        return turns

    def _turn(self, team: Team, plan: TurnPlan) -> HotTurn:
        names = [str(pid) for pid in team.pids]
        meter = self._meter({name: alone(pid) for name, pid in zip(names, team.pids, strict=True)})
        meter.start()
        saws = team.turn(plan)
        ran = meter.stop()
        return HotTurn(
            way=plan.way,
            saws=saws,
            gateways_ns=tuple(ran[name] for name in names),
            database_ns=ran.get(DATABASE),
        )

    def _meter(self, pids: dict[str, Pids]) -> CpuMeter:
        database = self._database.pids
        return CpuMeter(pids if database is None else {**pids, DATABASE: database})

    async def _http(self) -> HttpTurn:
        """The same account through every server, with as many callers."""
        replicas = self._instance.replicas
        pids = {replica.name: replica.pid for replica in replicas}
        ask = json_ask(
            CHAT,
            self._stage.keys[KEY].secret,
            {
                "model": self._stage.model(None).name,
                "messages": [{"role": "user", "content": PROMPT}],
                "max_completion_tokens": ANSWER_TOKENS,
                "stream": True,
            },
        )
        sent = {replica.address: kept_bytes(ask, replica.address) for replica in replicas}
        callers = self._options.callers * len(replicas)
        own = {CLIENT: alone(os.getpid())}
        meter = self._meter(own | {n: alone(pid) for n, pid in pids.items() if pid is not None})
        addresses = tuple(sent)
        async with LoadClient(addresses, sent.__getitem__, callers, _now_us) as client:
            meter.start()
            begun_us = _now_us()
            seen = await client.closed_loop(callers, self._options.seconds)
            wall_us = _now_us() - begun_us
        ran = meter.stop()
        return HttpTurn(
            calls=seen.good,
            failed=seen.failed,
            wall_us=wall_us,
            first_us=(quantile(seen.first_us, 50), quantile(seen.first_us, 99)),
            whole_us=(quantile(seen.whole_us, 50), quantile(seen.whole_us, 99)),
            gateways_ns=tuple(ran[name] for name in pids if name in ran),
            client_ns=ran[CLIENT],
            database_ns=ran.get(DATABASE),
        )


def _now_us() -> int:
    return time.monotonic_ns() // 1000
