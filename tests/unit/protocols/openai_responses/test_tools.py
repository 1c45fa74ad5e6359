"""Tools and the choice among them: functions, custom tools, and all that is not run here."""

import json
from typing import Any

import pytest

from tests.support.responses import ask
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Tool, ToolChoice, ToolMode
from tokenbooth.protocols.openai_responses.parameters import TOOLS_MAX

SCHEMA = {"type": "object", "properties": {"next": {"$ref": "#"}, "any": {}}}
FUNCTION = {
    "type": "function",
    "name": "look",
    "description": "Look.",
    "parameters": SCHEMA,
    "strict": True,
}
BARE = {"type": "function", "name": "bare"}
CUSTOM = {"type": "custom", "name": "patch", "description": "Applies a patch."}
CUSTOM_SCHEMA = (
    '{"type":"object","properties":{"input":{"type":"string"}},'
    '"required":["input"],"additionalProperties":false}'
)


def noted(**fields: Any) -> dict[str, str]:
    return {note.param: note.what for note in ask(**fields).notes}


def echo_of(tool: dict[str, Any]) -> dict[str, Any]:
    """How the answer gives one tool back."""
    tools: Any = ask(tools=[tool]).echo["tools"]
    (echoed,) = tools
    return dict(echoed)


def refused(**fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        ask(**fields)
    return caught.value


def test_functions() -> None:
    parsed = ask(tools=[FUNCTION, BARE])
    assert parsed.turn.tools == (
        Tool("look", "Look.", json.dumps(SCHEMA, separators=(",", ":")), strict=True),
        Tool("bare", "", '{"type":"object","properties":{}}'),
    )
    assert parsed.echo["tools"] == [
        FUNCTION,
        {
            "type": "function",
            "name": "bare",
            "description": None,
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
    ]
    assert parsed.notes == ()


def test_null_in_a_function_is_nothing() -> None:
    nulls = dict.fromkeys(("description", "parameters", "strict"))
    assert ask(tools=[{**BARE, **nulls}]) == ask(tools=[BARE])


def test_a_custom_tool_is_a_function_with_one_string() -> None:
    parsed = ask(tools=[CUSTOM])
    assert parsed.turn.tools == (Tool("patch", "Applies a patch.", CUSTOM_SCHEMA),)
    assert parsed.echo["tools"] == [{**CUSTOM, "format": {"type": "text"}}]
    assert noted(tools=[CUSTOM]) == {
        "tools[].type=custom": "translated to a function with one string"
    }


@pytest.mark.parametrize("described", [True, False])
def test_a_grammar_is_told_to_the_model(described: bool) -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /a+/"}
    tool = {**CUSTOM, "format": grammar}
    if not described:
        del tool["description"]
    (made,) = ask(tools=[tool]).turn.tools
    told = "The input must follow this lark grammar:\nstart: /a+/"
    assert made.description == (f"Applies a patch.\n\n{told}" if described else told)
    echoed = echo_of(tool)
    assert echoed["format"] == grammar
    assert echoed["description"] == tool.get("description")
    assert noted(tools=[tool])["tools[].format"] == "told to the model and not enforced"


@pytest.mark.parametrize(
    "kind",
    ["web_search", "file_search", "code_interpreter", "mcp", "local_shell", "namespace", "new_one"],
)
def test_other_tools_are_skipped_and_said(kind: str) -> None:
    parsed = ask(tools=[{"type": kind, "x": [1]}, BARE])
    assert [tool.name for tool in parsed.turn.tools] == ["bare"]
    assert len(parsed.echo["tools"]) == 1  # type: ignore[arg-type]
    assert noted(tools=[{"type": kind}]) == {
        f"tools[].type={kind}": "skipped: such tools are not run here"
    }


def test_what_a_function_says_beyond_that_is_said() -> None:
    assert noted(tools=[{**BARE, "defer_loading": True}]) == {
        "tools[].defer_loading": "ignored: unknown here"
    }


@pytest.mark.parametrize("mode", ["auto", "none", "required"])
def test_modes(mode: str) -> None:
    parsed = ask(tools=[BARE], tool_choice=mode)
    assert parsed.turn.tool_choice == ToolChoice(ToolMode(mode))
    assert parsed.echo["tool_choice"] == mode


@pytest.mark.parametrize("tool", [BARE, CUSTOM])
def test_a_named_tool(tool: dict[str, Any]) -> None:
    choice = {"type": tool["type"], "name": tool["name"]}
    parsed = ask(tools=[FUNCTION, tool], tool_choice=choice)
    assert parsed.turn.tool_choice == ToolChoice(ToolMode.NAMED, tool["name"])
    assert parsed.echo["tool_choice"] == choice
    assert len(parsed.turn.tools) == 2


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_allowed_tools(mode: str) -> None:
    choice = {
        "type": "allowed_tools",
        "mode": mode,
        "tools": [
            {"type": "function", "name": "bare"},
            {"type": "custom", "name": "patch"},
            {"type": "mcp", "server_label": "x"},
        ],
    }
    parsed = ask(tools=[FUNCTION, BARE, CUSTOM], tool_choice=choice)
    assert [tool.name for tool in parsed.turn.tools] == ["bare", "patch"]
    assert parsed.turn.tool_choice == ToolChoice(ToolMode(mode))
    assert parsed.echo["tool_choice"] == {**choice, "tools": choice["tools"][:2]}
    assert len(parsed.echo["tools"]) == 3  # type: ignore[arg-type]
    notes = {note.param for note in parsed.notes}
    assert {"tool_choice", "tool_choice.tools[].type=mcp"} <= notes


def test_the_choice_of_a_hosted_tool_is_said() -> None:
    parsed = ask(tools=[{"type": "web_search"}, BARE], tool_choice={"type": "web_search"})
    assert parsed.turn.tool_choice == ToolChoice()
    assert parsed.echo["tool_choice"] == "auto"
    assert "tool_choice.type=web_search" in {note.param for note in parsed.notes}


ONLY_HOSTED = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "mcp"}]}


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"tool_choice": "required"}, Code.INVALID_VALUE, "tool_choice"),
        (
            {"tools": [{"type": "web_search"}], "tool_choice": "required"},
            Code.INVALID_VALUE,
            "tool_choice",
        ),
        ({"tools": [BARE], "tool_choice": ONLY_HOSTED}, Code.INVALID_VALUE, "tool_choice"),
        (
            {"tools": [BARE], "tool_choice": {"type": "function", "name": "x"}},
            Code.INVALID_VALUE,
            "tool_choice",
        ),
        (
            {
                "tools": [BARE],
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "x"}],
                },
            },
            Code.INVALID_VALUE,
            "tool_choice",
        ),
        ({"tools": [BARE], "tool_choice": {}}, Code.MISSING_FIELD, "tool_choice.type"),
        (
            {"tools": [BARE], "tool_choice": {"type": "function"}},
            Code.MISSING_FIELD,
            "tool_choice.name",
        ),
        ({"tools": [BARE, {**BARE}]}, Code.INVALID_VALUE, "tools[1].name"),
        ({"tools": [BARE, {**CUSTOM, "name": "bare"}]}, Code.INVALID_VALUE, "tools[1].name"),
        ({"tools": [{"type": "function"}]}, Code.MISSING_FIELD, "tools[0].name"),
        ({"tools": [{**BARE, "name": "a b"}]}, Code.INVALID_VALUE, "tools[0].name"),
        ({"tools": [{**BARE, "parameters": []}]}, Code.WRONG_TYPE, "tools[0].parameters"),
        ({"tools": [{"name": "x"}]}, Code.MISSING_FIELD, "tools[0].type"),
        ({"tools": [1]}, Code.WRONG_TYPE, "tools[0]"),
        ({"tools": [BARE] * (TOOLS_MAX + 1)}, Code.INVALID_VALUE, "tools"),
        (
            {"tools": [{**CUSTOM, "format": {"type": "grammar", "syntax": "lark"}}]},
            Code.MISSING_FIELD,
            "tools[0].format.definition",
        ),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], code: Code, param: str) -> None:
    problem = refused(**fields)
    assert (problem.code, problem.param) == (code, param)
