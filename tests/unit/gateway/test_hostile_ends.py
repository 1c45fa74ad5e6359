"""Ends under attack: stalling readers, lying engines, a late stop."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import INPUT_PICO, OUTPUT_PICO, MemorySink, chat, open_test_booth
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import Fault, ScriptOptions, UsageFault

HANG = ScriptOptions(fault=Fault.HANG, fault_after_chunks=3)


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


def cost_nano(input_tokens: int, output_tokens: int) -> int:
    return (input_tokens * INPUT_PICO + output_tokens * OUTPUT_PICO) // 1000


def error(sink: MemorySink) -> tuple[int | None, str]:
    return sink.status, sink.document["error"]["code"]


def test_a_reader_that_stalls_until_the_time_is_over_pays_for_what_it_got(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG, run_max_s=1, heartbeat_s=1) as booth:
            sink = MemorySink()

            def stall(chunk: bytes) -> None:
                sink.listener.pressure(True)
                sink.listener.pressure(False)
                booth.clock.us += 2_000_000

            sink.on_write = stall
            await booth.ask(chat(stream=True), sink=sink)
            assert sink.events[-1]["error"]["code"] == "run_timeout"
            record = await booth.record()
            assert record.outcome is Outcome.TIMED_OUT
            assert record.usage is not None
            assert record.cost_nano == cost_nano(
                record.usage.input_tokens, record.usage.output_tokens
            )
            assert record.usage.output_tokens > 0
            await booth.verified()

    in_loop(scenario)


def test_usage_that_cannot_be_true_is_bounded_and_leaves_no_hold(tmp_path: Path):
    lying = ScriptOptions(usage=UsageFault.NEGATIVE)

    async def scenario():
        async with open_test_booth(tmp_path, lying) as booth:
            for stream in (False, True):
                assert (await booth.ask(chat(stream=stream))).status == 200
                record = await booth.record()
                assert record.usage is not None
                assert record.usage.source.value == "bound"
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


class Branded(ScriptedEngine):
    """Names its configuration in a way that no database takes."""

    def start(self, turn, sink):
        class Ear:
            delta, failed = sink.delta, sink.failed

            @staticmethod
            def ended(end):
                sink.ended(replace(end, fingerprint="a\0b"))

        return super().start(turn, Ear())


def test_a_fingerprint_that_cannot_be_stored_stops_no_settlement(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, engines={"0": Branded()}) as booth:
            sink = await booth.ask(chat())
            assert (sink.status, "system_fingerprint" in sink.document) == (200, False)
            assert (await booth.record()).fingerprint is None

    in_loop(scenario)


def test_a_stream_whose_settlement_breaks_still_gets_its_terminal_event(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:

            async def broken(op, ending):
                raise RuntimeError("a bug of ours")

            booth.rooms.till.settle = broken  # type: ignore[method-assign]
            sink = MemorySink()
            with pytest.raises(RuntimeError):
                await booth.ask(chat(stream=True), sink=sink)
            assert sink.events[-1]["error"]["code"] == "internal_error"
            assert sink.ends == 1

    in_loop(scenario)


def test_what_waits_in_the_queue_at_a_stop_never_runs(tmp_path: Path):
    narrow = {"concurrency_max": 1, "queue_max": 5}

    async def scenario():
        async with open_test_booth(tmp_path, HANG, deployment=narrow) as booth:
            first, live = MemorySink(), booth.rooms.live
            running = asyncio.create_task(booth.ask(chat(stream=True), sink=first))
            while not first.started:
                await asyncio.sleep(0)
            waiting = [asyncio.create_task(booth.ask(chat(stream=True))) for _ in range(3)]
            while sum(booth.rooms.gates.waiting().values()) < 3:
                await asyncio.sleep(0)
            assert live.stop_all(Problem(Code.SHUTTING_DOWN, "stopped")) == 1
            await running
            for refused in await asyncio.gather(*waiting):
                assert error(refused) == (503, "server_shutting_down")
            with pytest.raises(Problem, match="belongs to this organization"):
                await booth.record(2)  # it never held money
            assert first.events[-1]["error"]["code"] == "server_shutting_down"
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_a_caller_that_hangs_up_in_the_queue_leaves_it(tmp_path: Path):
    narrow = {"concurrency_max": 1, "queue_max": 1}

    async def scenario():
        async with open_test_booth(tmp_path, HANG, deployment=narrow) as booth:
            first, second = MemorySink(), MemorySink()
            running = asyncio.create_task(booth.ask(chat(stream=True), sink=first))
            while not first.started:
                await asyncio.sleep(0)
            waiting = asyncio.create_task(booth.ask(chat(stream=True), sink=second))
            while second.listener is None:
                await asyncio.sleep(0)
            second.listener.pressure(True)
            second.listener.gone()
            assert error(await waiting) == (503, "engine_overloaded")
            assert sum(booth.rooms.gates.waiting().values()) == 0
            with pytest.raises(Problem, match="belongs to this organization"):
                await booth.record(2)
            first.listener.gone()
            await running

    in_loop(scenario)
