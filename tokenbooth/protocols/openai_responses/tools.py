"""The tools of a response: functions as they are, custom tools as functions, all others noted."""

import json

from tokenbooth.core.turn import Tool, ToolChoice, ToolMode
from tokenbooth.protocols.notes import Notes
from tokenbooth.protocols.openai_responses.items import CUSTOM_INPUT
from tokenbooth.protocols.openai_responses.shapes import SKIPPED
from tokenbooth.protocols.shape import Json, bad_value

NO_PARAMETERS = '{"type":"object","properties":{}}'
CUSTOM_PARAMETERS = json.dumps(
    {
        "type": "object",
        "properties": {CUSTOM_INPUT: {"type": "string"}},
        "required": [CUSTOM_INPUT],
        "additionalProperties": False,
    },
    separators=(",", ":"),
)
_NOT_RUN = "skipped: such tools are not run here"

Tools = dict[str, tuple[Tool, Json]]


def tools_of(fields: Json, notes: Notes) -> Tools:
    """Each tool that the model can call, by name, with how the answer gives it back.

    Raises Problem INVALID_VALUE for a name that stands twice.
    """
    made: Tools = {}
    for place, described in enumerate(fields.get("tools", ())):
        if SKIPPED in described:
            notes.add(f"tools[].type={described[SKIPPED]}", _NOT_RUN)
            continue
        name = described["name"]
        if name in made:
            bad_value(f"tools[{place}].name", f"names the tool {name} a second time")
        made[name] = _function(described) if _is_function(described) else _custom(described, notes)
    return made


def choice_of(tools: Tools, choice: str | Json, notes: Notes) -> tuple[Tools, ToolChoice, object]:
    """The tools left, the choice among them, and how the answer gives it back.

    Raises Problem INVALID_VALUE for a name that is not among the tools, and for a call that is
    required where there is nothing to call.
    """
    if isinstance(choice, str):
        return tools, _mode(tools, choice), choice
    if SKIPPED in choice:
        notes.add(f"tool_choice.type={choice[SKIPPED]}", "ignored: such tools are not run here")
        return tools, ToolChoice(), ToolMode.AUTO.value
    if choice["type"] != "allowed_tools":
        _known(tools, choice["name"])
        named = {"type": choice["type"], "name": choice["name"]}
        return tools, ToolChoice(ToolMode.NAMED, choice["name"]), named
    notes.add("tool_choice", "translated: tools that are not allowed are left out")
    allowed: list[Json] = []
    for ref in choice["tools"]:
        if SKIPPED in ref:
            notes.add(f"tool_choice.tools[].type={ref[SKIPPED]}", _NOT_RUN)
        else:
            _known(tools, ref["name"])
            allowed.append({"type": ref["type"], "name": ref["name"]})
    names = {ref["name"] for ref in allowed}
    kept = {name: tool for name, tool in tools.items() if name in names}
    echo = {"type": "allowed_tools", "mode": choice["mode"], "tools": allowed}
    return kept, _mode(kept, choice["mode"]), echo


def _is_function(described: Json) -> bool:
    return bool(described["type"] == "function")


def _function(described: Json) -> tuple[Tool, Json]:
    schema = described.get("parameters", NO_PARAMETERS)
    strict = described.get("strict", False)
    tool = Tool(described["name"], described.get("description", ""), schema, strict)
    echo = {
        "type": "function",
        "name": tool.name,
        "description": described.get("description"),
        "parameters": json.loads(schema),
        "strict": strict,
    }
    return tool, echo


def _custom(described: Json, notes: Notes) -> tuple[Tool, Json]:
    notes.add("tools[].type=custom", "translated to a function with one string")
    wanted = described.get("format", {"type": "text"})
    description = described.get("description", "")
    if wanted["type"] == "grammar":
        notes.add("tools[].format", "told to the model and not enforced")
        grammar = f"The input must follow this {wanted['syntax']} grammar:\n{wanted['definition']}"
        description = f"{description}\n\n{grammar}".lstrip()
    echo = {
        "type": "custom",
        "name": described["name"],
        "description": described.get("description"),
        "format": dict(wanted),
    }
    return Tool(described["name"], description, CUSTOM_PARAMETERS), echo


def _mode(tools: Tools, mode: str) -> ToolChoice:
    if mode == ToolMode.REQUIRED and not tools:
        bad_value("tool_choice", "is required, and there are no tools that can be called here")
    return ToolChoice(ToolMode(mode))


def _known(tools: Tools, name: str) -> None:
    if name not in tools:
        bad_value("tool_choice", f"names the tool {name}, which is not among the tools")
