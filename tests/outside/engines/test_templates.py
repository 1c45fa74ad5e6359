"""A template that knows tools and thoughts is used as it is, its prompts counted exactly."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.outside.engines.conftest import Arena
from tests.outside.engines.lineup import Entry
from tests.support.retold import retold
from tests.support.turns import TOOL, said, turn_of
from tests.support.weights import smollm2
from tokenbooth.core.delta import FinishReason
from tokenbooth.core.features import Feature
from tokenbooth.core.turn import (
    Message,
    Role,
    Sampling,
    TextPart,
    ToolCall,
    ToolChoice,
    ToolMode,
    Turn,
)
from tokenbooth.engines.embedded.engine import EmbeddedEngine
from tokenbooth.engines.embedded.values import EmbeddedOptions
from tokenbooth.engines.llamacpp.engine import LlamacppEngine
from tokenbooth.engines.llamacpp.values import LlamacppOptions
from tokenbooth.engines.port import Engine

ROUND = (
    said("What time is it?"),
    Message(
        Role.ASSISTANT,
        (),
        tool_calls=(ToolCall("c1", TOOL.name, '{"ok": true}'),),
        reasoning="I look.",
    ),
    Message(Role.TOOL, (TextPart("12:34"),), tool_call_id="c1"),
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(retold(smollm2(), tmp_path_factory.mktemp("weights") / "retold.gguf"))


@pytest.fixture(scope="module", params=["embedded", "llamacpp"])
def arena(request: pytest.FixtureRequest, weights: str) -> Iterator[Arena]:
    def make() -> Engine:
        if request.param == "embedded":
            return EmbeddedEngine(EmbeddedOptions(weights))
        return LlamacppEngine(LlamacppOptions(weights, slots=1, context_tokens=1024, threads=1))

    entry = Entry(request.param, lambda: None)  # type: ignore[arg-type, return-value]
    with asyncio.Runner() as runner:
        engine = make()
        runner.run(engine.open())
        yield Arena(entry, make, engine, runner)
        runner.run(engine.close())


def short(**fields: object) -> Turn:
    greedy = Sampling(temperature=0.0)
    return turn_of("What time is it?", **{"output_tokens_max": 16, "sampling": greedy, **fields})


def test_a_call_is_made_without_a_thought_where_none_is_wanted(arena: Arena) -> None:
    choice = ToolChoice(ToolMode.NAMED, TOOL.name)
    turn = short(tools=(TOOL,), tool_choice=choice, reasoning_effort="none", output_tokens_max=60)
    recorder = arena.play(turn)
    assert recorder.finishes == [(0, FinishReason.TOOL_CALLS)]
    assert recorder.end is not None
    assert recorder.end.usage is not None
    assert recorder.end.usage.reasoning_tokens == 0


@pytest.mark.parametrize(
    "fields",
    [{}, {"tools": (TOOL,)}, {"messages": ROUND}, {"messages": ROUND, "tools": (TOOL,)}],
    ids=["plain", "tools", "calls", "both"],
)
def test_what_is_counted_is_what_is_read(arena: Arena, fields: dict[str, object]) -> None:
    turn = short(output_tokens_max=1, **fields)
    count = arena.run(arena.engine.count_input_tokens(turn))
    recorder = arena.play(turn)
    assert recorder.end is not None
    assert recorder.end.usage is not None
    assert recorder.end.usage.input_tokens == count.tokens


def test_an_effort_switches_thoughts_on_and_they_are_counted_apart(arena: Arena) -> None:
    assert arena.has(Feature.REASONING_EFFORT)
    thinking = arena.play(short(reasoning_effort="high"))
    assert "".join(delta.reasoning for delta in thinking.deltas)
    assert thinking.end is not None
    assert thinking.end.usage is not None
    assert 0 < thinking.end.usage.reasoning_tokens <= thinking.end.usage.output_tokens
    assert thinking.output_tokens == thinking.end.usage.output_tokens
    without = arena.play(short(reasoning_effort="none"))
    assert without.text()
    assert without.end is not None
    assert without.end.usage is not None
    assert without.end.usage.reasoning_tokens == 0
