"""The tools of a response: functions as they are, custom tools as functions, all others noted.

A namespace is only a bracket around tools that the caller runs. Engines know none, so its name is
joined to those of its tools, and taken off again in the answer.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tokenbooth.core.turn import Tool, ToolChoice, ToolMode
from tokenbooth.protocols.custom_tools import NOT_ENFORCED, TRANSLATED, custom_tool
from tokenbooth.protocols.notes import Notes
from tokenbooth.protocols.openai_responses.items import joined_name
from tokenbooth.protocols.openai_responses.shapes import SKIPPED
from tokenbooth.protocols.shape import Json, bad_value

NO_PARAMETERS = '{"type":"object","properties":{}}'
_NOT_RUN = "skipped: such tools are not run here"


@dataclass(frozen=True, slots=True)
class Called:
    """What the answer calls a tool."""

    name: str
    namespace: str | None = None
    custom: bool = False


Tools = dict[str, tuple[Tool, Called]]


def tools_of(fields: Json, notes: Notes) -> tuple[Tools, list[Json]]:
    """Each tool by the name that the model knows, and all of them as the answer gives them back.

    Raises Problem INVALID_VALUE for a name that stands twice.
    """
    made: Tools = {}
    echo = []
    for place, described in enumerate(fields.get("tools", ())):
        path = f"tools[{place}]"
        if described.get("type") != "namespace":
            echo += _added(made, described, None, path, notes)
            continue
        notes.add("tools[].type=namespace", "translated: the model sees both names joined")
        inner: list[Json] = []
        for at, one in enumerate(described["tools"]):
            inner += _added(made, one, described["name"], f"{path}.tools[{at}]", notes)
        echo.append(
            {
                "type": "namespace",
                "name": described["name"],
                "description": described.get("description", ""),
                "tools": inner,
            }
        )
    return made, echo


def called_of(echo: Sequence[Json]) -> dict[str, Called]:
    """What the answer calls each tool, by the name that the model knows."""
    found: dict[str, Called] = {}
    for tool in echo:
        if tool["type"] == "namespace":
            for one in tool["tools"]:
                name = joined_name(tool["name"], one["name"])
                found[name] = Called(one["name"], tool["name"], one["type"] == "custom")
        else:
            found[tool["name"]] = Called(tool["name"], custom=tool["type"] == "custom")
    return found


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
        name = _known(tools, choice)[0]
        echo: Json = {"type": choice["type"], "name": choice["name"]}
        return tools, ToolChoice(ToolMode.NAMED, name), echo
    notes.add("tool_choice", "translated: tools that are not allowed are left out")
    allowed: list[Json] = []
    names: set[str] = set()
    for ref in choice["tools"]:
        if SKIPPED in ref:
            notes.add(f"tool_choice.tools[].type={ref[SKIPPED]}", _NOT_RUN)
        else:
            names.update(_known(tools, ref))
            allowed.append({"type": ref["type"], "name": ref["name"]})
    kept = {name: tool for name, tool in tools.items() if name in names}
    echo = {"type": "allowed_tools", "mode": choice["mode"], "tools": allowed}
    return kept, _mode(kept, choice["mode"]), echo


def _added(
    made: Tools, described: Json, namespace: str | None, path: str, notes: Notes
) -> list[Json]:
    """How the answer gives the tool back; nothing where it is skipped."""
    if SKIPPED in described:
        notes.add(f"tools[].type={described[SKIPPED]}", _NOT_RUN)
        return []
    own = described["name"]
    name = own if namespace is None else joined_name(namespace, own)
    if name in made:
        bad_value(f"{path}.name", f"names the tool {name} a second time")
    custom = described["type"] == "custom"
    tool, echo = _custom(name, described, notes) if custom else _function(name, described)
    made[name] = tool, Called(own, namespace, custom)
    return [echo]


def _function(name: str, described: Json) -> tuple[Tool, Json]:
    schema = described.get("parameters", NO_PARAMETERS)
    strict = described.get("strict", False)
    echo = {
        "type": "function",
        "name": described["name"],
        "description": described.get("description"),
        "parameters": json.loads(schema),
        "strict": strict,
    }
    return Tool(name, described.get("description", ""), schema, strict), echo


def _custom(name: str, described: Json, notes: Notes) -> tuple[Tool, Json]:
    notes.add("tools[].type=custom", TRANSLATED)
    wanted = described.get("format", {"type": "text"})
    grammar = None
    if wanted["type"] == "grammar":
        notes.add("tools[].format", NOT_ENFORCED)
        grammar = wanted["syntax"], wanted["definition"]
    echo = {
        "type": "custom",
        "name": described["name"],
        "description": described.get("description"),
        "format": dict(wanted),
    }
    return custom_tool(name, described.get("description", ""), grammar), echo


def _mode(tools: Tools, mode: str) -> ToolChoice:
    if mode == ToolMode.REQUIRED and not tools:
        bad_value("tool_choice", "is required, and there are no tools that can be called here")
    return ToolChoice(ToolMode(mode))


def _known(tools: Tools, ref: Json) -> list[str]:
    """The names that the model knows for what a caller names: a tool, or all of a namespace."""
    wanted = ref["name"]
    if ref["type"] == "namespace":
        found = [name for name, (_, called) in tools.items() if called.namespace == wanted]
    elif wanted in tools:
        found = [wanted]
    else:
        found = [name for name, (_, called) in tools.items() if called.name == wanted]
    if not found:
        bad_value("tool_choice", f"names the tool {wanted}, which is not among the tools")
    return found
