"""Every documented parameter of Messages and what becomes of it: one table.

It drives the reader, ``docs/parameters.md`` and the request schema of the OpenAPI document.
"""

from tokenbooth.protocols.anthropic_messages.blocks import SYSTEM, open_tagged
from tokenbooth.protocols.anthropic_messages.messages import MESSAGE, MESSAGES_MAX
from tokenbooth.protocols.open_shape import Anything, Open
from tokenbooth.protocols.parameters import Parameter, Treatment
from tokenbooth.protocols.shape import (
    Field,
    Flag,
    FreeObject,
    Listed,
    Real,
    Record,
    Refused,
    Text,
    Whole,
    tagged,
)

COUNT_MAX = 2**31 - 1
STOPS_MAX = 16
TOOLS_MAX = 1024
SCHEMA_BYTES_MAX = 256 * 1024
END_CUSTOMER_CHARS_MAX = 256
MODEL_CHARS_MAX = 256
TOOL_NAME = r"^[a-zA-Z0-9_-]{1,128}$"
OWN_TOOL = "custom"

_TOOL = open_tagged(
    {
        OWN_TOOL: {
            "name": Field(Text(pattern=TOOL_NAME), required=True),
            "description": Field(Text()),
            "input_schema": Field(FreeObject(SCHEMA_BYTES_MAX), required=True),
            "strict": Field(Flag()),
            "allowed_callers": Field(Anything()),
            "defer_loading": Field(Anything()),
            "eager_input_streaming": Field(Anything()),
            "input_examples": Field(Anything()),
        }
    },
    default=OWN_TOOL,
)
_ONE_CALL = {"disable_parallel_tool_use": Field(Flag())}
_TOOL_CHOICE = tagged(
    "type",
    {
        "auto": Record(_ONE_CALL),
        "any": Record(_ONE_CALL),
        "tool": Record({"name": Field(Text(pattern=TOOL_NAME), required=True), **_ONE_CALL}),
        "none": Record(_ONE_CALL),
    },
)
_FORMAT = tagged(
    "type",
    {"json_schema": Record({"schema": Field(FreeObject(SCHEMA_BYTES_MAX), required=True)})},
)
_DISPLAY = {"display": Field(Text())}
_THINKING = Open(
    "type",
    tagged(
        "type",
        {
            "enabled": Record(
                {"budget_tokens": Field(Whole(0, COUNT_MAX), required=True), **_DISPLAY}
            ),
            "adaptive": Record(_DISPLAY),
            "between_tools": Record(_DISPLAY),
            "disabled": Record(_DISPLAY),
        },
    ).cases,
)
_OUTPUT_CONFIG = Record(
    {
        "effort": Field(Text(choices=("low", "medium", "high", "xhigh", "max"))),
        "format": Field(_FORMAT),
    }
)

