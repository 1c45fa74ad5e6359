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
    [
        "web_search",
        "file_search",
        "code_interpreter",
        "mcp",
        "local_shell",
        "tool_search",
        "new_one",
    ],
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


INNER = {"type": "function", "name": "search", "description": "Search."}
SPACE = {
    "type": "namespace",
    "name": "mcp__wiki__",
    "description": "A wiki.",
    "tools": [INNER, {"type": "custom", "name": "edit"}],
}


def test_tools_of_a_namespace_are_seen_under_both_names() -> None:
    parsed = ask(tools=[BARE, SPACE, {**SPACE, "name": "other", "description": None}])
    assert [tool.name for tool in parsed.turn.tools] == [
        "bare",
        "mcp__wiki__search",
        "mcp__wiki__edit",
        "other__search",
        "other__edit",
    ]
    assert parsed.turn.tools[1].description == "Search."
    assert parsed.turn.tools[2].schema_json == CUSTOM_SCHEMA
    tools: Any = parsed.echo["tools"]
    assert [tool["name"] for tool in tools] == ["bare", "mcp__wiki__", "other"]
    assert [tool["description"] for tool in tools[1:]] == ["A wiki.", ""]
    assert [(tool["type"], tool["name"]) for tool in tools[1]["tools"]] == [
        ("function", "search"),
        ("custom", "edit"),
    ]
    assert noted(tools=[SPACE])["tools[].type=namespace"] == (
        "translated: the model sees both names joined"
    )


def test_tools_of_other_kinds_in_a_namespace_are_skipped_and_said() -> None:
    space = {**SPACE, "tools": [{"type": "web_search"}]}
    assert ask(tools=[space]).turn.tools == ()
    assert "tools[].type=web_search" in noted(tools=[space])


@pytest.mark.parametrize("name", ["search", "mcp__wiki__search"])
def test_a_tool_of_a_namespace_can_be_chosen_by_either_name(name: str) -> None:
    parsed = ask(tools=[BARE, SPACE], tool_choice={"type": "function", "name": name})
    assert parsed.turn.tool_choice == ToolChoice(ToolMode.NAMED, "mcp__wiki__search")
    assert parsed.echo["tool_choice"] == {"type": "function", "name": name}


@pytest.mark.parametrize(
    ("ref", "left"),
    [
        ({"type": "namespace", "name": "mcp__wiki__"}, ["mcp__wiki__search", "mcp__wiki__edit"]),
        ({"type": "custom", "name": "edit"}, ["mcp__wiki__edit"]),
        ({"type": "function", "name": "bare"}, ["bare"]),
    ],
)
def test_a_namespace_can_be_allowed(ref: dict[str, Any], left: list[str]) -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [ref]}
    parsed = ask(tools=[BARE, SPACE], tool_choice=choice)
    assert [tool.name for tool in parsed.turn.tools] == left
    assert parsed.echo["tool_choice"] == choice


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [
        (
            [{"type": "function", "name": "mcp__wiki__edit"}, SPACE],
            "auto",
            "tools[1].tools[1].name",
        ),
        ([{**SPACE, "tools": [INNER, INNER]}], "auto", "tools[0].tools[1].name"),
        ([SPACE], {"type": "function", "name": "nothing"}, "tool_choice"),
        (
            [BARE],
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "namespace", "name": "bare"}],
            },
            "tool_choice",
        ),
    ],
)
def test_wrong_names_in_namespaces_are_named(tools: Any, choice: Any, param: str) -> None:
    problem = refused(tools=tools, tool_choice=choice)
    assert (problem.code, problem.param) == (Code.INVALID_VALUE, param)
