"""Tools and thoughts of a child that only exists in the test."""

import asyncio
from pathlib import Path

from tests.support.gguf import tiny_vocabulary, write_gguf
from tests.support.turns import TOOL, Recorder, turn_of
from tests.unit.engines.child.test_engine import Stage
from tokenbooth.core.delta import FinishReason, Usage
from tokenbooth.core.features import Feature
from tokenbooth.core.turn import ToolChoice, ToolMode
from tokenbooth.engines.child.frames import Count, Counted, Over, Piece, Step

THINKING = "{% if enable_thinking %}<think></think>{% endif %}{% if tools %}<tool_call>arguments"


def test_what_the_model_writes_is_told_apart_and_thoughts_are_counted(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        values = tiny_vocabulary() | {"tokenizer.chat_template": THINKING}
        write_gguf(tmp_path / "a.gguf", values)
        opening = asyncio.create_task(stage.engine.open())
        stage.link = await stage.nursery.ready(256)
        for place in range(2):
            await stage.settle(lambda place=place: len(counts(stage)) > place)  # type: ignore[misc]
            ask = counts(stage)[-1].ask
            stage.link.answer(Step(counted=(Counted(ask, 5, in_thought=place == 1),)))
        await opening
        assert Feature.REASONING_EFFORT in stage.engine.capabilities.features
        assert stage.engine.capabilities.constrains
        recorder = Recorder()
        required = ToolChoice(ToolMode.REQUIRED)
        turn = turn_of(tools=(TOOL,), tool_choice=required, reasoning_effort="high")
        _, order = await stage.begun(turn, recorder)
        assert order.messages == ()
        assert '"enable_thinking": true' in order.template_json
        assert "</think>" in (order.grammar or "")
        written = ["hm", "</think>", '<tool_call>{"name": "read_clock", "arguments": ', "{}", "}"]
        pieces = [Piece(order.run, 0, text, 1) for text in written]
        pieces.append(Piece(order.run, 0, "\n</tool_call>", 1, finish="stop"))
        stage.link.answer(Step(pieces=tuple(pieces), over=(Over(order.run, 5, 6),)))
        await recorder.over()
        assert "".join(delta.reasoning for delta in recorder.deltas) == "hm"
        assert recorder.arguments() == "{}"
        assert recorder.finishes == [(0, FinishReason.TOOL_CALLS)]
        ids = [d.tool_call.id for d in recorder.deltas if d.tool_call and d.tool_call.id]
        assert [len(id_) for id_ in ids] == [29]
        assert recorder.end is not None
        assert recorder.end.usage == Usage(5, 6, reasoning_tokens=2)
        assert recorder.output_tokens == 6
        await stage.engine.close()

    asyncio.run(scene())


def counts(stage: Stage) -> list[Count]:
    return [said for said in stage.link.said if isinstance(said, Count)]
