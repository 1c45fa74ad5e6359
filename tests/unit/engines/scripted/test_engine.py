"""The scripted engine on the event loop; time jumps, so delays cost nothing."""

import asyncio
from typing import Any

import pytest

from tests.support.memory_loop import passing, run
from tests.support.turns import Recorder, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import FinishReason, Usage
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import FormatKind, OutputFormat, Turn
from tokenbooth.engines.scripted import AnswerKind, Fault, ScriptedEngine, ScriptOptions, UsageFault
from tokenbooth.engines.scripted.counting import input_tokens_of

LONG_S = 1_000.0


async def opened(**fields: Any) -> ScriptedEngine:
    engine = ScriptedEngine(ScriptOptions(**{"chunks": 4} | fields))
    await engine.open()
    return engine


def played(turn: Turn | None = None, **fields: Any) -> Recorder:
    async def work() -> Recorder:
        engine = await opened(**fields)
        recorder = Recorder()
        engine.start(turn or turn_of(), recorder)
        return await recorder.over()

    return run(work())


def test_a_run_ends_with_its_exact_usage_and_a_fingerprint() -> None:
    recorder = played()
    assert recorder.end is not None
    assert recorder.end.usage == Usage(input_tokens_of(turn_of()), 4)
    assert recorder.end.fingerprint == "scripted"
    assert recorder.output_tokens == 4


def test_default_options_are_enough() -> None:
    async def work() -> Recorder:
        engine = ScriptedEngine()
        await engine.open()
        recorder = Recorder()
        engine.start(turn_of(), recorder)
        return await recorder.over()

    assert run(work()).output_tokens == 16


def test_delays_before_the_first_delta_and_between_deltas() -> None:
    async def work() -> list[float]:
        loop = asyncio.get_running_loop()
        engine = await opened(first_delay_ms=500, chunk_delay_ms=20)
        times: list[float] = []
        recorder = Recorder(on_delta=lambda _: times.append(loop.time()))
        engine.start(turn_of(), recorder)
        await recorder.over()
        return times

    first, *rest = run(work())
    assert first == pytest.approx(0.5, abs=1e-3)
    assert [at - first for at in rest] == pytest.approx([0.02, 0.04, 0.06], abs=1e-3)


def test_reasoning_is_counted_apart() -> None:
    recorder = played(reasoning_tokens=3)
    assert recorder.end is not None
    assert recorder.end.usage is not None
    assert recorder.end.usage.reasoning_tokens == 3
    assert recorder.end.usage.output_tokens == 7


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_failure_after_some_chunks(after: int) -> None:
    recorder = played(fault=Fault.FAIL, fault_after_chunks=after)
    assert len(recorder.deltas) == after
    assert recorder.problem is not None
    assert recorder.problem.code is Code.ENGINE_FAILED


def test_a_failure_after_the_last_chunk_comes_too_late() -> None:
    assert played(fault=Fault.FAIL, fault_after_chunks=4).end is not None


@pytest.mark.parametrize("after", [0, 2])
def test_a_hanging_run_says_nothing_until_it_is_cancelled(after: int) -> None:
    async def work() -> None:
        engine = await opened(fault=Fault.HANG, fault_after_chunks=after)
        recorder = Recorder()
        hanging = engine.start(turn_of(), recorder)
        await passing(LONG_S)
        assert len(recorder.deltas) == after
        assert not recorder.is_over
        hanging.cancel()
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.cancelled
        assert recorder.end.usage is not None
        assert recorder.end.usage.output_tokens == after

    run(work())


@pytest.mark.parametrize("lie", [UsageFault.MISSING, UsageFault.NEGATIVE, UsageFault.TOO_LARGE])
def test_usage_lies(lie: UsageFault) -> None:
    end = played(usage=lie).end
    assert end is not None
    if lie is UsageFault.MISSING:
        assert end.usage is None
    else:
        assert end.usage is not None
        assert not 0 <= end.usage.output_tokens <= 10**9


