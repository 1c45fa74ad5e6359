"""The embedded engine's child is killed, stopped and orphaned; the gateway's side must not mind."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.turns import Recorder, turn_of
from tests.support.weights import smollm2
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import FormatKind, OutputFormat, Sampling, Turn
from tokenbooth.engines.embedded.engine import EmbeddedEngine
from tokenbooth.engines.embedded.values import EmbeddedOptions

ROOT = Path(__file__).resolve().parents[3]
WAIT_S = 120
# Far above one step, also on a busy machine.
HANG_S = 6


def long_story() -> Turn:
    """Greedy, this model never comes to its end; sampled, it sometimes does after 200 tokens."""
    return turn_of(
        "Tell a very long story.", output_tokens_max=2000, sampling=Sampling(temperature=0.0)
    )


def short() -> Turn:
    return turn_of("Say hi.", output_tokens_max=8, sampling=Sampling(temperature=0.0))


@asynccontextmanager
async def opened(**options: object) -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine(EmbeddedOptions(str(smollm2()), **options))  # type: ignore[arg-type]
    await engine.open()
    try:
        yield engine
    finally:
        await engine.close()


@dataclass(frozen=True)
class Shared:
    """An open engine for tests that must leave it as they found it, and its event loop."""

    engine: EmbeddedEngine
    runner: asyncio.Runner


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    with asyncio.Runner() as runner:
        engine = EmbeddedEngine(EmbeddedOptions(str(smollm2())))
        runner.run(engine.open())
        yield Shared(engine, runner)
        runner.run(engine.close())


async def until(done: Callable[[], bool]) -> None:
    """Wait for something that tells no event, such as another process."""
    async with asyncio.timeout(WAIT_S):
        while not done():
            await asyncio.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Dead; a dead one that nobody has reaped yet counts too."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True
    return "\nState:\tZ" in status


def is_reaped(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def started(engine: EmbeddedEngine, turn: Turn) -> Recorder:
    """A run that has already said something."""
    recorder = Recorder()
    engine.start(turn, recorder)
    await recorder.until(lambda r: bool(r.deltas) or r.is_over)
    assert recorder.problem is None
    return recorder


async def answered(engine: EmbeddedEngine) -> Recorder:
    recorder = Recorder()
    engine.start(short(), recorder)
    return await recorder.over()


def test_a_killed_child_fails_its_runs_and_comes_back_leaking_nothing(
    new_children: Callable[[], list[int]],
) -> None:
    async def work() -> None:
        async with opened(backoff_first_s=0) as engine:
            before = open_descriptors()
            for round_ in range(2):
                recorders = [await started(engine, long_story()) for _ in range(3)]
                pid = engine.child_pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                for recorder in recorders:
                    await recorder.over()
                    assert recorder.problem is not None
                    assert recorder.problem.code is Code.ENGINE_FAILED
                early = await answered(engine)
                assert early.problem is not None
                assert early.problem.code is Code.ENGINE_NOT_READY
                assert early.problem.retry_after_s
                assert not (await engine.health()).ready
                await until(lambda: engine.child_pid is not None)
                assert engine.child_pid != pid
                assert is_gone(pid)
                assert engine.restarts == round_ + 1
                assert (await answered(engine)).text()
            gc.collect()
            await until(lambda: open_descriptors() == before)
            pid = engine.child_pid
        assert pid is not None
        assert is_reaped(pid)
        assert new_children() == []

    asyncio.run(work())


def test_a_hanging_child_is_found_killed_and_replaced() -> None:
    async def work() -> None:
        async with opened(hang_after_s=HANG_S, backoff_first_s=0) as engine:
            recorder = await started(engine, long_story())
            pid = engine.child_pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            await recorder.over()
            assert recorder.problem is not None
            assert recorder.problem.code is Code.ENGINE_FAILED
            assert "said nothing for" in recorder.problem.detail
            await until(lambda: engine.child_pid not in (None, pid))
            assert is_reaped(pid)
            assert (await answered(engine)).text()

    asyncio.run(work())


def test_a_child_that_hangs_while_idle_is_found_by_the_next_run() -> None:
    async def work() -> None:
        async with opened(hang_after_s=HANG_S, backoff_first_s=0) as engine:
            assert engine.child_pid is not None
            os.kill(engine.child_pid, signal.SIGSTOP)
            assert (await engine.health()).ready
            recorder = await answered(engine)
            assert recorder.problem is not None
            await until(lambda: engine.child_pid is not None)
            assert (await answered(engine)).text()

    asyncio.run(work())


ORPHAN = """
import asyncio, os, sys
from tests.support.turns import Recorder, turn_of
from tokenbooth.core.turn import Sampling
from tokenbooth.engines.embedded.engine import EmbeddedEngine
from tokenbooth.engines.embedded.values import EmbeddedOptions