_H, _T, _I, _R = Treatment
_NOT_SERVED = "ignored: not served here"

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "model",
        _H,
        Text(low=1, high=MODEL_CHARS_MAX),
        "A name from GET /v1/models.",
        required=True,
    ),
    Parameter(
        "messages",
        _H,
        Listed(MESSAGE, 1, MESSAGES_MAX),
        "Roles user, assistant and system. Blocks: text, image, document (PDF, text) and "
        "video, as far as the model takes them, search_result, tool_use, tool_result, thinking, "
        "redacted_thinking. Blocks of other kinds are ignored with a note.",
        required=True,
    ),
    Parameter(
        "max_tokens",
        _H,
        Whole(1, COUNT_MAX),
        "Upper limit of output tokens; lowered to what the context window and the money allow, "
        "and said so. It may be left out: then the model's own limit holds.",
    ),
    Parameter(
        "system",
        _H,
        SYSTEM,
        "A string or text blocks. A client's billing line is left out, and noted: it changes with "
        "each call, so nothing behind it could be cached.",
    ),
    Parameter("stream", _H, Flag(), "Server-sent events instead of one body."),
    Parameter("temperature", _H, Real(0, 1), "0 to 1."),
    Parameter("top_p", _H, Real(0, 1, open_low=True), "Over 0, to 1."),
    Parameter(
        "top_k",
        _I,
        Whole(0, COUNT_MAX),
        "Not every engine has it.",
        "ignored: engines take none",
    ),
    Parameter(
        "stop_sequences",
        _H,
        Listed(Text(low=1, high=1024), 0, STOPS_MAX),
        "Up to 16; the answer does not contain them. stop_reason is stop_sequence where the engine "
        "tells which one it met, else end_turn.",
    ),
    Parameter(
        "tools",
        _H,
        Listed(_TOOL, 0, TOOLS_MAX),
        "Tools with an input_schema of at most 256 KiB. Tools of other types, which a server "
        "would run or whose schema a model must know, are left out with a note.",
    ),
    Parameter(
        "tool_choice",
        _H,
        _TOOL_CHOICE,
        "auto, any, tool or none, with disable_parallel_tool_use.",
    ),
    Parameter(
        "thinking",
        _T,
        _THINKING,
        "disabled is effort none and keeps thinking out of the answer, as display omitted does. "
        "enabled is effort low, medium or high by its budget: up to 4096, up to 16384, more. "
        "adaptive leaves it to the model. A model without effort levels ignores it, and says so.",
        "translated to an effort level",
    ),
    Parameter(
        "output_config",
        _H,
        _OUTPUT_CONFIG,
        "effort goes before a thinking budget; a model without effort levels ignores it, and says "
        "so. format is json_schema, with a schema of at most 256 KiB, kept as response_format of a "
        "chat is.",
    ),
    Parameter(
        "output_format",
        _T,
        _FORMAT,
        "The older form of output_config.format, which wins where both are sent.",
        "translated to output_config.format",
    ),
    Parameter(
        "metadata",
        _H,
        Record({"user_id": Field(Text(high=END_CUSTOMER_CHARS_MAX))}),
        "user_id names the end customer, at most 256 characters; kept with the record of the call.",
    ),
    Parameter(
        "service_tier",
        _H,
        Text(choices=("auto", "standard_only")),
        "Both are the standard tier.",
    ),
    Parameter(
        "cache_control",
        _I,
        Anything(),
        "Taken here and in every block and tool. The engine decides what is cached; usage says "
        "what was read from its cache.",
        "ignored: the engine decides what is cached",
    ),
    Parameter(
        "context_management",
        _I,
        Anything(),
        "The model gets the messages as they are sent.",
        "ignored: messages are passed on as sent",
    ),
    Parameter("speed", _I, Anything(), "There is one speed.", "ignored: there is one speed"),
    Parameter(
        "inference_geo", _I, Anything(), "There is one place.", "ignored: there is one place"
    ),
    Parameter("container", _I, Anything(), "No code is run here.", _NOT_SERVED),
    Parameter("mcp_servers", _I, Anything(), "No tools of other servers.", _NOT_SERVED),
    Parameter("diagnostics", _I, Anything(), "No diagnostics in the answer.", _NOT_SERVED),
    Parameter(
        "fallbacks",
        _I,
        Anything(),
        "A model here may have several deployments; another model is never called instead.",
        _NOT_SERVED,
    ),
    Parameter("fallback_credit_token", _I, Anything(), "Goes with fallbacks.", _NOT_SERVED),
    Parameter(
        "billing_policy",
        _I,
        Anything(),
        "The organization of the key pays.",
        "ignored: the organization of the key pays",
    ),
    Parameter(
        "thread",
        _R,
        Refused("conversations are not kept here; send all messages"),
        "No conversations are kept: without their messages the answer would be another one.",
    ),
    Parameter(
        "compaction",
        _R,
        Refused("compaction is not served here"),
        "No compaction: the answer would be one of another kind.",
    ),
)

BODY = Record({row.name: Field(row.shape, row.required, row.text) for row in PARAMETERS})
