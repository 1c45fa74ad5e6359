"""The engine port over a child that only exists in the test."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from tests.support.children import FakeLink, Nursery
from tests.support.gguf import tiny_vocabulary, write_gguf
from tests.support.turns import OBJECT_SCHEMA, Recorder, said, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, TokenLogprob, Usage
from tokenbooth.core.features import Capabilities, Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import FormatKind, OutputFormat, Turn
from tokenbooth.engines.child import reading as module
from tokenbooth.engines.child.engine import ChildEngine, Kind
from tokenbooth.engines.child.frames import (
    Begin,
    Cancel,
    Count,
    Counted,
    Logprob,
    Over,
    Piece,
    Refused,
    Step,
)
from tokenbooth.engines.child.orders import Prompt, ids_of
from tokenbooth.engines.child.reading import Prompts
from tokenbooth.engines.child.rules import ChildPolicy
from tokenbooth.engines.child.supervisor import ChildPlan, Supervisor
from tokenbooth.engines.gguf.tokenizer import Unknown
from tokenbooth.engines.port import Health

FEATURES = frozenset({Feature.JSON_SCHEMA, Feature.LOGPROBS, Feature.TOOLS})
POLICY = ChildPolicy(backoff_first_s=0.0, backoff_max_s=0.0)


class Stage:
    """An open engine, its child's end, and the files behind it."""

    def __init__(self, directory: Path, *, known_template: bool = True) -> None:
        values = tiny_vocabulary()
        if not known_template:
            values["tokenizer.chat_template"] = "{{ messages }}"
        path = write_gguf(directory / "a.gguf", values)
        self.nursery = Nursery()
        plan = ChildPlan("some.module", b"{}", POLICY)
        supervise: Callable[..., Supervisor] = partial(Supervisor, link_to=self.nursery.link_to)
        self.engine = ChildEngine(Kind(FEATURES, plan, path, Unknown.DROPPED), supervise)
        self.link: FakeLink

    async def open(self, context_tokens: int | None = 256) -> None:
        opening = asyncio.create_task(self.engine.open())
        self.link = await self.nursery.ready(context_tokens)
        await opening

    async def begun(self, turn: Turn, recorder: Recorder) -> tuple[Any, Begin]:
        """Start ``turn`` and wait for its order at the child."""
        before = len(self.link.said)
        run = self.engine.start(turn, recorder)
        await self.settle(lambda: len(self.link.said) > before)
        order = self.link.said[-1]
        assert isinstance(order, Begin)
        return run, order

    async def settle(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not done():
                await asyncio.sleep(0)


def play(
    directory: Path, work: Callable[[Stage], Coroutine[Any, Any, None]], **options: Any
) -> None:
    async def scene() -> None:
        stage = Stage(directory, **options)
        await stage.open()
        await work(stage)
        await stage.engine.close()

    asyncio.run(scene())


def test_open_tells_the_smaller_window(tmp_path: Path) -> None:
    async def window(told: int | None) -> int | None:
        stage = Stage(tmp_path)
        assert stage.engine.capabilities == Capabilities(FEATURES)
        await stage.open(told)
        found = stage.engine.capabilities.context_tokens
        await stage.engine.close()
        return found

    assert asyncio.run(window(256)) == 256
    assert asyncio.run(window(4096)) == 512
    assert asyncio.run(window(None)) == 512


def test_a_bad_file_is_refused_before_a_child_is_started(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        (tmp_path / "a.gguf").write_bytes(b"nothing")
        with pytest.raises(Problem) as caught:
            await stage.engine.open()
        assert caught.value.code is Code.INVALID_VALUE
        assert stage.nursery.links == []

    asyncio.run(scene())


def test_a_run_is_deltas_and_the_engines_own_usage(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        recorder = Recorder()
        _, order = await stage.begun(turn_of(), recorder)
        piece = Piece(order.run, 1, "hi", 2, (Logprob("hi", -0.5, (("ho", -1.0),)),))
        stage.link.answer(Step(pieces=(piece,)))
        stage.link.answer(
            Step(
                pieces=(Piece(order.run, 1, "", 1, finish="length"),),
                over=(Over(order.run, 40, 3, 8),),
            )
        )
        await recorder.over()
        logprob = TokenLogprob("hi", -0.5, (("ho", -1.0),))
        assert recorder.deltas == [
            Delta(choice=1, text="hi", logprobs=(logprob,), output_tokens=2),
            Delta(choice=1, output_tokens=1, finish=FinishReason.LENGTH),
        ]
        assert recorder.end == RunEnd(Usage(40, 3, 8), fingerprint="fake")

    play(tmp_path, work)


def test_the_counters_add_up_what_children_told(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        before = await stage.engine.counters()
        for ended in (Over(0, 40, 3, 8), Over(0, 7, 1)):
            recorder = Recorder()
            _, order = await stage.begun(turn_of(), recorder)
            stage.link.answer(Step(over=(structs.replace(ended, run=order.run),)))
            await recorder.over()
        told = await stage.engine.counters()
        assert (before.input_tokens, before.output_tokens) == (0, 0)
        assert (told.input_tokens, told.output_tokens) == (47, 4)
        assert told.generation == before.generation
        assert not told.shared

    play(tmp_path, work)


def test_the_child_gets_the_very_ids_that_were_counted(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        turn = turn_of("hey you")
        counted = await stage.engine.count_input_tokens(turn)
        _, order = await stage.begun(turn, Recorder())
        assert counted.exact
        assert order.input_ids is not None
        assert len(ids_of(order.input_ids)) == counted.tokens
        assert order.messages == ()

    play(tmp_path, work)


def test_a_long_prompt_is_read_away_from_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INLINE_CHARACTERS_MAX", 3)
    threads: list[object] = []
    to_thread = asyncio.to_thread

    async def remembered(work: Callable[[], Any], *rest: Any) -> Any:
        threads.append(work)
        return await to_thread(work, *rest)

    async def work(stage: Stage) -> None:
        monkeypatch.setattr(asyncio, "to_thread", remembered)
        long, short = turn_of("hey hey"), turn_of("hey")
        first = await stage.engine.count_input_tokens(long)
        assert len(threads) == 1
        assert await stage.engine.count_input_tokens(long) == first
        await stage.engine.count_input_tokens(short)
        assert len(threads) == 1

    play(tmp_path, work)


def test_the_child_counts_what_is_not_known_here(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        counting = asyncio.create_task(stage.engine.count_input_tokens(turn_of("hey")))
        await stage.settle(lambda: bool(stage.link.said))
        order = stage.link.said[0]
        assert order == Count(order.ask, (("user", "hey"),))  # type: ignore[union-attr]
        assert stage.engine.busy
        stage.link.answer(Step(counted=(Counted(order.ask, 17),)))  # type: ignore[union-attr]
        assert (await counting).tokens == 17
        assert not stage.engine.busy
        stage.link.answer(Step(counted=(Counted(99, 1),)))
        _, begin = await stage.begun(turn_of("hey"), Recorder())
        assert begin.input_ids is None
        assert begin.messages == (("user", "hey"),)

    play(tmp_path, work, known_template=False)


def test_a_count_that_the_child_refuses_is_told(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        counting = asyncio.create_task(stage.engine.count_input_tokens(turn_of("hey")))
        await stage.settle(lambda: bool(stage.link.said))
        number = stage.link.said[0].ask  # type: ignore[union-attr]
        refused = Refused(number, "INVALID_VALUE", "no such role", "messages")
        stage.link.answer(Step(refused=(refused, refused)))
        with pytest.raises(Problem, match="no such role"):
            await counting

    play(tmp_path, work, known_template=False)


def test_a_count_fails_with_its_child(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        counting = asyncio.create_task(stage.engine.count_input_tokens(turn_of("hey")))
        await stage.settle(lambda: bool(stage.link.said))
        stage.link.die()
        with pytest.raises(Problem) as caught:
            await counting
        assert caught.value.code is Code.ENGINE_FAILED

    play(tmp_path, work, known_template=False)


def test_a_prompt_over_the_window_never_reaches_the_child(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        recorder = Recorder()
        stage.engine.start(turn_of("x" * 300), recorder)
        await recorder.over()
        assert recorder.problem is not None
        assert recorder.problem.code is Code.CONTEXT_LENGTH_EXCEEDED
        assert recorder.problem.facts["context_tokens"] == 256
        assert stage.link.said == []

    play(tmp_path, work)


def test_the_childs_own_finding_of_a_long_prompt_names_both_numbers(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        recorder = Recorder()
        _, order = await stage.begun(turn_of("hey"), recorder)
        refused = Refused(order.run, "CONTEXT_LENGTH_EXCEEDED", "x", input_tokens=700)
        stage.link.answer(Step(refused=(refused,)))
        await recorder.over()
        assert recorder.problem is not None
        assert recorder.problem.facts == {"input_tokens": 700, "context_tokens": 256}

    play(tmp_path, work, known_template=False)


@pytest.mark.parametrize("input_tokens", [None, 5])
def test_a_refusal_of_the_child_is_passed_on(tmp_path: Path, input_tokens: int | None) -> None:
    async def work(stage: Stage) -> None:
        recorder = Recorder()
        _, order = await stage.begun(turn_of(), recorder)
        refused = Refused(order.run, "ENGINE_FAILED", "no room", input_tokens=input_tokens)
        stage.link.answer(Step(refused=(refused,)))
        await recorder.over()
        assert recorder.problem is not None
        assert recorder.problem.code is Code.ENGINE_FAILED
        assert recorder.problem.public == "no room"

    play(tmp_path, work)


@pytest.mark.parametrize(
    ("turn", "code"),
    [
        (turn_of(choices=2), Code.UNSUPPORTED_FEATURE),
        (turn_of(messages=(said("half \ud83d"),)), Code.INVALID_VALUE),
        (
            turn_of(output_format=OutputFormat(FormatKind.JSON_SCHEMA, "it", "no json")),
            Code.INVALID_VALUE,
        ),
    ],
)
def test_what_cannot_be_done_is_refused_here(tmp_path: Path, turn: Turn, code: Code) -> None:
    async def work(stage: Stage) -> None:
        recorder = Recorder()
        stage.engine.start(turn, recorder)
        await recorder.over()
        assert recorder.problem is not None
        assert recorder.problem.code is code
        assert stage.link.said == []
        assert not stage.engine.busy

    play(tmp_path, work)


def test_a_schema_travels_as_a_grammar(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        form = OutputFormat(FormatKind.JSON_SCHEMA, "it", OBJECT_SCHEMA)
        _, order = await stage.begun(turn_of(output_format=form), Recorder())
        assert order.grammar is not None
        assert order.grammar.startswith("root ::= ")

    play(tmp_path, work)


def test_cancel_is_passed_on_once_and_ends_with_the_childs_counts(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        recorder = Recorder()
        run, order = await stage.begun(turn_of(), recorder)
        run.cancel()
        run.cancel()
        assert stage.link.said[1:] == [Cancel(order.run)]
        stage.link.answer(Step(over=(Over(order.run, 40, 2, cancelled=True),)))
        await recorder.over()
        assert recorder.end == RunEnd(Usage(40, 2), cancelled=True, fingerprint="fake")
        told = await stage.engine.counters()
        assert (told.input_tokens, told.output_tokens) == (40, 2)

    play(tmp_path, work)


def test_cancel_before_the_order_left_is_over_at_once(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        recorder = Recorder()
        stage.engine.start(turn_of(), recorder).cancel()
        assert recorder.end == RunEnd(Usage(0, 0), cancelled=True)
        for _ in range(5):
            await asyncio.sleep(0)
        assert stage.link.said == []

    play(tmp_path, work)


def test_cancel_while_the_child_is_being_reaped_ends_with_its_loss(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        recorder = Recorder()
        run, _ = await stage.begun(turn_of(), recorder)
        stage.link.may_stop.clear()
        stage.link.die()
        await stage.settle(lambda: stage.engine.child_pid is None)
        run.cancel()
        assert not recorder.is_over
        stage.link.may_stop.set()
        await recorder.over()
        assert recorder.problem is not None
        assert recorder.problem.code is Code.ENGINE_FAILED

    play(tmp_path, work)


def test_runs_fail_with_their_child_and_the_next_one_works(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        recorder = Recorder()
        await stage.begun(turn_of(), recorder)
        assert stage.engine.busy
        stage.link.die("it was killed")
        await recorder.over()
        assert recorder.problem is not None
        assert recorder.problem.code is Code.ENGINE_FAILED
        assert "it was killed" in recorder.problem.detail
        assert not stage.engine.busy
        early = Recorder()
        stage.engine.start(turn_of(), early)
        await early.over()
        assert early.problem is not None
        assert early.problem.code is Code.ENGINE_NOT_READY
        assert early.problem.retry_after_s is not None
        assert not (await stage.engine.health()).ready
        stage.link = await stage.nursery.ready()
        await stage.settle(lambda: stage.engine.child_pid is not None)
        assert await stage.engine.health() == Health(ready=True, restarts=1)
        await stage.begun(turn_of(), Recorder())

    play(tmp_path, work)


def test_words_about_runs_that_are_over_are_ignored(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        recorder = Recorder()
        _, order = await stage.begun(turn_of(), recorder)
        over = Over(order.run, 1, 0)
        stage.link.answer(Step(over=(over, over), pieces=()))
        stage.link.answer(Step(pieces=(Piece(order.run, 0, "late", 1),), over=(over,)))
        await recorder.over()
        for _ in range(5):
            await asyncio.sleep(0)
        assert recorder.deltas == []
        assert recorder.late == []

    play(tmp_path, work)


def test_a_sink_that_raises_does_not_cut_off_the_others(tmp_path: Path) -> None:
    async def scene() -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

        def fail(delta: Delta) -> None:
            raise ValueError("a bad sink")

        stage = Stage(tmp_path)
        await stage.open()
        bad, good = Recorder(on_delta=fail), Recorder()
        _, first = await stage.begun(turn_of("a"), bad)
        _, second = await stage.begun(turn_of("b"), good)
        pieces = (Piece(first.run, 0, "x", 1), Piece(second.run, 0, "y", 1))
        stage.link.answer(Step(pieces=pieces, over=(Over(second.run, 1, 1),)))
        await good.over()
        assert good.text() == "y"
        assert isinstance(told[0]["exception"], ValueError)
        await stage.engine.close()

    asyncio.run(scene())


def test_close_fails_everything_that_is_going_on(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path, known_template=False)
        await stage.open()
        paused, fresh = Recorder(), Recorder()
        run, order = await stage.begun(turn_of(), paused)
        run.pause()
        stage.link.answer(Step(pieces=(Piece(order.run, 0, "held", 1),)))
        counting = asyncio.create_task(stage.engine.count_input_tokens(turn_of("hey")))
        await stage.settle(lambda: isinstance(stage.link.said[-1], Count))
        stage.engine.start(turn_of(), fresh)
        await stage.engine.close()
        for recorder in (paused, fresh):
            await recorder.over()
            assert recorder.problem is not None
            assert recorder.problem.code is Code.ENGINE_FAILED
        with pytest.raises(Problem):
            await counting
        assert stage.link.stopped
        late = Recorder()
        stage.engine.start(turn_of(), late)
        await late.over()
        assert late.problem is not None
        assert late.problem.code is Code.ENGINE_NOT_READY

    asyncio.run(scene())


def test_embeddings_are_refused(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        with pytest.raises(Problem) as caught:
            await stage.engine.embed(["x"])
        assert caught.value.code is Code.UNSUPPORTED_FEATURE

    play(tmp_path, work)


def test_prompts_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_PROMPTS_MAX", 2)
    monkeypatch.setattr(module, "REMEMBERED_IDS_MAX", 10)
    prompts = Prompts()
    words = [Prompt((("user", str(number)),)) for number in range(4)]
    ids = module.array("I", [1, 2, 3])
    for number in range(3):
        prompts.put(words[number], ids)
        prompts.put(words[number], ids)
    assert [prompts.get(known) is not None for known in words] == [False, True, True, False]
    prompts.put(words[3], module.array("I", range(9)))
    assert [prompts.get(known) is not None for known in words] == [False, False, False, True]
