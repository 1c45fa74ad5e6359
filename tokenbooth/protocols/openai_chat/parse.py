"""A Chat Completions body to a Turn, with a note for everything not honoured as sent."""

from collections.abc import Iterator

from tokenbooth.core.turn import (
    FormatKind,
    LogprobsAsk,
    OutputFormat,
    Sampling,
    Tool,
    ToolChoice,
    ToolMode,
    Turn,
)
from tokenbooth.protocols.custom_tools import NOT_ENFORCED, TRANSLATED, custom_tool
from tokenbooth.protocols.dialect import Parsed
from tokenbooth.protocols.notes import Notes
from tokenbooth.protocols.openai_chat.messages import messages_of
from tokenbooth.protocols.openai_chat.parameters import BODY, PARAMETERS, SERVICE_TIERS
from tokenbooth.protocols.openai_chat.usual import usual
from tokenbooth.protocols.parameters import Treatment
from tokenbooth.protocols.shape import Json, Strangers, bad_value
from tokenbooth.protocols.strict_json import read_object

CUSTOM = "custom"
_CALLABLE = ("function", CUSTOM)
NO_PARAMETERS = '{"type":"object","properties":{}}'
_NOTED = tuple(
    row for row in PARAMETERS if row.treatment in (Treatment.TRANSLATED, Treatment.IGNORED)
)


def parse(raw: bytes) -> Parsed:
    """Raises Problem MALFORMED_JSON, MISSING_FIELD, WRONG_TYPE, INVALID_VALUE or
    UNSUPPORTED_FEATURE, naming ``param``."""
    return usual(raw) or parse_any(raw)


def parse_any(raw: bytes) -> Parsed:
    """The same by the table of all parameters."""
    strangers = Strangers()
    fields = BODY.read(read_object(raw), "", strangers)
    notes = Notes()
    for row in _NOTED:
        if row.name in fields and fields[row.name] is not False:
            notes.add(row.name, row.note)
    tools, tool_choice = _tools(fields, notes)
    turn = Turn(
        model=fields["model"],
        messages=messages_of(fields["messages"], notes),
        output_tokens_max=_output_tokens_max(fields, notes),
        sampling=_sampling(fields),
        choices=fields.get("n", 1),
        logprobs=_logprobs(fields),
        output_format=_output_format(fields, notes),
        tools=tools,
        tool_choice=tool_choice,
        parallel_tool_calls=fields.get("parallel_tool_calls"),
        reasoning_effort=fields.get("reasoning_effort"),
        end_customer=_end_customer(fields, notes),
        service_tier=SERVICE_TIERS[fields.get("service_tier", "auto")],
        hints={name: fields[name] for name in ("verbosity", "prompt_cache_key") if name in fields},
    )
    stream = fields.get("stream", False)
    include_usage = _include_usage(fields, notes) and stream
    echo = {CUSTOM: names} if (names := _customs(fields)) else {}
    return Parsed(turn, stream, include_usage, notes.finished(strangers), echo=echo)


def _output_tokens_max(fields: Json, notes: Notes) -> int | None:
    newer: int | None = fields.get("max_completion_tokens")
    older: int | None = fields.get("max_tokens")
    if newer is None:
        return older
    if older not in (None, newer):
        notes.add("max_tokens", "ignored: max_completion_tokens wins")
    return newer


def _sampling(fields: Json) -> Sampling:
    stop = fields.get("stop", ())
    return Sampling(
        temperature=fields.get("temperature"),
        top_p=fields.get("top_p"),
        presence_penalty=fields.get("presence_penalty"),
        frequency_penalty=fields.get("frequency_penalty"),
        seed=fields.get("seed"),
        stop=(stop,) if isinstance(stop, str) else stop,
        logit_bias=tuple((int(name), value) for name, value in fields.get("logit_bias", ())),
    )


def _logprobs(fields: Json) -> LogprobsAsk | None:
    top = fields.get("top_logprobs", 0)
    if fields.get("logprobs"):
        return LogprobsAsk(top)
    if top:
        bad_value("top_logprobs", "needs logprobs: true")
    return None


def _output_format(fields: Json, notes: Notes) -> OutputFormat:
    asked = fields.get("response_format")
    if asked is None:
        return OutputFormat()
    kind = FormatKind(asked["type"])
    if kind is not FormatKind.JSON_SCHEMA:
        return OutputFormat(kind)
    wanted = asked["json_schema"]
    if "description" in wanted:
        notes.add("response_format.json_schema.description", "ignored: engines take none")
    return OutputFormat(kind, wanted["name"], wanted["schema"], wanted.get("strict", False))


