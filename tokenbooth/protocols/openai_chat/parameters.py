"""Every documented parameter of Chat Completions and what becomes of it: one table.

It drives the reader, ``docs/parameters.md`` and the request schema of the OpenAPI document.
"""

from collections.abc import Mapping

from tokenbooth.core.terms import ServiceTier
from tokenbooth.protocols.open_shape import Open
from tokenbooth.protocols.openai_chat.messages import (
    FUNCTION_NAME,
    MESSAGE,
    MESSAGES_MAX,
)
from tokenbooth.protocols.parameters import Parameter, Treatment
from tokenbooth.protocols.shape import (
    Either,
    Field,
    Flag,
    FreeObject,
    Listed,
    Numbers,
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
OUTPUT_TOKENS_MAX = 2**31 - 1
CHOICES_MAX = 8
STOPS_MAX = 4
TOOLS_MAX = 128
SCHEMA_BYTES_MAX = 256 * 1024
END_CUSTOMER_CHARS_MAX = 256
MODEL_CHARS_MAX = 256


def _open(cases: Mapping[str, Record]) -> Open:
    """Tools by their type; those of a type that is not known here are read by that alone."""
    return Open("type", tagged("type", cases).cases)


_DESCRIBED = {
    "name": Field(Text(pattern=FUNCTION_NAME), required=True),
    "description": Field(Text()),
    "parameters": Field(FreeObject(SCHEMA_BYTES_MAX)),
}
_NAMED = Record({"name": Field(Text(pattern=FUNCTION_NAME), required=True)})
_GRAMMAR = Record(
    {
        "syntax": Field(Text(choices=("lark", "regex")), required=True),
        "definition": Field(Text(high=SCHEMA_BYTES_MAX), required=True),
    }
)
_CUSTOM = Record(
    {
        "name": Field(Text(pattern=FUNCTION_NAME), required=True),
        "description": Field(Text()),
        "format": Field(
            tagged(
                "type",
                {
                    "text": Record({}),
                    "grammar": Record({"grammar": Field(_GRAMMAR, required=True)}),
                },
            )
        ),
    }
)
_TOOL = _open(
    {
        "function": Record(
            {"function": Field(Record({**_DESCRIBED, "strict": Field(Flag())}), required=True)}
        ),
        "custom": Record({"custom": Field(_CUSTOM, required=True)}),
    }
)
_TOOL_REFS = {
    "function": Record({"function": Field(_NAMED, required=True)}),
    "custom": Record({"custom": Field(_NAMED, required=True)}),
}
_ALLOWED = Record(
    {
        "mode": Field(Text(choices=("auto", "required")), required=True),
        "tools": Field(Listed(_open(_TOOL_REFS), 1, TOOLS_MAX), required=True),
    }
)
_TOOL_CHOICE = Either(
    Text(choices=("none", "auto", "required")),
    _open(
        {**_TOOL_REFS, "allowed_tools": Record({"allowed_tools": Field(_ALLOWED, required=True)})}
    ),
)
_JSON_SCHEMA = Record(
    {
        "name": Field(Text(pattern=FUNCTION_NAME), required=True),
        "description": Field(Text()),
        "schema": Field(FreeObject(SCHEMA_BYTES_MAX), required=True),
        "strict": Field(Flag()),
    }
)
_FORMAT = tagged(
    "type",
    {
        "text": Record({}),
        "json_object": Record({}),
        "json_schema": Record({"json_schema": Field(_JSON_SCHEMA, required=True)}),
    },
)
_END_CUSTOMER = Text(high=END_CUSTOMER_CHARS_MAX)
_OUTPUT_LIMIT = Whole(1, OUTPUT_TOKENS_MAX)
_PENALTY = Real(-2, 2)

_H, _T, _I, _R = Treatment
_HINTED = "A hint; an upstream gets it where the operator lets it through."
_HINT = "a hint; the engine may ignore it"
_AFFINE = (
    "Calls with one key go to one deployment of the model, while it is up and has room. An "
    "upstream gets it where the operator lets it through."
)

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "messages",
        _H,
        Listed(MESSAGE, 1, MESSAGES_MAX),
        "Roles system, developer, user, assistant, tool. Parts: text, refusal, and of the user "
        "image_url, file (PDF or text), input_audio, video_url, as far as the model takes them. "
        "The legacy role function becomes tool.",
        required=True,
    ),
    Parameter(
        "model",
        _H,
        Text(low=1, high=MODEL_CHARS_MAX),
        "A name from GET /v1/models.",
        required=True,
    ),
    Parameter("stream", _H, Flag(), "Server-sent events instead of one body."),
    Parameter(
        "stream_options",
        _H,
        Record({"include_usage": Field(Flag()), "include_obfuscation": Field(Flag())}),
        "include_usage is honoured. include_obfuscation is ignored with a note, and so is the "
        "whole object without stream.",
    ),
    Parameter(
        "max_completion_tokens",
        _H,
        _OUTPUT_LIMIT,
        "Upper limit of output tokens for each choice; lowered to what the context window and "
        "the money allow, and said so.",
    ),
    Parameter(
        "max_tokens",
        _H,
        _OUTPUT_LIMIT,
        "The older name of max_completion_tokens, which wins where both are sent.",
    ),
    Parameter("temperature", _H, Real(0, 2), "0 to 2."),
    Parameter("top_p", _H, Real(0, 1, open_low=True), "Over 0, to 1."),
    Parameter("presence_penalty", _H, _PENALTY, "-2 to 2."),
    Parameter("frequency_penalty", _H, _PENALTY, "-2 to 2."),
    Parameter("n", _H, Whole(1, CHOICES_MAX), "1 to 8 choices; each is charged."),
    Parameter(
        "stop",
        _H,
        Either(Text(low=1, high=1024), Listed(Text(low=1, high=1024), 0, STOPS_MAX)),
        "One string or up to 4; the answer does not contain it.",
    ),
    Parameter("seed", _H, Whole(-(2**63), 2**63 - 1), "A 64-bit integer."),
    Parameter(
        "logit_bias",
        _H,
        Numbers(r"^[0-9]{1,9}$", Real(-100, 100), 1024),
        "Token ids to values from -100 to 100; at most 1024.",
    ),
    Parameter("logprobs", _H, Flag(), "Log probabilities of the chosen tokens."),
    Parameter(
        "top_logprobs",
        _H,
        Whole(0, 20),
        "0 to 20 alternatives at each place; needs logprobs: true.",
    ),
    Parameter(
        "response_format",
        _H,
        _FORMAT,
        "text, json_object, or json_schema with a schema of at most 256 KiB. Local models are held "
        "to it while they write; of others a whole answer is checked, and asked for once more "
        "within the money that is held. x-tokenbooth-structured says which. With strict, a local "
        "model refuses a schema that it cannot be held to. Its description is ignored with a note.",
    ),
    Parameter(
        "tools",
        _H,
        Listed(_TOOL, 0, TOOLS_MAX),
        "Up to 128. A custom tool is translated to a function with one string; its grammar is told "
        "to the model and not enforced. Tools of other types are skipped with a note. No schema is "
        "refused: a local model is held to it while it writes, except for keywords that a note "
        "names; the arguments of a whole answer are checked where they were not.",
    ),
    Parameter(
        "tool_choice",
        _H,
        _TOOL_CHOICE,
        "none, auto, required, one function or custom tool. allowed_tools is translated: the other "
        "tools are left out of the call. The choice of another type is ignored with a note.",
    ),
    Parameter(
        "parallel_tool_calls", _H, Flag(), "With false a local model calls one tool at most."
    ),
    Parameter(
        "functions",
        _T,
        Listed(Record(_DESCRIBED), 0, TOOLS_MAX),
        "The older form of tools; calls come back in tool_calls. Where both are sent, tools wins.",
        "translated to tools; calls come back in tool_calls",
    ),
    Parameter(
        "function_call",
        _T,
        Either(Text(choices=("none", "auto")), _NAMED),
        "The older form of tool_choice, which wins where both are sent.",
        "translated to tool_choice",
    ),
    Parameter(
        "reasoning_effort",
        _H,
        Text(choices=("none", "minimal", "low", "medium", "high", "xhigh", "max")),
        "Passed to engines that reason; a local model gets the switch or the levels of its own "
        "template. Others refuse it.",
    ),
    Parameter("verbosity", _I, Text(choices=("low", "medium", "high")), _HINTED, _HINT),
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
        "safety_identifier",
        _H,
        _END_CUSTOMER,
        "The end customer, at most 256 characters; kept with the record of the call.",
    ),
    Parameter("user", _H, _END_CUSTOMER, "The older name of safety_identifier, which wins."),
    Parameter(
        "metadata",
        _I,
        Record({"user_id": Field(_END_CUSTOMER)}, open_ended=True),
        "user_id names the end customer where safety_identifier and user do not; the rest is not "
        "stored.",
        "not stored",
    ),
    Parameter(
        "store",
        _I,
        Flag(),
        "Answers are not stored; false is honoured.",
        "ignored: answers are not stored",
    ),
    Parameter(
        "service_tier",
        _H,
        Text(choices=tuple(SERVICE_TIERS), unsupported=("scale", "fast")),
        "auto and default are the standard tier. flex and priority are served where the model has "
        "a price for them, and then stand in the answer; otherwise they are refused.",
    ),
    Parameter(
        "prediction",
        _I,
        Record({}, open_ended=True),
        "It could only save time, never change the answer.",
        "ignored: the answer is the same",
    ),
    Parameter(
        "modalities",
        _H,
        Listed(Text(choices=("text",), unsupported=("audio",)), 1, 1),
        'Only ["text"].',
    ),
    Parameter("audio", _R, Refused("audio output is not served here"), "No audio output."),
    Parameter(
        "web_search_options",
        _R,
        Refused("web search is not served here"),
        "No web search.",
    ),
    Parameter(
        "moderation",
        _R,
        Refused("moderated completions are not served here"),
        "No moderation scores.",
    ),
)

BODY = Record(
    {row.name: Field(row.shape, row.required, row.text) for row in PARAMETERS},
    {
        "if": {
            "properties": {"top_logprobs": {"type": "integer", "minimum": 1}},
            "required": ["top_logprobs"],
        },
        "then": {"properties": {"logprobs": {"const": True}}, "required": ["logprobs"]},
    },
)
