"""What every engine promises, asked of every engine in the same words.

Where an engine says that it lacks a feature, the test asks for the refusal instead.
"""

import asyncio
import json
import math
from dataclasses import replace

import pytest

from tests.outside.engines.conftest import Arena
from tests.support.turns import OBJECT_SCHEMA, TOOL, UNASKED, Recorder, asking, said, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import (
    FormatKind,
    LogprobsAsk,
    Message,
    OutputFormat,
    Role,
    Sampling,
    TextPart,
    ToolCall,
    ToolChoice,
    ToolMode,
    Turn,
)
from tokenbooth.engines.bounds import turn_tokens_max

LIMIT = 24
GREEDY = Sampling(temperature=0.0)


def short(text: str = "Count from one to ten.", **fields: object) -> Turn:
    return turn_of(text, **{"output_tokens_max": LIMIT, "sampling": GREEDY, **fields})


def refused(arena: Arena, feature: Feature, turn: Turn) -> bool:
    """True, after a look at the refusal, when the engine lacks ``feature``."""
    if arena.has(feature):
        return False
    problem = arena.play(turn).problem
    assert problem is not None
    assert problem.code is Code.UNSUPPORTED_FEATURE
    return True


def test_a_run_is_deltas_and_then_one_end(arena: Arena) -> None:
    recorder = arena.play(short())
    assert recorder.problem is None
    assert recorder.end is not None
    assert not recorder.end.cancelled
    assert recorder.text()
    assert [choice for choice, _ in recorder.finishes] == [0]
    assert recorder.deltas[-1].finish is not None


def test_start_returns_before_the_sink_hears_anything(arena: Arena) -> None:
    async def work() -> None:
        recorder = Recorder()
        arena.engine.start(short(), recorder)
        assert recorder.deltas == []
        assert not recorder.is_over
        await recorder.over()

    arena.run(work())


def test_usage_is_what_was_delivered_and_within_the_limit(arena: Arena) -> None:
    recorder = arena.play(short())
    assert recorder.end is not None
    usage = recorder.end.usage
    assert usage is not None
    assert 0 < usage.output_tokens <= LIMIT
    assert 0 <= usage.reasoning_tokens <= usage.output_tokens
    if arena.entry.deltas_add_up:
        assert recorder.output_tokens == usage.output_tokens
    assert 0 < recorder.output_tokens <= usage.output_tokens


def test_the_engines_own_counters_agree_with_its_usage(arena: Arena) -> None:
    before = arena.run(arena.engine.counters())
    recorder = arena.play(short())
    after = arena.run(arena.engine.counters())
    assert recorder.end is not None
    usage = recorder.end.usage
    assert None not in (usage, before, after)
    assert after.generation == before.generation
    assert after.input_tokens - before.input_tokens == usage.input_tokens
    assert after.output_tokens - before.output_tokens == usage.output_tokens


@pytest.mark.parametrize(
    "messages",
    [
        (said("Hi."),),
        (said("You are brief.", Role.SYSTEM), said("What is 2 + 2?")),
        (said("日本語 🙂 e\u0301 \t\n  x"),),
        (said("a"), said("b", Role.ASSISTANT), said("c"), said("d", Role.ASSISTANT), said("e")),
        (said("word " * 300),),
        (said(""),),
    ],
    ids=["short", "system", "unicode", "many", "long", "empty"],
)
def test_input_is_counted_before_dispatch(arena: Arena, messages: tuple[object, ...]) -> None:
    turn = short(messages=messages)
    count = arena.run(arena.engine.count_input_tokens(turn))
    recorder = arena.play(turn)
    assert recorder.end is not None
    usage = recorder.end.usage
    assert usage is not None
    assert count.tokens <= turn_tokens_max(turn)
    if count.exact:
        assert usage.input_tokens == count.tokens
    assert 0 < usage.input_tokens <= count.tokens


def test_the_output_limit_ends_a_run_with_length(arena: Arena) -> None:
    recorder = arena.play(short("Tell a very long story.", output_tokens_max=3))
    assert recorder.finishes == [(0, FinishReason.LENGTH)]
    assert recorder.end is not None
    assert recorder.end.usage is not None
    assert recorder.end.usage.output_tokens == 3