async def work():
    engine = EmbeddedEngine(EmbeddedOptions(sys.argv[1]))
    if sys.argv[2] == "loading":
        opening = asyncio.create_task(engine.open())
        while engine._supervisor._keeper is None:
            await asyncio.sleep(0)
        await asyncio.sleep(0.3)
        pid = os.getpid()
        children = open(f"/proc/self/task/{pid}/children").read()
        print(children.split()[0], flush=True)
        await asyncio.sleep(600)
    await engine.open()
    recorder = Recorder()
    story = turn_of(
        "Tell a very long story.", output_tokens_max=4000, sampling=Sampling(temperature=0.0)
    )
    engine.start(story, recorder)
    await recorder.until(lambda r: len(r.deltas) > 2)
    print(engine.child_pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(work())
"""


@pytest.mark.parametrize("stage", ["working", "loading"])
def test_the_child_dies_with_a_killed_gateway(stage: str) -> None:
    command = [sys.executable, "-c", ORPHAN, str(smollm2()), stage]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as gateway:
        assert gateway.stdout is not None
        pid = int(gateway.stdout.readline())
        assert not is_gone(pid)
        gateway.kill()
        gateway.wait()
    asyncio.run(until(lambda: is_gone(pid)))
    assert is_gone(pid)


def test_cancel_in_a_long_prompt_frees_the_engine_for_others(shared: Shared) -> None:
    engine = shared.engine

    async def work() -> None:
        recorder, other = Recorder(), Recorder()
        run = engine.start(turn_of("word " * 4000, output_tokens_max=50), recorder)
        engine.start(short(), other)
        await until(lambda: engine.busy)
        run.cancel()
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.cancelled
        assert recorder.end.usage is not None
        assert recorder.end.usage.output_tokens == 0
        assert (await other.over()).text()
        await until(lambda: not engine.busy)

    shared.runner.run(work())


def test_cancelled_runs_tell_what_was_made_until_then(shared: Shared) -> None:
    engine = shared.engine

    async def work() -> None:
        recorder = Recorder()

        def hang_up(delta: Delta) -> None:
            if len(recorder.deltas) == 5:
                run.cancel()

        recorder.on_delta = hang_up
        run = engine.start(long_story(), recorder)
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.usage is not None
        made = recorder.end.usage.output_tokens
        # The engine may have made a step or two more while the word was on its way.
        assert recorder.output_tokens <= made <= recorder.output_tokens + 8

    shared.runner.run(work())


SCHEMAS = {
    "wild": '{"type":"object","properties":{"a":{"type":"string","maxLength":900}},'
    '"required":["a"]}',
    "wide": '{"type":"object","properties":{'
    + ",".join(f'"key{n}":{{"type":"integer","minimum":{-n},"maximum":{n}}}' for n in range(60))
    + "}}",
    "recursive": '{"type":"object","properties":{"next":{"$ref":"#"},"n":{"type":"integer"}}}',
    "literals": '{"enum":[' + ",".join(f'"word{n}"' for n in range(900)) + "]}",
    "deep": '{"type":"array","items":' * 25 + '{"type":"null"}' + "}" * 25,
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_no_schema_stops_the_engine(name: str, shared: Shared) -> None:
    engine = shared.engine

    async def work() -> None:
        form = OutputFormat(FormatKind.JSON_SCHEMA, "it", SCHEMAS[name])
        recorder = Recorder()
        engine.start(turn_of("JSON.", output_format=form, output_tokens_max=12), recorder)
        await recorder.over()
        assert recorder.problem is None
        assert (await answered(engine)).text()
        assert engine.restarts == 0

    shared.runner.run(work())


def test_a_file_that_openvino_cannot_open_is_told_and_leaves_nothing(
    tmp_path: Path, new_children: Callable[[], list[int]]
) -> None:
    broken = tmp_path / "broken.gguf"
    with smollm2().open("rb") as whole:
        broken.write_bytes(whole.read(3_000_000))

    async def work() -> None:
        engine = EmbeddedEngine(EmbeddedOptions(str(broken)))
        with pytest.raises(Problem) as caught:
            await engine.open()
        assert caught.value.code is Code.ENGINE_NOT_READY
        assert not (await engine.health()).ready
        assert new_children() == []
        await engine.close()

    asyncio.run(work())
