"""Custom tools of a chat: told as functions, called with a text, and tools nobody knows skipped."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from tests.unit.protocols.openai_chat.test_write import END, FRAME, RECEIPT, events
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Delta, FinishReason, ToolCallDelta
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import ToolChoice, ToolMode
from tokenbooth.protocols.custom_tools import CUSTOM_PARAMETERS, custom_arguments
from tokenbooth.protocols.dialect import Parsed
from tokenbooth.protocols.openai_chat import OPENAI_CHAT

PATCH = {"type": "custom", "custom": {"name": "patch", "description": "Changes files."}}
CLOCK = {"type": "function", "function": {"name": "clock"}}


def parse(**fields: Any) -> Parsed:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], **fields}
    return OPENAI_CHAT.parse(json.dumps(body).encode())


def notes(parsed: Parsed) -> dict[str, str]:
    return {note.param: note.what for note in parsed.notes}


def test_a_custom_tool_becomes_a_function_with_one_string() -> None:
    parsed = parse(tools=[PATCH, CLOCK])
    patch, clock = parsed.turn.tools
    assert (patch.name, patch.description) == ("patch", "Changes files.")
    assert patch.schema_json == CUSTOM_PARAMETERS
    assert clock.name == "clock"
    assert notes(parsed) == {"tools[].type=custom": "translated to a function with one string"}
    assert parsed.echo == {"custom": ["patch"]}
    assert parse(tools=[CLOCK]).echo == {}


def test_its_grammar_is_told() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}}
    parsed = parse(tools=[{"type": "custom", "custom": {"name": "c", "format": grammar}}])
    assert parsed.turn.tools[0].description.endswith("this lark grammar:\nstart: /a/")
    assert notes(parsed)["tools[].custom.format"] == "told to the model and not enforced"
    plain = {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}}
    assert parse(tools=[plain]).turn.tools[0].description == ""


def test_it_can_be_chosen_alone_or_among_others() -> None:
    choice = {"type": "custom", "custom": {"name": "patch"}}
    parsed = parse(tools=[PATCH, CLOCK], tool_choice=choice)
    assert parsed.turn.tool_choice == ToolChoice(ToolMode.NAMED, "patch")
    allowed = {"mode": "required", "tools": [choice, {"type": "web_search"}]}
    parsed = parse(
        tools=[PATCH, CLOCK], tool_choice={"type": "allowed_tools", "allowed_tools": allowed}
    )
    assert [tool.name for tool in parsed.turn.tools] == ["patch"]
    assert parsed.turn.tool_choice == ToolChoice(ToolMode.REQUIRED)


def test_tools_of_other_types_are_skipped_and_told() -> None:
    parsed = parse(tools=[{"type": "web_search"}, CLOCK], tool_choice={"type": "web_search"})
    assert [tool.name for tool in parsed.turn.tools] == ["clock"]
    assert parsed.turn.tool_choice == ToolChoice()
    assert set(notes(parsed)) == {"tools[].web_search", "tool_choice.web_search"}


def test_a_former_call_comes_back_as_it_was_called() -> None:
    call = {"id": "c1", "type": "custom", "custom": {"name": "patch", "input": 'say "é"\n'}}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]
    (made,) = parse(messages=messages, tools=[PATCH]).turn.messages[1].tool_calls
    assert (made.id, made.name) == ("c1", "patch")
    assert json.loads(made.arguments) == {"input": 'say "é"\n'}


def written(deltas: list[Delta], *, stream: bool) -> bytes:
    parsed = parse(tools=[PATCH, CLOCK], stream=stream)
    writer = OPENAI_CHAT.writer(parsed, FRAME)
    return b"".join(map(writer.delta, deltas)) + writer.closing(END, RECEIPT)


def calling(name: str, pieces: list[str], *, finish: bool = True) -> list[Delta]:
    deltas = [Delta(tool_call=ToolCallDelta(0, id="c1", name=name), output_tokens=1)]
    deltas += [Delta(tool_call=ToolCallDelta(0, piece), output_tokens=1) for piece in pieces]
    return [*deltas, Delta(finish=FinishReason.TOOL_CALLS)] if finish else deltas


def test_a_whole_answer_has_the_input() -> None:
    body = written(calling("patch", list(custom_arguments("a\nb"))), stream=False)
    message = ChatCompletion.model_validate_json(body).choices[0].message
    (call,) = message.tool_calls or ()
    assert call.type == "custom"
    assert (call.id, call.custom.name, call.custom.input) == ("c1", "patch", "a\nb")
    assert message.content is None


@pytest.mark.parametrize("finish", [True, False])
@given(text=st.text(max_size=20), cut=st.integers(0, 30))
def test_a_stream_folds_to_the_whole_answer(finish: bool, text: str, cut: int) -> None:
    arguments = custom_arguments(text)
    deltas = calling("patch", [arguments[:cut], arguments[cut:]], finish=finish)
    whole = json.loads(written(deltas, stream=False))["choices"][0]
    chunks = [event for event in events(written(deltas, stream=True)) if event != "[DONE]"]
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    pieces = [piece for one in choices for piece in one["delta"].get("tool_calls", ())]
    first = pieces[0]
    assert (first["id"], first["type"], first["custom"]["name"]) == ("c1", "custom", "patch")
    said = "".join(piece["custom"]["input"] for piece in pieces)
    assert said == whole["message"]["tool_calls"][0]["custom"]["input"] == text
    reasons = [one["finish_reason"] for one in choices if one["finish_reason"]]
    assert reasons == [whole["finish_reason"]] == ["tool_calls"]
    assert "tool_calls" not in choices[-1]["delta"]


def test_a_function_beside_it_is_streamed_as_ever() -> None:
    chunks = events(written(calling("clock", ["{", "}"]), stream=True))
    pieces = [
        piece
        for chunk in chunks[:-1]
        for one in chunk["choices"]
        for piece in one["delta"].get("tool_calls", ())
    ]
    assert [piece["function"]["arguments"] for piece in pieces] == ["", "{", "}"]
    assert pieces[0]["type"] == "function"


@pytest.mark.parametrize("stream", [True, False])
def test_what_has_ended_ends_once(stream: bool) -> None:
    writer = OPENAI_CHAT.writer(parse(tools=[PATCH], stream=stream), FRAME)
    assert writer.closing(END, RECEIPT)
    assert writer.closing(END, RECEIPT) == b""
    assert writer.problem(Problem(Code.INTERNAL, "x")) == b""
