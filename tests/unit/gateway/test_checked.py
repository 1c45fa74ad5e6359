"""A whole answer is held against the schema that was asked for, and asked for once more."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import (
    INPUT_PICO,
    OUTPUT_PICO,
    MemorySink,
    TestBooth,
    chat,
    open_test_booth,
)
from tests.support.turns import OBJECT_SCHEMA
from tokenbooth.core.delta import ToolCallDelta
from tokenbooth.core.features import Capabilities, Feature
from tokenbooth.core.receipt import Outcome
from tokenbooth.core.turn import OutputFormat, Role, Turn
from tokenbooth.engines.port import DeltaSink, InputCount, Run
from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import AnswerKind, Fault, ScriptOptions, UsageFault

GOOD, BAD = '{"ok":true}', '{"ok":1}'
FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "it", "schema": json.loads(OBJECT_SCHEMA)},
}
STRUCTURED, ARGUMENTS = "x-tokenbooth-structured", "x-tokenbooth-tool-arguments"
ALL = frozenset({Feature.JSON_SCHEMA, Feature.JSON_OBJECT, Feature.TOOLS, Feature.CHOICES})


class Saying(ScriptedEngine):
    """Says the next of its lines at each start, whatever form it is asked for."""

    def __init__(self, *lines: str | ScriptOptions, features: frozenset[Feature] = ALL) -> None:
        super().__init__(ScriptOptions())
        self.lines = list(lines)
        self.asked: list[Turn] = []
        self.counted = 0
        self._said = Capabilities(features, context_tokens=8192)
        self.players: list[ScriptedEngine] = []

    @property
    def capabilities(self) -> Capabilities:
        return self._said

    async def count_input_tokens(self, turn: Turn) -> InputCount:
        self.counted += 1
        return await super().count_input_tokens(replace(turn, output_format=OutputFormat()))

    def start(self, turn: Turn, sink: DeltaSink) -> Run:
        self.asked.append(turn)
        line = self.lines.pop(0)
        options = line if isinstance(line, ScriptOptions) else saying(line)
        player = ScriptedEngine(options)
        player._is_open = True
        self.players.append(player)
        return player.start(replace(turn, output_format=OutputFormat()), sink)


def saying(text: str, **fields: Any) -> ScriptOptions:
    return ScriptOptions(answer=AnswerKind.TEXT, text=text, **fields)


def told(
    directory: Path,
    engine: Saying,
    look: Callable[[TestBooth, MemorySink], Coroutine[Any, Any, None]] | None = None,
    **fields: Any,
) -> MemorySink:
    sinks = []

    async def scene() -> None:
        async with open_test_booth(directory, engines={"0": engine}) as booth:
            sink = await booth.ask(chat(**{"response_format": FORMAT, **fields}))
            sinks.append(sink)
            if look is not None:
                await look(booth, sink)
            await booth.verified()

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scene()

    asyncio.run(bounded())
    return sinks[0]


def content(sink: MemorySink) -> str:
    text: str = sink.document["choices"][0]["message"]["content"]
    return text


def nano(input_tokens: int, output_tokens: int) -> int:
    return (input_tokens * INPUT_PICO + output_tokens * OUTPUT_PICO) // 1000


def test_a_good_answer_is_validated_and_asked_once(tmp_path: Path) -> None:
    engine = Saying(GOOD)
    sink = told(tmp_path, engine)
    assert content(sink) == GOOD
    assert sink.headers[STRUCTURED] == "validated"
    assert len(engine.asked) == 1
    assert engine.asked[0].output_format.schema_json is not None


def test_a_bad_answer_is_asked_for_once_more_and_both_are_paid(tmp_path: Path) -> None:
    engine = Saying(BAD, GOOD)

    async def look(booth: TestBooth, sink: MemorySink) -> None:
        usage = sink.document["usage"]
        first, second = (player._tally.counters for player in engine.players)
        assert usage["prompt_tokens"] == first.input_tokens + second.input_tokens
        assert usage["completion_tokens"] == first.output_tokens + second.output_tokens
        cost_nano = nano(usage["prompt_tokens"], usage["completion_tokens"])
        assert await booth.spent_nano() == cost_nano
        assert (await booth.record()).outcome is Outcome.COMPLETED

    sink = told(tmp_path, engine, look)
    assert content(sink) == GOOD
    assert sink.headers[STRUCTURED] == "repaired"
    *_, answer, request = engine.asked[1].messages
    assert (answer.role, answer.text) == (Role.ASSISTANT, BAD)
    assert request.role is Role.USER
    assert "$.ok is not of type boolean" in request.text


def test_an_answer_that_stays_bad_is_given_and_called_so(tmp_path: Path) -> None:
    engine = Saying("no json", BAD)
    sink = told(tmp_path, engine)
    assert content(sink) == BAD
    assert sink.headers[STRUCTURED] == "invalid"
    assert engine.lines == []


@pytest.mark.parametrize(
    "second",
    [saying(GOOD, fault=Fault.FAIL), saying(GOOD, fault=Fault.FAIL, fault_after_chunks=2)],
)
def test_a_repair_that_fails_leaves_the_first_answer_and_its_price(
    tmp_path: Path, second: ScriptOptions
) -> None:
    engine = Saying(BAD, second)

    async def look(booth: TestBooth, sink: MemorySink) -> None:
        first = engine.players[0]._tally.counters
        assert await booth.spent_nano() == nano(first.input_tokens, first.output_tokens)

    sink = told(tmp_path, engine, look)
    assert (sink.status, content(sink)) == (200, BAD)
    assert sink.headers[STRUCTURED] == "invalid"


@pytest.mark.parametrize(
    ("first", "fields"),
    [
        (BAD, {"max_tokens": 12}),
        (BAD, {"n": 2}),
        (saying(BAD, usage=UsageFault.MISSING), {}),
        (saying(BAD, usage=UsageFault.NEGATIVE), {}),
    ],
)
def test_what_the_hold_does_not_bear_is_not_asked_again(
    tmp_path: Path, first: str | ScriptOptions, fields: dict[str, Any]
) -> None:
    engine = Saying(first, GOOD)
    sink = told(tmp_path, engine, **fields)
    assert content(sink) == BAD
    assert sink.headers[STRUCTURED] == "invalid"
    assert len(engine.asked) == 1


def test_the_usage_of_a_repair_that_tells_none_is_bounded(tmp_path: Path) -> None:
    engine = Saying(BAD, saying(GOOD, usage=UsageFault.MISSING))

    async def look(booth: TestBooth, sink: MemorySink) -> None:
        first = engine.players[0]._tally.counters
        assert sink.document["usage"]["completion_tokens"] > first.output_tokens

    assert told(tmp_path, engine, look).headers[STRUCTURED] == "repaired"


def test_a_stream_is_never_asked_for_again_and_says_that_nobody_looked(tmp_path: Path) -> None:
    engine = Saying(BAD, GOOD)
    sink = told(tmp_path, engine, stream=True)
    assert sink.headers[STRUCTURED] == "asked"
    assert len(engine.asked) == 1


def test_an_engine_without_forms_is_told_in_words(tmp_path: Path) -> None:
    engine = Saying(GOOD, features=frozenset())
    sink = told(tmp_path, engine)
    assert sink.headers[STRUCTURED] == "validated"
    assert "response_format=told to the model" in sink.headers["x-tokenbooth-notes"]
    (turn,) = engine.asked
    assert turn.output_format == OutputFormat()
    assert turn.messages[0].role is Role.SYSTEM
    assert turn.messages[0].text.endswith(
        json.dumps(json.loads(OBJECT_SCHEMA), separators=(",", ":"))
    )


def test_the_words_join_a_system_message_of_the_caller(tmp_path: Path) -> None:
    engine = Saying('{"any": 1}', features=frozenset())
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "x"}]
    sink = told(tmp_path, engine, messages=messages, response_format={"type": "json_object"})
    assert sink.headers[STRUCTURED] == "validated"
    first, second = engine.asked[0].messages
    assert first.text.startswith("Be brief.\n\nAnswer with one JSON value")
    assert second.text == "x"


def test_a_caller_who_hangs_up_while_it_is_asked_again_pays_nothing(tmp_path: Path) -> None:
    engine = Saying(BAD, saying(GOOD, fault=Fault.HANG, fault_after_chunks=1))

    async def scene() -> None:
        async with open_test_booth(tmp_path, engines={"0": engine}) as booth:
            sink = MemorySink()
            call = asyncio.create_task(booth.ask(chat(response_format=FORMAT), sink=sink))
            while len(engine.asked) < 2:
                await asyncio.sleep(0)
            sink.listener.gone()
            await call
            assert await booth.spent_nano() == 0
            assert (await booth.record()).outcome is Outcome.CLIENT_GONE

    asyncio.run(scene())


def tools(*names: str) -> Sequence[dict[str, Any]]:
    schema = json.loads(OBJECT_SCHEMA)
    return [{"type": "function", "function": {"name": n, "parameters": schema}} for n in names]


class Calling(Saying):
    """Calls a tool with the arguments of its line."""

    def start(self, turn: Turn, sink: DeltaSink) -> Run:
        arguments = str(self.lines[0])
        self.lines[0] = ""

        class Between:
            def delta(self, delta: Any) -> None:
                piece = ToolCallDelta(0, arguments, "c1", "read_clock")
                sink.delta(replace(delta, tool_call=piece, output_tokens=1))

            ended = staticmethod(sink.ended)
            failed = staticmethod(sink.failed)

        plain = replace(turn, tools=())
        return super().start(plain, Between())


@pytest.mark.parametrize(
    ("arguments", "kept"), [(GOOD, "validated"), (BAD, "invalid"), ("{", "invalid")]
)
def test_arguments_of_a_whole_answer_are_looked_at(
    tmp_path: Path, arguments: str, kept: str
) -> None:
    sink = told(tmp_path, Calling(arguments), tools=tools("read_clock"), response_format=None)
    assert sink.headers[ARGUMENTS] == kept
    assert STRUCTURED not in sink.headers


def test_a_tool_that_is_not_there_has_no_valid_arguments(tmp_path: Path) -> None:
    sink = told(tmp_path, Calling(GOOD), tools=tools("other"), response_format=None)
    assert sink.headers[ARGUMENTS] == "invalid"


def test_an_answer_that_calls_nothing_says_nothing_of_arguments(tmp_path: Path) -> None:
    sink = told(tmp_path, Saying("hi"), tools=tools("read_clock"), response_format=None)
    assert ARGUMENTS not in sink.headers


def test_a_call_beside_a_form_needs_no_repair(tmp_path: Path) -> None:
    sink = told(tmp_path, Calling(GOOD), tools=tools("read_clock"))
    assert (sink.headers[STRUCTURED], sink.headers[ARGUMENTS]) == ("validated", "validated")
