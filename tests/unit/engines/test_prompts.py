"""Several raw prompts of one turn run one after another, and look like one run."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.turns import Recorder, said, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, RunEnd, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn
from tokenbooth.engines.prompts import PromptsRun, count_input_tokens, single_turns, start
from tokenbooth.engines.scripted import ScriptedEngine, ScriptOptions

THREE = tuple(said(text) for text in ("one", "two more", "three of them"))
RAW = turn_of(messages=THREE, raw=True, choices=6)


def in_loop(scene: Callable[[ScriptedEngine], Awaitable[Any]], **fields: Any) -> Any:
    async def work() -> Any:
        engine = ScriptedEngine(ScriptOptions(**fields))
        await engine.open()
        try:
            return await scene(engine)
        finally:
            await engine.close()

    return asyncio.run(work())


class Far:
    """An engine that is told what to say, and notes what it was asked."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.sink: Any = None
        self.said: list[str] = []

    def start(self, turn: Turn, sink: Any) -> "Far":
        self.turns.append(turn)
        self.sink = sink
        return self

    def cancel(self) -> None:
        self.said.append("cancel")

    def pause(self) -> None:
        self.said.append("pause")

    def resume(self) -> None:
        self.said.append("resume")


class Ear:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def delta(self, delta: Delta) -> None:
        self.heard.append(delta)

    def ended(self, end: RunEnd) -> None:
        self.heard.append(end)

    def failed(self, problem: Problem) -> None:
        self.heard.append(problem)


def begun() -> tuple[Far, Ear, Any]:
    far, ear = Far(), Ear()
    return far, ear, start(far, RAW, ear)  # type: ignore[arg-type]


def test_one_prompt_and_any_chat_are_a_run_of_the_engine_itself() -> None:
    far = Far()
    assert start(far, turn_of(raw=True), Ear()) is far  # type: ignore[arg-type, comparison-overlap]
    chat = turn_of(messages=THREE)
    assert single_turns(chat) == (chat,)
    assert len(single_turns(RAW)) == 3
    assert {each.choices for each in single_turns(RAW)} == {2}


def test_each_prompt_waits_for_the_one_before_and_usage_adds_up() -> None:
    far, ear, run = begun()
    assert isinstance(run, PromptsRun)
    assert [turn.messages[0].text for turn in far.turns] == ["one"]
    far.sink.delta(Delta(choice=1, text="a"))
    far.sink.ended(RunEnd(Usage(1, 2, 1, 0), fingerprint="fp"))
    far.sink.delta(Delta(choice=1, text="b", finish=FinishReason.STOP))
    far.sink.ended(RunEnd(Usage(3, 4, 2, 1)))
    far.sink.ended(RunEnd(Usage(5, 6, 0, 0)))
    assert [turn.messages[0].text for turn in far.turns] == ["one", "two more", "three of them"]
    assert [delta.choice for delta in ear.heard[:2]] == [1, 3]
    assert ear.heard[2:] == [RunEnd(Usage(9, 12, 3, 1), fingerprint="fp")]


@pytest.mark.parametrize(
    ("told", "total"),
    [
        ([Usage(1, 1), None, Usage(1, 1)], None),
        ([Usage(1, 1, 1), Usage(1, 1, None), Usage(1, 1, 0)], Usage(3, 3, None)),
    ],
)
def test_what_one_prompt_does_not_tell_is_not_told(told: list[Any], total: Usage | None) -> None:
    far, ear, _ = begun()
    for usage in told:
        far.sink.ended(RunEnd(usage))
    assert ear.heard == [RunEnd(total)]


def test_a_cancel_starts_no_other_prompt() -> None:
    far, ear, run = begun()
    run.cancel()
    far.sink.ended(RunEnd(Usage(1, 1)))
    assert far.said == ["cancel"]
    assert len(far.turns) == 1
    assert ear.heard == [RunEnd(Usage(1, 1), cancelled=True)]


def test_a_failure_ends_the_turn() -> None:
    far, ear, _ = begun()
    problem = Problem(Code.ENGINE_FAILED, "x")
    far.sink.failed(problem)
    assert ear.heard == [problem]
    assert len(far.turns) == 1


def test_a_pause_holds_for_the_next_prompt_too() -> None:
    far, _, run = begun()
    run.pause()
    far.sink.ended(RunEnd(Usage(1, 1)))
    run.resume()
    far.sink.ended(RunEnd(Usage(1, 1)))
    assert far.said == ["pause", "pause", "resume"]


def test_the_scripted_engine_counts_what_it_charges() -> None:
    async def scene(engine: ScriptedEngine) -> tuple[Any, Recorder]:
        recorder = Recorder()
        start(engine, RAW, recorder)
        return await count_input_tokens(engine, RAW), await recorder.over()

    (counted, longest), recorder = in_loop(scene, chunks=3)
    assert recorder.end is not None
    assert recorder.end.usage is not None
    assert (counted.tokens, longest, counted.exact) == (6, 3, True)
    assert recorder.end.usage.input_tokens == 6
    assert {delta.choice for delta in recorder.deltas} == set(range(6))


def test_others_go_on_while_many_texts_are_counted() -> None:
    async def scene(engine: ScriptedEngine) -> None:
        many = turn_of(messages=THREE * 20, raw=True, choices=60)
        counting = asyncio.create_task(count_input_tokens(engine, many))
        turns = 0
        while not counting.done():
            turns += 1
            await asyncio.sleep(0)
        assert turns >= 60
        assert counting.result()[0].tokens == 120

    in_loop(scene)


def test_a_raw_prompt_is_not_thought_about() -> None:
    async def scene(engine: ScriptedEngine) -> Recorder:
        recorder = Recorder()
        engine.start(turn_of(raw=True), recorder)
        return await recorder.over()

    recorder = in_loop(scene, chunks=2, reasoning_tokens=4)
    assert not any(delta.reasoning for delta in recorder.deltas)