def test_cached_tokens_are_told_or_none_but_never_too_many(arena: Arena) -> None:
    arena.play(short())
    recorder = arena.play(short())
    assert recorder.end is not None
    usage = recorder.end.usage
    assert usage is not None
    if arena.has(Feature.CACHED_TOKENS):
        assert usage.cached_input_tokens is not None
        assert 0 <= usage.cached_input_tokens <= usage.input_tokens
    else:
        assert usage.cached_input_tokens is None


def test_cancel_ends_the_run_once_and_silences_it(arena: Arena) -> None:
    async def work() -> None:
        recorder = Recorder()

        def hang_up(delta: Delta) -> None:
            if len(recorder.deltas) == 3:
                run.cancel()
                run.cancel()

        recorder.on_delta = hang_up
        run = arena.engine.start(short("Tell a very long story.", output_tokens_max=400), recorder)
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.cancelled
        assert len(recorder.deltas) == 3
        run.cancel()
        await recorder.over()

    arena.run(work())


def test_cancel_before_any_delta(arena: Arena) -> None:
    async def work() -> None:
        recorder = Recorder()
        arena.engine.start(short(), recorder).cancel()
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.cancelled
        assert recorder.deltas == []

    arena.run(work())


def test_a_cancelled_run_leaves_the_engine_well(arena: Arena) -> None:
    async def work() -> None:
        gone = [Recorder() for _ in range(8)]
        for recorder in gone:
            arena.engine.start(short(), recorder).cancel()
        for recorder in gone:
            await recorder.over()

    arena.run(work())
    assert arena.play(short()).text()
    assert arena.run(arena.engine.health()).ready


def test_pause_holds_every_delta_and_resume_loses_none(arena: Arena) -> None:
    expected = arena.play(short()).text()

    async def work() -> str:
        recorder = Recorder()
        recorder.on_delta = lambda _: run.pause() if len(recorder.deltas) == 2 else None
        run = arena.engine.start(short(), recorder)
        await recorder.until(lambda r: len(r.deltas) == 2)
        # Another whole run is the proof that time has passed.
        other = Recorder()
        arena.engine.start(short(), other)
        await other.over()
        assert len(recorder.deltas) == 2
        assert not recorder.is_over
        run.resume()
        await recorder.over()
        assert recorder.end is not None
        return recorder.text()

    assert arena.run(work()) == expected


def test_cancel_while_paused(arena: Arena) -> None:
    async def work() -> None:
        recorder = Recorder()
        recorder.on_delta = lambda _: run.pause()
        run = arena.engine.start(short(), recorder)
        await recorder.until(lambda r: len(r.deltas) == 1)
        run.cancel()
        run.resume()
        await recorder.over()
        assert recorder.end is not None
        assert recorder.end.cancelled
        assert len(recorder.deltas) == 1

    arena.run(work())


