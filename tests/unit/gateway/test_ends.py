"""Every way in which a call ends: one outcome, the right charge, no hold left behind."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import INPUT_PICO, OUTPUT_PICO, MemorySink, chat, open_test_booth
from tokenbooth.access.keys import service as keys
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, RunEnd, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import AnswerKind, Fault, ScriptOptions, UsageFault
from tokenbooth.money.meter import service as meter

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


def test_a_reader_that_leaves_pays_for_what_it_got(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            sink = MemorySink()

            def leave(chunk: bytes) -> None:
                if sink.body.count(b'"content"') >= 3:
                    sink.listener.gone()

            sink.on_write = leave
            await booth.ask(chat(stream=True), sink=sink)
            record = await booth.record()
            assert record.outcome is Outcome.CLIENT_GONE
            assert record.usage is not None
            assert 1 <= record.usage.output_tokens <= 3
            assert record.cost_nano == cost_nano(
                record.usage.input_tokens, record.usage.output_tokens
            )
            assert await booth.spent_nano() == record.cost_nano
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_a_whole_answer_that_nobody_waits_for_costs_nothing(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            sink = MemorySink()
            running = asyncio.create_task(booth.ask(chat(), sink=sink))
            while sink.listener is None or sink.listener.first_output_us is None:
                await asyncio.sleep(0)
            sink.listener.gone()
            await running
            record = await booth.record()
            assert (record.outcome, record.cost_nano) == (Outcome.CLIENT_GONE, 0)

    in_loop(scenario)


def test_an_engine_that_fails_before_output_costs_nothing(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, ScriptOptions(fault=Fault.FAIL)) as booth:
            for stream in (False, True):
                sink = await booth.ask(chat(stream=stream))
                assert error(sink) == (502, "engine_failed")
                record = await booth.record()
                assert (record.outcome, record.cost_nano) == (Outcome.ENGINE_FAILED, 0)
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_an_engine_that_fails_in_a_stream_ends_it_with_one_error_event(tmp_path: Path):
    broken = ScriptOptions(fault=Fault.FAIL, fault_after_chunks=2)

    async def scenario():
        async with open_test_booth(tmp_path, broken) as booth:
            sink = await booth.ask(chat(stream=True))
            assert sink.status == 200
            assert sink.events[-1]["error"]["code"] == "engine_failed"
            assert "[DONE]" not in sink.events
            assert await booth.spent_nano() == 0
            (line,) = await booth.store.read(
                lambda tx: meter.usage(booth.op, tx, booth.org_id, 0, 2 * booth.clock.us)
            )
            assert (line.calls, line.usage.input_tokens, line.usage.output_tokens) == (1, 0, 0)

    in_loop(scenario)


def test_another_deployment_answers_when_the_first_fails_before_output(tmp_path: Path):
    good = ScriptOptions(answer=AnswerKind.TEXT, text="from the second")

    async def scenario():
        async with open_test_booth(tmp_path, ScriptOptions(fault=Fault.FAIL), good) as booth:
            sink = await booth.ask(chat())
            text = sink.document["choices"][0]["message"]["content"]
            assert (sink.status, text) == (200, "from the second")
            assert (await booth.record()).outcome is Outcome.COMPLETED
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_after_output_no_other_deployment_is_tried(tmp_path: Path):
    broken = ScriptOptions(fault=Fault.FAIL, fault_after_chunks=2)

    async def scenario():
        async with open_test_booth(tmp_path, broken, ScriptOptions()) as booth:
            sink = await booth.ask(chat(stream=True))
            assert sink.events[-1]["error"]["code"] == "engine_failed"

    in_loop(scenario)


def test_a_full_second_deployment_is_a_clear_refusal(tmp_path: Path):
    narrow = {"concurrency_max": 1, "queue_max": 0}

    async def scenario():
        broken = ScriptOptions(fault=Fault.FAIL)
        async with open_test_booth(tmp_path, broken, HANG, deployment=narrow) as booth:
            first = MemorySink()
            running = asyncio.create_task(booth.ask(chat(stream=True), sink=first))
            while not first.started:
                await asyncio.sleep(0)
            assert error(await booth.ask(chat())) == (503, "engine_overloaded")
            first.listener.gone()
            await running
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_usage_that_an_engine_does_not_send_is_bounded_and_said_to_be(tmp_path: Path):
    silent = ScriptOptions(usage=UsageFault.MISSING, chunks=4)

    async def scenario():
        async with open_test_booth(tmp_path, silent) as booth:
            sink = await booth.ask(chat())
            record = await booth.record()
            text = sink.document["choices"][0]["message"]["content"]
            assert record.usage is not None
            assert record.usage.output_tokens == len(text.encode())
            assert record.usage.source.value == "bound"
            await booth.verified()

    in_loop(scenario)


def test_usage_above_the_hold_is_the_operators_loss(tmp_path: Path):
    lying = ScriptOptions(usage=UsageFault.TOO_LARGE)

    async def scenario():
        async with open_test_booth(tmp_path, lying) as booth:
            await booth.ask(chat(max_tokens=20))
            record = await booth.record()
            assert record.cost_nano == record.held_nano
            assert record.operator_loss_nano > 0
            await booth.verified()

    in_loop(scenario)


def test_a_call_that_runs_too_long_is_ended_and_costs_nothing(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG, run_max_s=1, heartbeat_s=1) as booth:
            sink = MemorySink()

            def overdue(chunk: bytes) -> None:
                booth.clock.us += 2_000_000

            sink.on_write = overdue
            await booth.ask(chat(stream=True), sink=sink)
            assert sink.events[-1]["error"]["code"] == "run_timeout"
            record = await booth.record()
            assert (record.outcome, record.cost_nano) == (Outcome.TIMED_OUT, 0)

    in_loop(scenario)


def test_a_revoked_key_ends_its_running_stream_and_pays_for_what_it_got(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, HANG) as booth:
            sink = MemorySink()
            running = asyncio.create_task(booth.ask(chat(stream=True), sink=sink))
            while sink.body.count(b'"content"') < 2:
                await asyncio.sleep(0)
            await booth.store.write(lambda tx: keys.revoke(booth.op, tx, booth.key_id))
            problem = Problem(Code.REVOKED_KEY, "revoked")
            assert booth.rooms.live.stop_keys({booth.key_id}, problem) == 1
            await running
            assert sink.events[-1]["error"]["code"] == "revoked_api_key"
            record = await booth.record()
            assert record.outcome is Outcome.KEY_REVOKED
            assert record.cost_nano == await booth.spent_nano() > 0
            booth.clock.us += 1_000_001  # what is known of a key is never older than a second
            assert error(await booth.ask(chat())) == (401, "revoked_api_key")

    in_loop(scenario)


class Rude(ScriptedEngine):
    """An engine that breaks its own contract."""

    def start(self, turn, sink):
        raise RuntimeError("a bug in an engine")


def test_a_bug_after_the_hold_still_resolves_it(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, engines={"0": Rude()}) as booth:
            with pytest.raises(RuntimeError):
                await booth.ask(chat())
            record = await booth.record()
            assert (record.outcome, record.cost_nano) == (Outcome.ENGINE_FAILED, 0)
            assert (await booth.verified()).open_holds == 0
            assert len(booth.rooms.live) == 0

    in_loop(scenario)


class Overrun(ScriptedEngine):
    """Ignores the output limit."""

    def start(self, turn, sink):
        return super().start(replace(turn, output_tokens_max=None), sink)


def test_an_engine_that_ignores_the_limit_is_stopped_at_it(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, engines={"0": Overrun()}) as booth:
            sink = await booth.ask(chat(max_tokens=5))
            choice = sink.document["choices"][0]
            assert choice["finish_reason"] == "length"
            record = await booth.record()
            assert record.cost_nano <= record.held_nano
            await booth.verified()

    in_loop(scenario)


def test_many_calls_at_once_leave_an_exact_ledger(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, deployment={"concurrency_max": 64}) as booth:
            sinks = await asyncio.gather(
                *(booth.ask(chat(stream=i % 2 == 0, max_tokens=1 + i % 9)) for i in range(60))
            )
            assert {s.status for s in sinks} == {200}
            records = [await booth.record(i + 1) for i in range(60)]
            assert sum(r.cost_nano for r in records) == await booth.spent_nano()
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_calls_racing_for_the_last_money_never_pass_the_cap(tmp_path: Path):
    async def scenario():
        credit_nano = cost_nano(200, 40)
        async with open_test_booth(tmp_path, credit_nano=credit_nano) as booth:
            sinks = await asyncio.gather(*(booth.ask(chat(max_tokens=10)) for _ in range(30)))
            statuses = {s.status for s in sinks}
            assert statuses <= {200, 429}
            assert 200 in statuses
            assert await booth.spent_nano() <= credit_nano
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


class Steady:
    """An engine made of one delta, to see a delta's way without a script."""

    def __init__(self, delta: Delta, usage: Usage) -> None:
        self.inner = ScriptedEngine()
        self.delta, self.usage = delta, usage

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def start(self, turn, sink):
        sink.delta(self.delta)
        sink.ended(RunEnd(self.usage))
        return ScriptedEngine().start(turn, Nowhere())


class Nowhere:
    def delta(self, delta: Delta) -> None: ...

    def ended(self, end: RunEnd) -> None: ...

    def failed(self, problem: Problem) -> None: ...


def test_an_engine_may_answer_before_start_returns(tmp_path: Path):
    async def scenario():
        engine = Steady(Delta(text="now", output_tokens=1), Usage(3, 1))
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:  # type: ignore[dict-item]
            sink = await booth.ask(chat())
            assert sink.document["choices"][0]["message"]["content"] == "now"
            assert await booth.spent_nano() == cost_nano(3, 1)

    in_loop(scenario)
