"""The reconciler over real calls, a real store and the scripted engine's own counters."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.booth import TestBooth, chat, open_test_booth
from tests.support.ops import SilentLog, make_op
from tokenbooth.core.op import Op
from tokenbooth.engines.port import EngineCounters
from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import Fault, ScriptOptions, UsageFault
from tokenbooth.gateway.reconcile import (
    CALL_TOKENS_MAX,
    SETTLE_WAIT_S,
    Reconciler,
    read_counters,
)
from tokenbooth.money.outbox import service as outbox
from tokenbooth.money.reconcile import service as reconcile
from tokenbooth.workers.reconcile import reconcile_loop

HOUR_US = 3_600_000_000


class Stage:
    """A booth, its reconciler, and a clock that passes between looks."""

    def __init__(self, booth: TestBooth, directory: Path) -> None:
        self.booth = booth
        self.directory = directory
        self.log = SilentLog()
        self.op = Op("req_check", booth.clock.now_us, self.log, actor="worker")
        self.pauses: list[float] = []
        self.reconciler = Reconciler(booth.rooms, self._pause, started_us=booth.clock.us)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def call(self, **fields: Any) -> None:
        self.pass_time(1_000_000)
        await self.booth.ask(chat(**{"max_tokens": 4, **fields}))

    def pass_time(self, us: int = HOUR_US) -> None:
        self.booth.clock.us += us

    async def look(self) -> None:
        self.pass_time()
        await self.reconciler.run(self.op, HOUR_US)

    async def latest(self) -> dict[str, reconcile.Result]:
        found = await self.booth.store.read(lambda tx: reconcile.latest(self.op, tx))
        return {result.subject.value: result for result in found}

    async def events(self) -> int:
        page = await self.booth.store.read(
            lambda tx: outbox.page(self.op, tx, outbox.OPERATOR, after=None, limit=50)
        )
        return len(page.events)

    @property
    def faults(self) -> list[str]:
        return [name for name, _ in self.log.faults]


@pytest.fixture
def play(tmp_path: Path):
    def run(scene, *scripts: ScriptOptions, **options: Any) -> None:
        async def work() -> None:
            async with open_test_booth(tmp_path, *scripts, **options) as booth:
                await scene(Stage(booth, tmp_path))

        asyncio.run(work())

    return run


def engine_of(stage: Stage) -> Any:
    (engine,) = stage.booth.rooms.engines._engines.values()
    return engine


def test_real_calls_agree_with_the_engine_and_with_the_ledger(play):
    async def scene(stage: Stage) -> None:
        for fields in ({}, {"stream": True}, {"n": 2}, {"max_tokens": 1}):
            await stage.call(**fields)
        await stage.look()
        found = await stage.latest()
        assert set(found) == {"ledger", "engine"}
        assert all(result.sound for result in found.values())
        body = json.loads(found["engine"].body)
        assert body["calls"] == 4
        assert body["counted_output_tokens"] == body["charged_output_tokens"] > 0
        assert body["counted_input_tokens"] == body["charged_input_tokens"] > 0
        assert (stage.faults, await stage.events()) == ([], 0)
        assert stage.pauses == [SETTLE_WAIT_S]
        assert stage.reconciler.ledger_difference_nano == 0
        assert set(stage.reconciler.engine_differences.values()) == {0}
        assert stage.reconciler.finished_s == stage.booth.clock.us // 1_000_000

    play(scene)


def test_the_engine_worked_more_than_was_charged(play):
    async def scene(stage: Stage) -> None:
        await stage.call()
        engine_of(stage)._tally.count(0, 1)
        await stage.look()
        assert not (await stage.latest())["engine"].sound
        assert stage.faults == ["engine_counts_differ"]
        assert list(stage.reconciler.engine_differences.values()) == [1]
        assert await stage.events() == 1
        await stage.look()
        assert (await stage.latest())["engine"].sound
        assert list(stage.reconciler.engine_differences.values()) == [0]
        assert await stage.events() == 1

    play(scene)


def test_more_was_charged_than_the_engine_did(play):
    async def scene(stage: Stage) -> None:
        await stage.call()
        engine_of(stage)._tally.count(-9, -1)
        await stage.look()
        result = (await stage.latest())["engine"]
        assert not result.sound
        body = json.loads(result.body)
        assert (body["input_difference"], body["output_difference"]) == (-9, -1)

    play(scene)


@pytest.mark.parametrize(
    "script",
    [
        ScriptOptions(fault=Fault.FAIL),
        ScriptOptions(fault=Fault.FAIL, fault_after_chunks=3),
        ScriptOptions(usage=UsageFault.MISSING),
        ScriptOptions(usage=UsageFault.NEGATIVE),
        ScriptOptions(reasoning_tokens=5),
        ScriptOptions(cached_tokens=3),
    ],
)
def test_odd_ends_are_no_difference(play, script):
    async def scene(stage: Stage) -> None:
        await stage.call()
        await stage.call(stream=True)
        await stage.look()
        assert stage.faults == []

    play(scene, script)


def test_a_call_that_moved_to_another_deployment_is_no_difference(play):
    async def scene(stage: Stage) -> None:
        await stage.call()
        await stage.look()
        assert stage.faults == []
        found = await stage.booth.store.read(lambda tx: reconcile.latest(stage.op, tx))
        charged = [json.loads(r.body)["charged_output_tokens"] for r in found if r.deployment_id]
        assert sorted(charged) == [0, 4]

    play(scene, ScriptOptions(fault=Fault.FAIL), ScriptOptions())


def test_a_running_call_is_no_difference(play):
    async def scene(stage: Stage) -> None:
        running = asyncio.create_task(stage.call(max_tokens=400))
        while not len(stage.booth.rooms.live):
            await asyncio.sleep(0)
        await stage.look()
        assert stage.faults == []
        body = json.loads((await stage.latest())["engine"].body)
        assert body["unsure_calls"] == 1
        await running
        await stage.look()
        assert stage.faults == []

    play(scene, ScriptOptions(chunks=400, first_delay_ms=1000))


def test_a_broken_ledger_is_told(play):
    async def scene(stage: Stage) -> None:
        await stage.call()
        await stage.booth.rooms.till.flushed()
        with closing(sqlite3.connect(stage.directory / "tokenbooth.db")) as intruder:
            for (name,) in intruder.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall():
                intruder.execute(f"DROP TRIGGER {name}")
            intruder.execute("UPDATE call_record SET cost_nano = cost_nano - 1")
            intruder.commit()
        await stage.look()
        result = (await stage.latest())["ledger"]
        assert not result.sound
        assert stage.reconciler.ledger_difference_nano == result.difference > 0
        assert "ledger_not_sound" in stage.faults

    play(scene)


def test_the_ledger_is_proved_once_for_all_processes(play):
    async def scene(stage: Stage) -> None:
        await stage.look()
        first = (await stage.latest())["ledger"]
        await stage.reconciler.run(stage.op, HOUR_US)
        assert (await stage.latest())["ledger"] == first
        stage.pass_time(HOUR_US // 2)
        await stage.reconciler.run(stage.op, HOUR_US)
        assert (await stage.latest())["ledger"].until_us > first.until_us

    play(scene)


class SilentEngine(ScriptedEngine):
    """An engine that tells no counters."""

    async def counters(self) -> None:  # type: ignore[override]
        return None


class SharedEngine(ScriptedEngine):
    """As an upstream that others use too, and of which no bound is known."""

    async def counters(self) -> EngineCounters:
        own = await super().counters()
        return EngineCounters("g", own.input_tokens + 100, own.output_tokens + 50, shared=True)


def test_an_engine_that_tells_nothing_is_left_out(play):
    async def scene(stage: Stage) -> None:
        await stage.call()
        await stage.look()
        assert set(await stage.latest()) == {"ledger"}
        assert stage.pauses == []

    play(scene, engines={"0": SilentEngine(ScriptOptions())})


def test_a_shared_engine_needs_two_looks(play):
    async def scene(stage: Stage) -> None:
        await stage.call()
        await stage.look()
        assert set(await stage.latest()) == {"ledger"}
        stage.pass_time()
        await stage.call()
        await stage.look()
        result = (await stage.latest())["engine"]
        assert result.sound
        assert result.replica_id == reconcile.EVERYBODY

    play(scene, engines={"0": SharedEngine(ScriptOptions())})


def test_an_engine_that_is_not_open_is_not_opened(play):
    async def scene(stage: Stage) -> None:
        await stage.look()
        assert set(await stage.latest()) == {"ledger"}

    play(scene)


def test_the_loop_looks_at_everything_each_period(play):
    async def scene(stage: Stage) -> None:
        loop = reconcile_loop(stage.reconciler, lambda: stage.op, 60)
        assert (loop.name, loop.every_ms) == ("reconcile", 60_000)
        await loop.verb()
        assert set(await stage.latest()) == {"ledger"}

    play(scene)


@pytest.mark.parametrize(
    ("engine_tokens", "model_tokens", "expected"),
    [(512, 1024, 512), (None, 1024, 1024), (None, None, CALL_TOKENS_MAX)],
)
def test_a_running_call_is_believed_to_the_context_window(engine_tokens, model_tokens, expected):
    async def told() -> EngineCounters:
        return EngineCounters("g", 1, 2, with_cached=False, rounding_tokens=7)

    capabilities = SimpleNamespace(context_tokens=engine_tokens)
    counted: Any = SimpleNamespace(
        engine=SimpleNamespace(counters=told, capabilities=capabilities),
        model=SimpleNamespace(name="m", context_tokens=model_tokens),
        deployment=SimpleNamespace(id="dep_1"),
        replica_id="main",
        epoch=3,
    )
    reading = asyncio.run(read_counters(make_op(), counted))
    assert reading is not None
    assert reading.call_tokens_max == expected
    assert (reading.replica_id, reading.epoch, reading.generation) == ("main", 3, "g")
    assert (reading.with_cached, reading.rounding_tokens) == (False, 7)
