"""A Messages body to a Turn, with a note for everything not honoured as sent."""

from tokenbooth.core.turn import (
    FormatKind,
    OutputFormat,
    Sampling,
    Tool,
    ToolChoice,
    ToolMode,
    Turn,
)
from tokenbooth.protocols.anthropic_messages.messages import messages_of, say_unused, system_of
from tokenbooth.protocols.anthropic_messages.parameters import BODY, OWN_TOOL, PARAMETERS
from tokenbooth.protocols.dialect import Parsed
from tokenbooth.protocols.notes import Notes
from tokenbooth.protocols.parameters import Treatment
from tokenbooth.protocols.shape import Json, Strangers, bad_value
from tokenbooth.protocols.strict_json import read_object

LOW_BUDGET_TOKENS_MAX = 4096
MEDIUM_BUDGET_TOKENS_MAX = 16384
FORMAT_NAME = "answer"
_MODES = {
    "auto": ToolMode.AUTO,
    "any": ToolMode.REQUIRED,
    "tool": ToolMode.NAMED,
    "none": ToolMode.NONE,
}
_UNUSED_OF_TOOLS = {
    "allowed_callers": "ignored: every tool is called directly",
    "defer_loading": "ignored: every tool is there from the start",
    "eager_input_streaming": "ignored: arguments are streamed as they are written",
    "input_examples": "ignored: engines take none",
}
_NOTED = tuple(row for row in PARAMETERS if row.treatment is Treatment.IGNORED)


def parse(raw: bytes) -> Parsed:
    """Raises Problem MALFORMED_JSON, MISSING_FIELD, WRONG_TYPE, INVALID_VALUE or
    UNSUPPORTED_FEATURE, naming ``param``."""
    strangers = Strangers()
    fields = BODY.read(read_object(raw), "", strangers)
    notes = Notes()
    for row in _NOTED:
        if row.name in fields:
            notes.add(row.name, row.note)
    tools = _tools(fields, notes)
    tool_choice, parallel = _tool_choice(fields, tools)
    messages = system_of(fields.get("system", ()), notes) + messages_of(fields["messages"], notes)
    if not messages:
        bad_value("messages", "holds nothing that is served here")
    turn = Turn(
        model=fields["model"],
        messages=messages,
        output_tokens_max=fields.get("max_tokens"),
        sampling=Sampling(
            temperature=fields.get("temperature"),
            top_p=fields.get("top_p"),
            stop=fields.get("stop_sequences", ()),
        ),
        output_format=_output_format(fields, notes),
        tools=tools,
        tool_choice=tool_choice,
        parallel_tool_calls=parallel,
        reasoning_effort=_effort(fields, notes),
        effort_optional=True,
        end_customer=fields.get("metadata", {}).get("user_id") or None,
    )
    stream = fields.get("stream", False)
    shown = _reasoning_shown(fields, notes)
    return Parsed(turn, stream, stream, notes.finished(strangers), reasoning_shown=shown)


def _tools(fields: Json, notes: Notes) -> tuple[Tool, ...]:
    made: dict[str, Tool] = {}
    for place, one in enumerate(fields.get("tools", ())):
        if one["type"] != OWN_TOOL:
            continue
        say_unused(one, "tools[]", notes)
        for name, what in _UNUSED_OF_TOOLS.items():
            if one.get(name):
                notes.add(f"tools[].{name}", what)
        if one["name"] in made:
            bad_value(f"tools[{place}].name", f"names the tool {one['name']} a second time")
        made[one["name"]] = Tool(
            one["name"],
            one.get("description", ""),
            one["input_schema"],
            one.get("strict", False),
        )
    return tuple(made.values())


def _tool_choice(fields: Json, tools: tuple[Tool, ...]) -> tuple[ToolChoice, bool | None]:
    """The choice, and whether several calls at once are wanted; None where that is not said."""
    asked = fields.get("tool_choice", {"type": "auto"})
    mode = _MODES[asked["type"]]
    if mode is ToolMode.REQUIRED and not tools:
        bad_value("tool_choice", "is any, and there are no tools")
    name = asked.get("name")
    if mode is ToolMode.NAMED and name not in {tool.name for tool in tools}:
        bad_value("tool_choice", f"names the tool {name}, which is not among the tools")
    single = asked.get("disable_parallel_tool_use")
    return ToolChoice(mode, name), None if single is None else not single


def _output_format(fields: Json, notes: Notes) -> OutputFormat:
    newer = fields.get("output_config", {}).get("format")
    older = fields.get("output_format")
    if older is not None:
        what = "translated to output_config.format" if newer is None else "ignored: the newer wins"
        notes.add("output_format", what)
    wanted = newer or older
    if wanted is None:
        return OutputFormat()
    return OutputFormat(FormatKind.JSON_SCHEMA, FORMAT_NAME, wanted["schema"], strict=True)


def _effort(fields: Json, notes: Notes) -> str | None:
    """The level that the engine is asked for, where it takes one."""
    stated: str | None = fields.get("output_config", {}).get("effort")
    thinking = fields.get("thinking", {})
    match thinking.get("type"):
        case "disabled":
            notes.add("thinking", "translated to effort none")
            if stated is not None:
                notes.add("output_config.effort", "ignored: thinking is disabled")
            return "none"
        case "enabled" if stated is None:
            effort = _effort_of(thinking["budget_tokens"])
            notes.add("thinking.budget_tokens", f"translated to effort {effort}")
            return effort
        case "enabled":
            notes.add("thinking.budget_tokens", "ignored: output_config.effort wins")
        case "between_tools":
            notes.add("thinking", "ignored: the model decides when it thinks")
    return stated


def _effort_of(budget_tokens: int) -> str:
    if budget_tokens <= LOW_BUDGET_TOKENS_MAX:
        return "low"
    return "medium" if budget_tokens <= MEDIUM_BUDGET_TOKENS_MAX else "high"


def _reasoning_shown(fields: Json, notes: Notes) -> bool:
    thinking = fields.get("thinking", {})
    if thinking.get("type") == "disabled":
        return False
    if thinking.get("display") == "omitted":
        notes.add("thinking.display", "translated: no thinking in the answer")
        return False
    return True
