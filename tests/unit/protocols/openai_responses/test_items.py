"""Items to messages: every kind of item, how neighbours join, what is left out and said."""

from typing import Any

import pytest

from tests.support.responses import ask
from tokenbooth.core.codes import Code
from tokenbooth.core.features import Feature, asked_features
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import ImagePart, Message, Role, TextPart, ToolCall
from tokenbooth.protocols.dialect import Parsed
from tokenbooth.protocols.openai_responses.memory import completed

PIXEL = "data:image/png;base64,AAAA"
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
OTHER = {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
USER = {"role": "user", "content": "hi"}


def read(*items: Any) -> Parsed:
    """As a call reads it for which nothing was ever stored."""
    parsed = ask(input=list(items))
    assert parsed.memory is not None
    return completed(parsed, [], {}) if parsed.memory.recalls else parsed


def messages(*items: Any) -> tuple[Message, ...]:
    return read(*items).turn.messages


def noted(*items: Any) -> dict[str, str]:
    return {note.param: note.what for note in read(*items).notes}


def refused(*items: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        read(*items)
    return caught.value


def text(said: str, role: Role = Role.USER) -> Message:
    return Message(role, (TextPart(said),))


@pytest.mark.parametrize("role", ["user", "assistant", "system", "developer"])
@pytest.mark.parametrize("typed", [True, False])
def test_messages_of_each_role_with_and_without_a_type(role: str, typed: bool) -> None:
    item = {"role": role, "content": "hi", **({"type": "message"} if typed else {})}
    assert messages(item) == (text("hi", Role(role)),)
    assert noted(item) == {}


def test_a_type_that_is_null_is_none() -> None:
    assert messages({"type": None, **USER}) == (text("hi"),)


def test_parts() -> None:
    item = {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "what"},
            {"type": "text", "text": "is"},
            {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
            {"type": "input_image", "image_url": "https://x/y.png", "file_id": None},
        ],
    }
    (message,) = messages(item)
    assert message.parts == (
        TextPart("what"),
        TextPart("is"),
        ImagePart(PIXEL),
        ImagePart("https://x/y.png"),
    )
    assert Feature.IMAGES in asked_features(ask(input=[item]).turn)
    assert noted(item) == {}


def test_what_an_assistant_said_comes_back() -> None:
    item = {
        "type": "message",
        "id": "msg_1",
        "status": "completed",
        "role": "assistant",
        "phase": None,
        "content": [
            {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
            {"type": "refusal", "refusal": "no"},
        ],
    }
    assert messages(item) == (Message(Role.ASSISTANT, (TextPart("a"), TextPart("no"))),)
    assert noted(item) == {"input[].content[].refusal": "translated to text"}


def test_an_empty_list_of_parts_is_an_empty_message() -> None:
    assert messages({"role": "assistant", "content": []}) == (Message(Role.ASSISTANT, ()),)


def test_details_that_engines_do_not_take_are_said() -> None:
    item = {
        "role": "user",
        "phase": "commentary",
        "content": [
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "input_image", "image_url": PIXEL, "detail": "high"},
        ],
    }
    assert noted(item) == {
        "input[].phase": "ignored: engines take none",
        "input[].content[].prompt_cache_breakpoint": "ignored: the engine decides",
        "input[].content[].detail": "ignored: the engine decides",
    }


def test_a_call_and_its_result() -> None:
    assert messages(USER, CALL, RESULT) == (
        text("hi"),
        Message(Role.ASSISTANT, (), tool_calls=(ToolCall("c1", "f", '{"a":1}'),)),
        Message(Role.TOOL, (TextPart("sunny"),), tool_call_id="c1"),
    )
    assert Feature.TOOLS in asked_features(ask(input=[USER, CALL, RESULT]).turn)


def test_a_result_of_parts() -> None:
    output = [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": PIXEL}]
    *_, tool = messages(USER, CALL, {**RESULT, "output": output})
    assert tool == Message(Role.TOOL, (TextPart("a"), ImagePart(PIXEL)), tool_call_id="c1")


def test_a_custom_call_and_its_result() -> None:
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": 'a "é"\n'}
    result = {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"}
    assert messages(USER, call, result)[1:] == (
        Message(
            Role.ASSISTANT, (), tool_calls=(ToolCall("c1", "patch", '{"input":"a \\"é\\"\\n"}'),)
        ),
        Message(Role.TOOL, (TextPart("done"),), tool_call_id="c1"),
    )


def test_calls_side_by_side_and_what_was_said_before_are_one_message() -> None:
    said = {"role": "assistant", "content": "let me look"}
    silent = {"type": "reasoning", "id": "rs_1", "summary": []}
    found = messages(USER, silent, said, CALL, silent, OTHER, RESULT)
    assert [message.role for message in found] == [Role.USER, Role.ASSISTANT, Role.TOOL]
    assert found[1].parts == (TextPart("let me look"),)
    assert [call.id for call in found[1].tool_calls] == ["c1", "c2"]


def test_what_an_assistant_says_between_a_call_and_its_result_joins_the_call() -> None:
    found = messages(USER, CALL, {"role": "assistant", "content": "looking"}, RESULT)
    assert [message.role for message in found] == [Role.USER, Role.ASSISTANT, Role.TOOL]
    assert found[1].text == "looking"
    assert len(found[1].tool_calls) == 1


def test_calls_after_a_result_are_a_new_message() -> None:
    found = messages(USER, CALL, RESULT, OTHER)
    assert [len(message.tool_calls) for message in found] == [0, 1, 0, 1]


def test_two_messages_of_an_assistant_stay_two() -> None:
    said = {"role": "assistant", "content": "a"}
    assert messages(said, said) == (text("a", Role.ASSISTANT),) * 2
    assert messages(said, USER, CALL)[1] == text("hi")


def test_returned_items_need_no_note() -> None:
    """What an official client sends back of an answer, with every field that it knows."""
    returned = {"id": "fc_1", "status": "completed", "namespace": None, "caller": None}
    assert noted(USER, {**CALL, **returned, "async": None}, {**RESULT, **returned}) == {}


def thought(*texts: str, **fields: Any) -> dict[str, Any]:
    content = [{"type": "reasoning_text", "text": one} for one in texts]
    return {"type": "reasoning", "id": "rs_1", "summary": [], "content": content, **fields}


HINT = "a hint; the engine may ignore it"


def test_what_an_assistant_thought_goes_with_what_it_says_next() -> None:
    said = {"role": "assistant", "content": "there"}
    found = messages(USER, thought("a", "b"), CALL, thought("c"), OTHER, RESULT, thought("d"), said)
    assert [message.reasoning for message in found] == ["", "a\nb\nc", "", "d"]
    assert len(found[1].tool_calls) == 2
    assert noted(USER, thought("a"), said) == {"input[].type=reasoning": HINT}


def test_thoughts_between_two_messages_keep_them_two() -> None:
    said = {"role": "assistant", "content": "a"}
    assert [message.reasoning for message in messages(said, thought("b"), said)] == ["", "b"]


def test_a_summary_stands_for_thoughts_that_are_not_told() -> None:
    told = [{"type": "summary_text", "text": "s"}]
    said = {"role": "assistant", "content": "there"}
    assert messages(thought(summary=told), said)[0].reasoning == "s"
    assert messages(thought("t", summary=told), said)[0].reasoning == "t"


def test_sealed_thoughts_are_skipped_and_said() -> None:
    sealed = thought(content=None, encrypted_content="xyz", status="completed")
    assert messages(USER, sealed, CALL)[1].reasoning == ""
    assert noted(USER, sealed) == {"input[].type=reasoning": "skipped: it holds no text"}


@pytest.mark.parametrize("items", [[thought("a")], [thought("a"), USER]])
def test_thoughts_after_which_nothing_was_said_are_skipped_and_said(items: list[Any]) -> None:
    assert all(message.reasoning == "" for message in messages(USER, *items))
    assert noted(USER, *items) == {
        "input[].type=reasoning": "skipped where nothing of the assistant follows"
    }


@pytest.mark.parametrize("typed", [{"type": "item_reference"}, {}])
def test_references(typed: dict[str, str]) -> None:
    assert noted(USER, {**typed, "id": "rs_1"}) == {
        "input[].type=item_reference": "skipped: no such reasoning is stored"
    }
    problem = refused(USER, {**typed, "id": "msg_1"})
    assert (problem.code, problem.param) == (Code.RESPONSE_NOT_FOUND, "input[1].id")
    assert "'msg_1'" in problem.public


@pytest.mark.parametrize(
    "kind", ["web_search_call", "computer_call", "mcp_call", "compaction_trigger", "brand_new"]
)
def test_items_of_other_kinds_are_skipped_and_said(kind: str) -> None:
    item = {"type": kind, "id": "x", "anything": [{"deep": 1}]}
    assert messages(item, USER) == (text("hi"),)
    assert noted(item, USER) == {f"input[].type={kind}": "skipped: such items are not served here"}


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        (1, Code.WRONG_TYPE, "input[1]"),
        ("hi", Code.WRONG_TYPE, "input[1]"),
        ({}, Code.MISSING_FIELD, "input[1].type"),
        ({"type": 1}, Code.WRONG_TYPE, "input[1].type"),
        ({"type": "message", "content": "a"}, Code.MISSING_FIELD, "input[1].role"),
        ({"role": "critic", "content": "a"}, Code.INVALID_VALUE, "input[1].role"),
        ({"role": "user"}, Code.MISSING_FIELD, "input[1].content"),
        ({"role": "user", "content": 1}, Code.WRONG_TYPE, "input[1].content"),
        ({"role": "user", "content": ["a"]}, Code.WRONG_TYPE, "input[1].content[0]"),
        (
            {"role": "user", "content": [{"type": "video"}]},
            Code.INVALID_VALUE,
            "input[1].content[0].type",
        ),
        (
            {"role": "user", "content": [{"type": "input_text"}]},
            Code.MISSING_FIELD,
            "input[1].content[0].text",
        ),
        (
            {"role": "user", "content": [{"type": "input_file", "filename": "f"}]},
            Code.MISSING_FIELD,
            "input[1].content[0].file_data",
        ),
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
            Code.MISSING_FIELD,
            "input[1].content[0].input_audio.data",
        ),
        (
            {"role": "user", "content": [{"type": "input_image", "file_id": "a b"}]},
            Code.INVALID_VALUE,
            "input[1].content[0].file_id",
        ),
        (
            {"role": "user", "content": [{"type": "input_image"}]},
            Code.MISSING_FIELD,
            "input[1].content[0].image_url",
        ),
        (
            {"role": "user", "content": [{"type": "input_image", "image_url": "file:///x"}]},
            Code.INVALID_VALUE,
            "input[1].content[0].image_url",
        ),
        (
            {"role": "assistant", "content": [{"type": "input_image", "image_url": PIXEL}]},
            Code.UNSUPPORTED_FEATURE,
            "input[1].content[0]",
        ),
        ({**CALL, "call_id": ""}, Code.INVALID_VALUE, "input[1].call_id"),
        ({"type": "function_call"}, Code.MISSING_FIELD, "input[1].call_id"),
        ({**CALL, "arguments": {}}, Code.WRONG_TYPE, "input[1].arguments"),
        ({"type": "reasoning", "content": "a"}, Code.WRONG_TYPE, "input[1].content"),
        ({**RESULT, "output": None}, Code.WRONG_TYPE, "input[1].output"),
        (
            {"type": "custom_tool_call", "call_id": "c", "name": "n"},
            Code.MISSING_FIELD,
            "input[1].input",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_place(item: Any, code: Code, param: str) -> None:
    problem = refused(USER, item)
    assert (problem.code, problem.param) == (code, param)


def test_strangers_in_items_are_said() -> None:
    assert noted({**USER, "zebra": 1}, {**CALL, "zebra": 1}) == {
        "input[].zebra": "ignored: unknown here"
    }


def test_calls_of_tools_in_namespaces_have_the_names_that_the_model_knows() -> None:
    custom = {"type": "custom_tool_call", "call_id": "c3", "name": "h", "input": "x"}
    items = [
        {**CALL, "namespace": "mcp__wiki__"},
        {**OTHER, "namespace": "other"},
        {**custom, "namespace": "other"},
        {**CALL, "namespace": ""},
    ]
    (message,) = messages(*items)
    assert [call.name for call in message.tool_calls] == [
        "mcp__wiki__f",
        "other__g",
        "other__h",
        "f",
    ]
    assert noted(*items) == {}
