"""A turn with tools as a model reads it, in words of ours or through its own template."""

import json

import pytest

from tests.support.turns import OBJECT_SCHEMA, TOOL, said, turn_of
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import (
    ImagePart,
    Message,
    Role,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    Turn,
)
from tokenbooth.engines.child.orders import prompt_of
from tokenbooth.engines.child.prompt import template_json, words_of
from tokenbooth.engines.gguf.template import Traits, traits_of

OWN = Traits(tools=True, thinks=True, switch=True)


def calling(arguments: str = '{"ok": true}', text: str = "") -> Message:
    parts = (TextPart(text),) if text else ()
    return Message(Role.ASSISTANT, parts, tool_calls=(ToolCall("c1", "read_clock", arguments),))


def answer(text: str) -> Message:
    return Message(Role.TOOL, (TextPart(text),), tool_call_id="c1", name="read_clock")


def asked(turn: Turn, traits: Traits = OWN) -> dict[str, object]:
    found: dict[str, object] = json.loads(template_json(turn, traits))
    return found


def test_tools_are_told_in_the_system_message() -> None:
    told = words_of(turn_of("hi", tools=(TOOL,)))
    assert [role for role, _ in told] == ["system", "user"]
    lines = told[0][1].splitlines()
    line = json.loads(lines[lines.index("<tools>") + 1])
    assert line["type"] == "function"
    assert line["function"] == {
        "name": "read_clock",
        "description": "Reads the clock.",
        "parameters": json.loads(OBJECT_SCHEMA),
    }
    assert '{"name": "<name>", "arguments": {<arguments>}}' in lines


def test_a_system_message_of_the_caller_stays_first() -> None:
    messages = (said("Be brief.", Role.DEVELOPER), said("hi"))
    told = words_of(turn_of(messages=messages, tools=(TOOL,)))
    assert [role for role, _ in told] == ["system", "user"]
    assert told[0][1].startswith("Be brief.\n\nYou can call tools.")


def test_no_tool_is_told_where_none_may_be_called() -> None:
    none = ToolChoice(ToolMode.NONE)
    assert words_of(turn_of("hi", tools=(TOOL,), tool_choice=none)) == (("user", "hi"),)
    assert words_of(turn_of("hi", messages=())) == ()


def test_calls_and_their_answers_look_like_what_may_be_called() -> None:
    turn = turn_of(messages=(said("a"), calling(), answer("1"), answer("2"), said("b")))
    assert words_of(turn) == (
        ("user", "a"),
        (
            "assistant",
            '<tool_call>\n{"name": "read_clock", "arguments": {"ok": true}}\n</tool_call>',
        ),
        (
            "user",
            "<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n</tool_response>",
        ),
        ("user", "b"),
    )


@pytest.mark.parametrize("arguments", ["", "[1]", "{", "[" * 100_000])
def test_arguments_that_are_no_object_are_told_as_text(arguments: str) -> None:
    ((_, text),) = words_of(turn_of(messages=(calling(arguments, "So."),)))
    assert text.startswith("So.\n<tool_call>\n")
    inner = text.removeprefix("So.\n<tool_call>\n").removesuffix("\n</tool_call>")
    assert json.loads(inner) == {"name": "read_clock", "arguments": arguments}


def test_the_last_answers_of_tools_are_not_lost() -> None:
    words = words_of(turn_of(messages=(calling(), answer("1"))))
    assert words[-1] == ("user", "<tool_response>\n1\n</tool_response>")


def test_a_template_that_knows_tools_gets_them_as_they_are() -> None:
    think = Message(Role.ASSISTANT, (TextPart("b"),), reasoning="hm")
    turn = turn_of(
        messages=(said("a", Role.DEVELOPER), calling(), answer("1"), think), tools=(TOOL,)
    )
    found = asked(turn)
    assert found["messages"] == [
        {"role": "system", "content": "a"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "read_clock", "arguments": {"ok": True}},
                }
            ],
        },
        {"role": "tool", "content": "1", "tool_call_id": "c1", "name": "read_clock"},
        {"role": "assistant", "content": "b", "reasoning_content": "hm"},
    ]
    assert found["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "read_clock",
                "description": "Reads the clock.",
                "parameters": json.loads(OBJECT_SCHEMA),
            },
        }
    ]
    assert found["variables"] == {}


def test_plain_texts_need_no_more_than_texts() -> None:
    assert template_json(turn_of(), OWN) == ""
    assert template_json(turn_of(tools=(TOOL,)), Traits()) == ""
    none = ToolChoice(ToolMode.NONE)
    assert template_json(turn_of(tools=(TOOL,), tool_choice=none), OWN) == ""
    assert template_json(turn_of(reasoning_effort="low"), Traits(tools=True)) == ""


def test_a_template_that_only_thinks_is_told_of_tools_in_texts() -> None:
    turn = turn_of("a", tools=(Tool("bare", "", ""),), reasoning_effort="high")
    found = asked(turn, Traits(thinks=True, switch=True))
    assert found["tools"] == []
    messages = found["messages"]
    assert isinstance(messages, list)
    assert [message["role"] for message in messages] == ["system", "user"]
    assert '"name": "bare", "parameters": {"type": "object", "properties": {}}' in str(messages)


@pytest.mark.parametrize(
    ("effort", "on", "level"),
    [
        ("none", False, "low"),
        ("minimal", False, "low"),
        ("low", True, "low"),
        ("medium", True, "medium"),
        ("high", True, "high"),
        ("xhigh", True, "high"),
        ("max", True, "high"),
        ("odd", True, "medium"),
    ],
)
def test_an_effort_becomes_what_the_template_knows(effort: str, on: bool, level: str) -> None:
    turn = turn_of(reasoning_effort=effort)
    assert asked(turn, Traits(switch=True))["variables"] == {"enable_thinking": on}
    assert asked(turn, Traits(levels=True))["variables"] == {"reasoning_effort": level}


def test_half_of_a_surrogate_pair_is_the_callers_fault() -> None:
    turn = turn_of("half \ud83d", reasoning_effort="low")
    for work in (lambda: words_of(turn), lambda: template_json(turn, OWN)):
        with pytest.raises(Problem) as caught:
            work()
        assert caught.value.code is Code.INVALID_VALUE
        assert caught.value.param == "messages"


def test_traits_are_read_off_the_words_of_a_template() -> None:
    assert traits_of(None) == Traits()
    assert traits_of("{{ messages }}") == Traits()
    tools = "{% if tools %}<tool_call>{{ call.arguments | tojson }}{% endif %}"
    assert traits_of(tools) == Traits(tools=True)
    other = "{% if tools %}[TOOL_CALLS]{{ call.arguments }}{% endif %}"
    assert traits_of(other) == Traits()
    assert traits_of("{% if enable_thinking %}<think></think>") == Traits(thinks=True, switch=True)
    assert traits_of("Effort: {{ reasoning_effort }}") == Traits(levels=True)


def test_a_mark_stands_for_each_image_and_for_nothing_else() -> None:
    pictures = ImagePart("data:image/png;base64,QQ=="), ImagePart("data:image/png;base64,Qg==")
    seen = Message(Role.USER, (TextPart("a\0"), pictures[0], TextPart("b"), pictures[1]))
    turn = turn_of(messages=(Message(Role.ASSISTANT, (TextPart("\0said\0"),)), seen))
    assert [text for _, text in words_of(turn)] == ["said", "a\0b\0"]
    assert prompt_of(turn).images == ("QQ==", "Qg==")
    assert prompt_of(turn_of("hi")).images == ()