def _tools(fields: Json, notes: Notes) -> tuple[tuple[Tool, ...], ToolChoice]:
    for newer, older in (("tools", "functions"), ("tool_choice", "function_call")):
        if newer in fields and older in fields:
            notes.replace(older, f"ignored: {newer} wins")
            del fields[older]
    tools: dict[str, Tool] = {}
    for tool, path in _described(fields, notes):
        if tool.name in tools:
            bad_value(f"{path}.name", f"names the function {tool.name} a second time")
        tools[tool.name] = tool
    if "function_call" in fields:
        choice = fields["function_call"]
        if not isinstance(choice, str):
            choice = {"type": "function", "function": choice}
        return _chosen(tools, choice, "function_call", notes)
    return _chosen(tools, fields.get("tool_choice", "auto"), "tool_choice", notes)


def _described(fields: Json, notes: Notes) -> Iterator[tuple[Tool, str]]:
    """Each tool that can be called here, and where it stands."""
    for place, tool in _each(fields, "tools"):
        if tool["type"] == "function":
            yield _function(tool["function"]), f"tools[{place}].function"
        elif tool["type"] == CUSTOM:
            yield _custom(tool[CUSTOM], notes), f"tools[{place}].{CUSTOM}"
    for place, one in _each(fields, "functions"):
        yield _function(one), f"functions[{place}]"


def _function(one: Json) -> Tool:
    schema = one.get("parameters", NO_PARAMETERS)
    return Tool(one["name"], one.get("description", ""), schema, one.get("strict", False))


def _custom(one: Json, notes: Notes) -> Tool:
    notes.add("tools[].type=custom", TRANSLATED)
    wanted = one.get("format", {"type": "text"})
    grammar = None
    if wanted["type"] == "grammar":
        notes.add("tools[].custom.format", NOT_ENFORCED)
        grammar = wanted["grammar"]["syntax"], wanted["grammar"]["definition"]
    return custom_tool(one["name"], one.get("description", ""), grammar)


def _customs(fields: Json) -> list[str]:
    """The names of custom tools, whose calls the answer words otherwise."""
    return [tool[CUSTOM]["name"] for _, tool in _each(fields, "tools") if tool["type"] == CUSTOM]


def _each(fields: Json, name: str) -> enumerate[Json]:
    return enumerate(fields.get(name, ()))


def _chosen(
    tools: dict[str, Tool], choice: str | Json, path: str, notes: Notes
) -> tuple[tuple[Tool, ...], ToolChoice]:
    if isinstance(choice, str):
        mode = ToolMode(choice)
        if mode is ToolMode.REQUIRED and not tools:
            bad_value(path, "is required, and there are no tools")
        return tuple(tools.values()), ToolChoice(mode)
    if choice["type"] in _CALLABLE:
        name = choice[choice["type"]]["name"]
        _known(tools, name, path)
        return tuple(tools.values()), ToolChoice(ToolMode.NAMED, name)
    if choice["type"] != "allowed_tools":
        return tuple(tools.values()), ToolChoice()
    allowed = choice["allowed_tools"]
    names = [ref[ref["type"]]["name"] for ref in allowed["tools"] if ref["type"] in _CALLABLE]
    for name in names:
        _known(tools, name, path)
    notes.add(path, "translated: tools that are not allowed are left out")
    kept = tuple(tool for tool in tools.values() if tool.name in names)
    return kept, ToolChoice(ToolMode(allowed["mode"]))


def _known(tools: dict[str, Tool], name: str, path: str) -> None:
    if name not in tools:
        bad_value(path, f"names the function {name}, which is not among the tools")


def _end_customer(fields: Json, notes: Notes) -> str | None:
    said: dict[str, str | None] = {
        "safety_identifier": fields.get("safety_identifier"),
        "user": fields.get("user"),
        "metadata.user_id": fields.get("metadata", {}).get("user_id"),
    }
    winner = next((name for name, value in said.items() if value), None)
    if winner is None:
        return None
    for name, value in said.items():
        if value and value != said[winner]:
            notes.add(name, f"ignored: {winner} wins")
    return said[winner]


def _include_usage(fields: Json, notes: Notes) -> bool:
    options = fields.get("stream_options", {})
    if options.get("include_obfuscation"):
        notes.add("stream_options.include_obfuscation", "ignored: nothing is obfuscated")
    if "include_usage" in options and not fields.get("stream"):
        notes.add("stream_options", "ignored: the call is not streamed")
    return bool(options.get("include_usage"))