def test_a_cancel_while_a_delay_runs_ends_at_once() -> None:
    async def work() -> float:
        engine = await opened(first_delay_ms=60_000)
        recorder = Recorder()
        engine.start(turn_of(), recorder).cancel()
        await recorder.over()
        return asyncio.get_running_loop().time()

    assert run(work()) < 1


def test_a_pause_during_a_delay_holds_the_delta() -> None:
    async def work() -> None:
        engine = await opened(chunk_delay_ms=10)
        recorder = Recorder()
        recorder.on_delta = lambda _: going.pause()
        going = engine.start(turn_of(), recorder)
        for count in (1, 2, 3, 4):
            await passing(LONG_S)
            assert len(recorder.deltas) == count
            assert not recorder.is_over
            going.resume()
        await recorder.over()
        assert recorder.end is not None

    run(work())


def test_resume_without_a_pause_and_pause_after_the_end_do_nothing() -> None:
    async def work() -> None:
        engine = await opened()
        recorder = Recorder()
        going = engine.start(turn_of(), recorder)
        going.resume()
        await recorder.over()
        going.pause()
        going.resume()
        going.cancel()
        await recorder.over()
        assert len(recorder.deltas) == 4

    run(work())


def test_a_failure_is_not_held_back_by_a_pause_of_an_engine_that_closes() -> None:
    async def work() -> None:
        engine = await opened()
        recorder = Recorder()
        engine.start(turn_of(), recorder).pause()
        await engine.close()
        await recorder.over()
        assert recorder.problem is not None
        assert recorder.problem.code is Code.ENGINE_FAILED

    run(work())


def test_a_sink_that_cancels_in_the_last_delta_hears_cancelled() -> None:
    async def work() -> None:
        engine = await opened(chunks=1)
        recorder = Recorder()
        recorder.on_delta = lambda _: going.cancel()
        going = engine.start(turn_of(), recorder)
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.cancelled

    run(work())


def test_a_refused_turn_can_be_cancelled() -> None:
    async def work() -> None:
        engine = await opened(features=frozenset())
        recorder = Recorder()
        engine.start(turn_of(choices=2), recorder).cancel()
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.cancelled

    run(work())


def test_a_schema_problem_reaches_the_sink() -> None:
    broken = OutputFormat(FormatKind.JSON_SCHEMA, "it", "{")
    problem = played(turn_of(output_format=broken)).problem
    assert problem is not None
    assert problem.code is Code.INVALID_VALUE


def test_a_prompt_too_long_names_both_numbers() -> None:
    problem = played(turn_of("a " * 50), context_tokens=40).problem
    assert problem is not None
    assert problem.code is Code.CONTEXT_LENGTH_EXCEEDED
    assert problem.facts["context_tokens"] == 40


def test_capabilities_follow_the_options() -> None:
    plain = ScriptedEngine().capabilities
    assert Feature.CACHED_TOKENS not in plain.features
    assert Feature.REASONING_EFFORT not in plain.features
    assert Feature.IMAGES not in plain.features
    assert plain.context_tokens == 8192
    rich = ScriptedEngine(ScriptOptions(cached_tokens=1, reasoning_tokens=1)).capabilities
    assert {Feature.CACHED_TOKENS, Feature.REASONING_EFFORT} <= rich.features


def test_commands_change_one_turn_when_they_are_allowed() -> None:
    turn = turn_of("[script chunks=2 finish=content_filter]")
    obeyed = played(turn, turn_commands=True)
    assert len(obeyed.deltas) == 2
    assert obeyed.finishes == [(0, FinishReason.CONTENT_FILTER)]
    assert len(played(turn).deltas) == 4


@pytest.mark.parametrize("command", ["[script speed=3]", "[script chunks=many]"])
def test_a_command_that_cannot_be_obeyed_is_refused(command: str) -> None:
    problem = played(turn_of(command), turn_commands=True).problem
    assert problem is not None
    assert problem.code in (Code.UNKNOWN_FIELD, Code.INVALID_VALUE)