def test_a_stop_string_ends_the_text_before_itself(arena: Arena) -> None:
    if refused(arena, Feature.STOP, asking(Feature.STOP)):
        return
    whole = arena.play(short()).text()
    stop = whole[len(whole) // 2 :][:3]
    recorder = arena.play(short(sampling=Sampling(temperature=0.0, stop=(stop, "never said"))))
    assert recorder.text() == whole[: whole.index(stop)]
    assert recorder.finishes == [(0, FinishReason.STOP)]
    assert recorder.end is not None


def test_the_same_seed_says_the_same_again(arena: Arena) -> None:
    if refused(arena, Feature.SEED, asking(Feature.SEED)):
        return

    def answer(seed: int) -> str:
        return arena.play(short(sampling=Sampling(temperature=1.0, seed=seed))).text()

    assert answer(11) == answer(11)
    assert len({answer(seed) for seed in (11, 12, 13)}) > 1


def test_each_choice_is_told_apart_and_finished(arena: Arena) -> None:
    if refused(arena, Feature.CHOICES, asking(Feature.CHOICES)):
        return
    recorder = arena.play(short(choices=3))
    assert {delta.choice for delta in recorder.deltas} == {0, 1, 2}
    assert sorted(choice for choice, _ in recorder.finishes) == [0, 1, 2]
    assert all(recorder.text(choice) for choice in range(3))
    assert recorder.end is not None
    assert recorder.end.usage is not None
    assert LIMIT < recorder.end.usage.output_tokens <= 3 * LIMIT


def test_nothing_follows_the_finish_of_a_choice(arena: Arena) -> None:
    recorder = arena.play(short(choices=2) if arena.has(Feature.CHOICES) else short())
    finished: set[int] = set()
    for delta in recorder.deltas:
        assert delta.choice not in finished
        if delta.finish is not None:
            finished.add(delta.choice)


def test_sixteen_runs_at_once(arena: Arena) -> None:
    async def work() -> list[Recorder]:
        recorders = [Recorder() for _ in range(16)]
        for number, recorder in enumerate(recorders):
            arena.engine.start(short(f"Question {number}?"), recorder)
        return [await recorder.over() for recorder in recorders]

    for recorder in arena.run(work()):
        assert recorder.end is not None
        assert recorder.end.usage is not None
        assert recorder.end.usage.output_tokens > 0
        assert len(recorder.finishes) == 1


@pytest.mark.parametrize("feature", [f for f in Feature if f not in UNASKED])
def test_a_feature_is_honoured_or_refused_by_name(arena: Arena, feature: Feature) -> None:
    recorder = arena.play(replace(asking(feature), output_tokens_max=LIMIT))
    if arena.has(feature):
        assert recorder.problem is None
    else:
        assert recorder.problem is not None
        assert recorder.problem.code is Code.UNSUPPORTED_FEATURE
        assert recorder.problem.param
        assert recorder.deltas == []


def test_a_raw_prompt_gets_no_template(arena: Arena) -> None:
    plain = short()
    raw = replace(plain, raw=True)
    if refused(arena, Feature.RAW_PROMPT, raw):
        return
    counted = arena.run(arena.engine.count_input_tokens(raw))
    assert counted.tokens < arena.run(arena.engine.count_input_tokens(plain)).tokens
    recorder = arena.play(raw)
    assert recorder.end is not None
    assert recorder.end.usage is not None
    assert recorder.end.usage.input_tokens <= counted.tokens
    if counted.exact:
        assert recorder.end.usage.input_tokens == counted.tokens


def test_a_json_schema_is_kept(arena: Arena) -> None:
    form = OutputFormat(FormatKind.JSON_SCHEMA, "it", OBJECT_SCHEMA)
    if refused(arena, Feature.JSON_SCHEMA, asking(Feature.JSON_SCHEMA)):
        return
    answer = json.loads(arena.play(short(output_format=form, output_tokens_max=64)).text())
    assert set(answer) == {"ok"}
    assert isinstance(answer["ok"], bool)


def test_a_json_object_is_an_object(arena: Arena) -> None:
    form = OutputFormat(FormatKind.JSON_OBJECT)
    if refused(arena, Feature.JSON_OBJECT, asking(Feature.JSON_OBJECT)):
        return
    recorder = arena.play(short("Answer in JSON.", output_format=form, output_tokens_max=256))
    if recorder.finishes == [(0, FinishReason.STOP)]:
        assert isinstance(json.loads(recorder.text()), dict)
    else:
        assert recorder.text().lstrip().startswith("{")


@pytest.mark.parametrize(
    "choice", [ToolChoice(ToolMode.REQUIRED), ToolChoice(ToolMode.NAMED, TOOL.name)]
)
def test_a_forced_tool_is_called_with_valid_arguments(arena: Arena, choice: ToolChoice) -> None:
    if refused(arena, Feature.TOOLS, asking(Feature.TOOLS)):
        return
    once = {"parallel_tool_calls": False, "output_tokens_max": 64}
    recorder = arena.play(short(tools=(TOOL,), tool_choice=choice, **once))
    assert recorder.finishes == [(0, FinishReason.TOOL_CALLS)]
    openings = [d.tool_call for d in recorder.deltas if d.tool_call and d.tool_call.id]
    assert [call.name for call in openings] == [TOOL.name]
    assert isinstance(json.loads(recorder.arguments())["ok"], bool)


def test_a_round_with_a_tool_is_read_and_counted_as_any_other(arena: Arena) -> None:
    if refused(arena, Feature.TOOLS, asking(Feature.TOOLS)):
        return
    called = ToolCall("c1", TOOL.name, '{"ok": true}')
    messages = (
        said("What time is it?"),
        Message(Role.ASSISTANT, (), tool_calls=(called,)),
        Message(Role.TOOL, (TextPart("12:34"),), tool_call_id="c1"),
    )
    none = ToolChoice(ToolMode.NONE)
    turn = short(messages=messages, tools=(TOOL,), tool_choice=none)
    count = arena.run(arena.engine.count_input_tokens(turn))
    recorder = arena.play(turn)
    assert recorder.text()
    assert recorder.finishes[0][1] is not FinishReason.TOOL_CALLS
    assert recorder.end is not None
    assert recorder.end.usage is not None
    if count.exact:
        assert recorder.end.usage.input_tokens == count.tokens


def test_logprobs_spell_the_text(arena: Arena) -> None:
    if refused(arena, Feature.LOGPROBS, asking(Feature.LOGPROBS)):
        return
    recorder = arena.play(short(logprobs=LogprobsAsk()))
    found = [token for delta in recorder.deltas for token in delta.logprobs]
    assert "".join(token.text for token in found) == recorder.text()
    assert all(math.isfinite(token.logprob) and token.logprob <= 0 for token in found)


def test_top_logprobs_are_ranked(arena: Arena) -> None:
    if refused(arena, Feature.TOP_LOGPROBS, asking(Feature.TOP_LOGPROBS)):
        return
    recorder = arena.play(short(logprobs=LogprobsAsk(top=4)))
    found = [token for delta in recorder.deltas for token in delta.logprobs]
    assert found
    for token in found:
        logprobs = [logprob for _, logprob in token.alternatives]
        assert 0 < len(logprobs) <= 4
        assert logprobs == sorted(logprobs, reverse=True)


def test_embeddings_come_one_per_text(arena: Arena) -> None:
    texts = ["first text", "second", "first text"]
    if not arena.has(Feature.EMBEDDINGS):
        with pytest.raises(Problem) as caught:
            arena.run(arena.engine.embed(texts))
        assert caught.value.code is Code.UNSUPPORTED_FEATURE
        return
    found = arena.run(arena.engine.embed(texts))
    assert len(found.vectors) == 3
    assert found.vectors[0] == found.vectors[2] != found.vectors[1]
    assert len({len(vector) for vector in found.vectors}) == 1
    assert found.input_tokens > 0


def test_a_prompt_over_the_window_is_refused_with_its_name(arena: Arena) -> None:
    problem = arena.play(turn_of("word " * arena.entry.too_long_words)).problem
    assert problem is not None
    assert problem.code is Code.CONTEXT_LENGTH_EXCEEDED
    assert problem.param == "messages"
    assert arena.play(short()).text()


def test_an_engine_is_not_ready_before_open_and_after_close(arena: Arena) -> None:
    async def work() -> None:
        engine = arena.make()
        assert not (await engine.health()).ready
        early = Recorder()
        engine.start(short(), early)
        await early.over()
        assert early.problem is not None
        assert early.problem.code is Code.ENGINE_NOT_READY
        await engine.open()
        assert (await engine.health()).ready
        await engine.close()
        health = await engine.health()
        assert not health.ready
        assert health.reason
        late = Recorder()
        engine.start(short(), late)
        await late.over()
        assert late.problem is not None
        assert late.problem.code is Code.ENGINE_NOT_READY
        await engine.close()

    arena.run(work())


def test_close_fails_the_running_turns(arena: Arena) -> None:
    async def work() -> None:
        engine = arena.make()
        await engine.open()
        going, fresh = Recorder(), Recorder()
        going.on_delta = lambda _: run.pause()
        run = engine.start(short("Tell a long story.", output_tokens_max=400), going)
        await going.until(lambda r: len(r.deltas) == 1)
        engine.start(short(), fresh)
        await engine.close()
        for recorder in (going, fresh):
            await recorder.over()
            assert recorder.problem is not None
            assert recorder.problem.code is Code.ENGINE_FAILED

    arena.run(work())


def test_a_closed_engine_does_not_disturb_another(arena: Arena) -> None:
    async def work() -> Recorder:
        engine = arena.make()
        await engine.open()
        recorder = Recorder()
        arena.engine.start(short(), recorder)
        await engine.close()
        await asyncio.sleep(0)
        return await recorder.over()

    assert arena.run(work()).end is not None
