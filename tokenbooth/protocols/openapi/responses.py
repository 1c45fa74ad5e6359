"""The schemas of ``POST /v1/responses``, as JSON Schema 2020-12."""

from collections.abc import Mapping

from tokenbooth.core.delta import UsageSource
from tokenbooth.core.receipt import Outcome
from tokenbooth.protocols.openai_responses.parameters import BODY
from tokenbooth.protocols.openapi.schemas import (
    COUNT,
    COUNT_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    USES,
    Json,
    array,
    maybe,
    record,
    ref,
)

_FLAG: Json = {"type": "boolean"}
_OBJECT: Json = {"type": "object"}
_NULL: Json = {"type": "null"}
_NUMBER_OR_NULL: Json = {"type": ["number", "null"]}
_STATUS: Json = {"enum": ["completed", "incomplete"]}
# Fields of the published schema that stay empty here.
_UNUSED = (
    "conversation",
    "prompt",
    "prompt_cache_retention",
    "prompt_cache_options",
    "prompt_cache_diagnostics",
    "access_programs",
    "image",
    "input_transformations",
    "moderation",
    "tool_usage",
)


def _kind(name: str, fields: Mapping[str, Json]) -> Json:
    return record({"type": {"const": name}, **fields})


def _output() -> Json:
    alternative = {"token": TEXT, "logprob": {"type": "number"}, "bytes": array(COUNT)}
    logprobs = array(record({**alternative, "top_logprobs": array(record(alternative))}))
    text = {"text": TEXT, "annotations": array(_OBJECT), "logprobs": logprobs}
    part = {"anyOf": [_kind("output_text", text), _kind("refusal", {"refusal": TEXT})]}
    head = {"id": TEXT, "status": _STATUS}
    message = {"role": {"const": "assistant"}, "phase": _NULL, "content": array(part)}
    reasoning = {
        "summary": array(_kind("summary_text", {"text": TEXT})),
        "content": array(_kind("reasoning_text", {"text": TEXT})),
        "encrypted_content": TEXT_OR_NULL,
    }
    call = {"call_id": TEXT, "name": TEXT}
    return {
        "anyOf": [
            _kind("message", {**head, **message}),
            _kind("reasoning", {**head, **reasoning}),
            _kind("function_call", {**head, **call, "arguments": TEXT}),
            _kind("custom_tool_call", {**head, **call, "input": TEXT}),
        ]
    }


def _usage() -> Json:
    return record(
        {
            "input_tokens": COUNT,
            "input_tokens_details": record({"cached_tokens": COUNT, "cache_write_tokens": COUNT}),
            "output_tokens": COUNT,
            "output_tokens_details": record({"reasoning_tokens": COUNT}),
            "total_tokens": COUNT,
            "source": {"enum": [source.value for source in UsageSource]},
        },
        {"uses": USES, "cost": ref("Cost"), "limits": array(ref("Limit"))},
    )


def _response() -> Json:
    reasons = {"enum": ["max_output_tokens", "content_filter"]}
    return record(
        {
            "id": TEXT,
            "object": {"const": "response"},
            "created_at": COUNT,
            "status": {
                "enum": [
                    "completed",
                    "incomplete",
                    "failed",
                    "cancelled",
                    "queued",
                    "in_progress",
                ]
            },
            "background": _FLAG,
            "error": maybe(_OBJECT),
            "incomplete_details": maybe(record({"reason": reasons})),
            "model": TEXT,
            "output": array(_output()),
            "instructions": TEXT_OR_NULL,
            "max_output_tokens": COUNT_OR_NULL,
            "max_tool_calls": COUNT_OR_NULL,
            "metadata": {"type": "object", "additionalProperties": TEXT},
            "parallel_tool_calls": _FLAG,
            "prompt_cache_key": TEXT_OR_NULL,
            "reasoning": record({"effort": TEXT_OR_NULL, "summary": TEXT_OR_NULL}),
            "safety_identifier": TEXT_OR_NULL,
            "temperature": _NUMBER_OR_NULL,
            "text": record({"format": _OBJECT, "verbosity": TEXT_OR_NULL}),
            "tool_choice": {"anyOf": [{"enum": ["none", "auto", "required"]}, _OBJECT]},
            "tools": array(_OBJECT),
            "top_logprobs": COUNT,
            "top_p": _NUMBER_OR_NULL,
            "user": TEXT_OR_NULL,
            "service_tier": {"enum": ["default", "flex", "priority"]},
            "store": _FLAG,
            "completed_at": COUNT_OR_NULL,
            "previous_response_id": TEXT_OR_NULL,
            "truncation": {"const": "disabled"},
            "usage": maybe(ref("ResponseUsage")),
            **dict.fromkeys(_UNUSED, _NULL),
        },
        {"system_fingerprint": TEXT, "stopped": {"const": Outcome.CAP_REACHED.value}},
    )


RESPONSE_SCHEMAS: Mapping[str, Json] = {
    "ResponseRequest": BODY.schema(),
    "Response": _response(),
    "ResponseUsage": _usage(),
}