def test_embeddings_and_their_count() -> None:
    async def work() -> None:
        engine = await opened(embedding_dimensions=5)
        found = await engine.embed(["one two", ""])
        assert [len(vector) for vector in found.vectors] == [5, 5]
        assert found.input_tokens == 2
        assert found.vectors[0][:3] != (await engine.embed(["one two"], 3)).vectors[0]
        assert len((await engine.embed(["one two"], 3)).vectors[0]) == 3
        assert (await engine.counters()).input_tokens == 6
        with pytest.raises(Problem) as caught:
            await engine.embed(["x"], 6)
        assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, "dimensions")
        broken = await opened(fault=Fault.FAIL)
        with pytest.raises(Problem) as caught:
            await broken.embed(["x"])
        assert caught.value.code is Code.ENGINE_FAILED
        bare = await opened(features=frozenset())
        with pytest.raises(Problem) as caught:
            await bare.embed(["x"])
        assert caught.value.code is Code.UNSUPPORTED_FEATURE

    run(work())


def test_a_finished_run_is_forgotten() -> None:
    async def work() -> None:
        engine = await opened()
        recorder = Recorder()
        engine.start(turn_of(), recorder)
        await recorder.over()
        await engine.close()
        assert recorder.problem is None

    run(work())


def test_long_answers_do_not_starve_the_loop() -> None:
    async def work() -> list[str]:
        engine = await opened(chunks=50)
        order: list[str] = []
        recorders = [Recorder(), Recorder()]
        for name, recorder in zip("ab", recorders, strict=True):
            recorder.on_delta = lambda _, name=name: order.append(name)
            engine.start(turn_of(), recorder)
        for recorder in recorders:
            await recorder.over()
        return order

    assert run(work()) == ["a", "b"] * 50


@pytest.mark.parametrize("fault", list(UsageFault))
def test_the_counters_tell_what_was_played_whatever_usage_says(fault: UsageFault) -> None:
    async def work() -> None:
        engine = await opened(usage=fault)
        assert (await engine.counters()).input_tokens == 0
        for _ in range(2):
            recorder = Recorder()
            engine.start(turn_of(), recorder)
            await recorder.over()
        told = await engine.counters()
        assert told.input_tokens == 2 * input_tokens_of(turn_of())
        assert told.output_tokens == 8
        assert not told.shared

    run(work())


def test_a_stopped_run_counts_what_it_played_and_a_failed_one_nothing() -> None:
    async def work() -> None:
        engine = await opened(chunks=100, chunk_delay_ms=10)
        recorder = Recorder()
        cancelled = engine.start(turn_of(), recorder)
        await recorder.until(lambda r: len(r.deltas) == 3)
        cancelled.cancel()
        await recorder.over()
        failed = Recorder()
        engine.start(turn_of(), failed)
        await failed.until(lambda r: len(r.deltas) == 2)
        await engine.close()
        await failed.over()
        told = await engine.counters()
        assert (told.input_tokens, told.output_tokens) == (input_tokens_of(turn_of()), 3)

    run(work())


def test_a_refused_turn_counts_nothing() -> None:
    async def work() -> None:
        engine = await opened(context_tokens=1)
        recorder = Recorder()
        engine.start(turn_of("far too many words"), recorder)
        await recorder.over()
        told = await engine.counters()
        assert (told.input_tokens, told.output_tokens) == (0, 0)

    run(work())


def test_a_fault_of_one_batch_size_shows_there_and_nowhere_else() -> None:
    async def work() -> list[str]:
        fields: dict[str, Any] = {"answer": AnswerKind.TEXT, "text": "fine", "wrong_at_batch": 8}
        engine = await opened(**fields, wrong_percent=100)
        recorders = [Recorder() for _ in range(10)]
        for recorder in recorders:
            engine.start(turn_of(), recorder)
        return ["".join(d.text for d in (await each.over()).deltas) for each in recorders]

    said = run(work())
    assert [text == "fine" for text in said] == [True] * 7 + [False] + [True] * 2
