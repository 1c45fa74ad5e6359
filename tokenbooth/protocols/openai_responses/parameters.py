"""Every documented parameter of Responses and what becomes of it: one table.

It drives the reader, ``docs/parameters.md`` and the request schema of the OpenAPI document.
"""

from tokenbooth.core.terms import ServiceTier
from tokenbooth.protocols.openai_responses.items import INPUT
from tokenbooth.protocols.openai_responses.shapes import Anything, Kinds, TextMap
from tokenbooth.protocols.parameters import Parameter, Treatment
from tokenbooth.protocols.shape import (
    Either,
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

SERVICE_TIERS = {
    "auto": ServiceTier.STANDARD,
    "default": ServiceTier.STANDARD,
    "flex": ServiceTier.FLEX,
    "priority": ServiceTier.PRIORITY,
}
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
SUMMARIES = ("auto", "concise", "detailed")
LOGPROBS_INCLUDED = "message.output_text.logprobs"
OUTPUT_TOKENS_MAX = 2**31 - 1
TOOLS_MAX = 128
SCHEMA_BYTES_MAX = 256 * 1024
END_CUSTOMER_CHARS_MAX = 256
MODEL_CHARS_MAX = 256
FUNCTION_NAME = r"^[a-zA-Z0-9_-]{1,128}$"

_NAME = Field(Text(pattern=FUNCTION_NAME), required=True)
_GRAMMAR = Record(
    {
        "syntax": Field(Text(choices=("lark", "regex")), required=True),
        "definition": Field(Text(high=SCHEMA_BYTES_MAX), required=True),
    }
)
_CALLABLE = {
    "function": Record(
        {
            "name": _NAME,
            "description": Field(Text()),
            "parameters": Field(FreeObject(SCHEMA_BYTES_MAX)),
            "strict": Field(Flag()),
        }
    ),
    "custom": Record(
        {
            "name": _NAME,
            "description": Field(Text()),
            "format": Field(tagged("type", {"text": Record({}), "grammar": _GRAMMAR})),
        }
    ),
}
_INNER_TOOL = Kinds(_CALLABLE, refused={}, untyped={})
_NAMESPACE = Record(
    {
        "name": _NAME,
        "description": Field(Text()),
        "tools": Field(Listed(_INNER_TOOL, 0, TOOLS_MAX), required=True),
    }
)
_TOOL = Kinds({**_CALLABLE, "namespace": _NAMESPACE}, refused={}, untyped={})
_REF = Kinds(
    dict.fromkeys(("function", "custom", "namespace"), Record({"name": _NAME})),
    refused={},
    untyped={},
)
_TOOL_CHOICE = Kinds(
    {
        "function": Record({"name": _NAME}),
        "custom": Record({"name": _NAME}),
        "allowed_tools": Record(
            {
                "mode": Field(Text(choices=("auto", "required")), required=True),
                "tools": Field(Listed(_REF, 1, TOOLS_MAX), required=True),
            }
        ),
    },
    refused={},
    untyped={},
)
_FORMAT = tagged(
    "type",
    {
        "text": Record({}),
        "json_object": Record({}),
        "json_schema": Record(
            {
                "name": _NAME,
                "description": Field(Text()),
                "schema": Field(FreeObject(SCHEMA_BYTES_MAX), required=True),
                "strict": Field(Flag()),
            }
        ),
    },
)
_END_CUSTOMER = Text(high=END_CUSTOMER_CHARS_MAX)

_H, _T, _I, _R = Treatment
_AFFINE = (
    "Calls with one key go to one deployment of the model, while it is up and has room. An "
    "upstream gets it where the operator lets it through."
)
_NOT_KEPT = "conversations are not stored here; use previous_response_id"
RESPONSE_ID_CHARS_MAX = 128

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "input",
        _H,
        INPUT,
        "A text, or items: message (input_text, output_text, refusal, and of the user "
        "input_image, input_file, input_audio, input_video, as far as the model takes them), "
        "function_call, custom_tool_call and their outputs. Reasoning is a hint to the engine; "
        "items of hosted tools are skipped with a note. An item_reference names an item of a "
        "stored response of this project; a compaction is opened for its project alone.",
        required=True,
    ),
    Parameter(
        "model",
        _H,
        Text(low=1, high=MODEL_CHARS_MAX),
        "A name from GET /v1/models.",
        required=True,
    ),
    Parameter("instructions", _H, Text(), "Stands before the input as a system message."),
    Parameter("stream", _H, Flag(), "Server-sent events instead of one body."),
    Parameter(
        "stream_options",
        _H,
        Record({"include_obfuscation": Field(Flag())}),
        "Nothing is obfuscated; include_obfuscation: true is ignored with a note.",
    ),
    Parameter(
        "max_output_tokens",
        _H,
        Whole(1, OUTPUT_TOKENS_MAX),
        "Upper limit of output tokens; lowered to what the context window and the money allow, "
        "and said so.",
    ),
    Parameter("temperature", _H, Real(0, 2), "0 to 2."),
    Parameter("top_p", _H, Real(0, 1, open_low=True), "Over 0, to 1."),
    Parameter(
        "top_logprobs",
        _H,
        Whole(0, 20),
        "0 to 20 alternatives at each place; over 0 it asks for log probabilities.",
    ),
    Parameter(
        "include",
        _H,
        Listed(Text(high=256), 0, 64),
        f"{LOGPROBS_INCLUDED} and reasoning.encrypted_content are honoured; all others are ignored "
        "with a note.",
    ),
    Parameter(
        "tools",
        _H,
        Listed(_TOOL, 0, TOOLS_MAX),
        "Up to 128. A custom tool is translated to a function with one string; its grammar is "
        "told to the model and not enforced. The model sees a tool of a namespace under both "
        "names joined. Tools of other types are skipped with a note.",
    ),
    Parameter(
        "tool_choice",
        _H,
        Either(Text(choices=("none", "auto", "required")), _TOOL_CHOICE),
        "none, auto, required, one function or custom tool. allowed_tools is translated: the other "
        "tools are left out of the call. The choice of a hosted tool is ignored with a note.",
    ),
    Parameter(
        "parallel_tool_calls", _H, Flag(), "With false a local model calls one tool at most."
    ),
    Parameter(
        "max_tool_calls",
        _H,
        Whole(1, OUTPUT_TOKENS_MAX),
        "Limits calls of hosted tools, of which none are made.",
    ),
    Parameter(
        "text",
        _H,
        Record(
            {
                "format": Field(_FORMAT),
                "verbosity": Field(Text(choices=("low", "medium", "high"))),
            }
        ),
        "format is text, json_object, or json_schema with a schema of at most 256 KiB, kept as "
        "response_format of a chat is. verbosity is a hint.",
    ),
    Parameter(
        "reasoning",
        _H,
        Record(
            {
                "effort": Field(Text(choices=EFFORTS)),
                "summary": Field(Text(choices=SUMMARIES)),
                "generate_summary": Field(Text(choices=SUMMARIES)),
                "context": Field(Anything()),
                "mode": Field(Anything()),
            }
        ),
        "effort is passed to engines that reason; others refuse it. With summary the reasoning "
        "comes in the events of a summary, unabridged. context and mode are ignored with a note.",
    ),
    Parameter(
        "metadata",
        _H,
        TextMap(16, 64, Text(high=512)),
        "Given back in the answer; user_id names the end customer where "
        "safety_identifier and user do not.",
    ),
    Parameter(
        "safety_identifier",
        _H,
        _END_CUSTOMER,
        "The end customer, at most 256 characters; kept with the record of the call.",
    ),
    Parameter("user", _H, _END_CUSTOMER, "The older name of safety_identifier, which wins."),
    Parameter(
        "service_tier",
        _H,
        Text(choices=tuple(SERVICE_TIERS), unsupported=("scale", "fast", "ultrafast")),
        "auto and default are the standard tier. flex and priority are served where the model has "
        "a price for them, and then stand in the answer; otherwise they are refused.",
    ),
    Parameter("prompt_cache_key", _H, Text(high=1024), _AFFINE),
    Parameter(
        "prompt_cache_retention",
        _I,
        Text(choices=("in_memory", "24h", "in-memory")),
        "The engine decides how long a prefix stays cached.",
        "ignored: the engine decides",
    ),
    Parameter(
        "prompt_cache_options",
        _I,
        Record({}, open_ended=True),
        "The engine decides what is cached.",
        "ignored: the engine decides",
    ),
    Parameter(
        "store",
        _H,
        Flag(),
        "true, the default, keeps the response for GET /v1/responses/{id} and "
        "previous_response_id, as long as responses.kept_s says; the answer says false where it "
        "could not be kept.",
    ),
    Parameter(
        "truncation",
        _H,
        Text(choices=("auto", "disabled")),
        "disabled. auto is ignored with a note: an input that is too long is refused.",
    ),
    Parameter(
        "context_management",
        _I,
        Listed(Record({}, open_ended=True), 0, 64),
        "Nothing is compacted by itself; ask POST /v1/responses/compact.",
        "ignored: nothing is compacted by itself",
    ),
    Parameter(
        "image",
        _I,
        Record({}, open_ended=True),
        "The engine decides how it sees images.",
        "ignored: the engine decides",
    ),
    Parameter(
        "access_programs",
        _I,
        Record({}, open_ended=True),
        "There are none here.",
        "ignored: there are none here",
    ),
    Parameter(
        "background",
        _H,
        Flag(),
        "true answers at once, and the response is read, followed or cancelled later; it needs "
        "store.",
    ),
    Parameter(
        "previous_response_id",
        _H,
        Text(low=1, high=RESPONSE_ID_CHARS_MAX),
        "A stored response of this project: its conversation stands before the input, its "
        "instructions do not.",
    ),
    Parameter(
        "conversation",
        _R,
        Refused(_NOT_KEPT),
        "Conversations are not stored; use previous_response_id.",
    ),
    Parameter(
        "prompt", _R, Refused("prompt templates are not served here"), "No prompt templates."
    ),
    Parameter(
        "moderation",
        _R,
        Refused("moderated responses are not served here"),
        "No moderation scores.",
    ),
)

BODY = Record({row.name: Field(row.shape, row.required, row.text) for row in PARAMETERS})
