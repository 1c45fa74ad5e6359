"""The schemas of Messages, as JSON Schema 2020-12."""

from collections.abc import Mapping

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import UsageSource
from tokenbooth.core.receipt import Outcome
from tokenbooth.protocols.anthropic_messages.parameters import BODY
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
from tokenbooth.protocols.problems import ANTHROPIC

STOP_REASONS = ("end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal")


def _error() -> Json:
    error = record(
        {
            "type": {"enum": sorted({wire.type for wire in ANTHROPIC.values()})},
            "message": TEXT,
            "param": TEXT_OR_NULL,
            "code": {"enum": sorted(code.text for code in Code)},
        }
    )
    return record({"type": {"const": "error"}, "error": error, "request_id": TEXT})


def _usage() -> Json:
    return record(
        {
            "input_tokens": COUNT,
            "cache_creation_input_tokens": COUNT,
            "cache_read_input_tokens": COUNT_OR_NULL,
            "output_tokens": COUNT,
            "output_tokens_details": record({"thinking_tokens": COUNT}),
            "service_tier": {"const": "standard"},
            "source": {"enum": [source.value for source in UsageSource]},
        },
        {"uses": USES, "cost": ref("Cost"), "limits": array(ref("Limit"))},
    )


def _message() -> Json:
    blocks = [
        record({"type": {"const": "text"}, "text": TEXT}),
        record({"type": {"const": "thinking"}, "thinking": TEXT, "signature": TEXT}),
        record(
            {"type": {"const": "tool_use"}, "id": TEXT, "name": TEXT, "input": {"type": "object"}},
            {"partial_json": TEXT},
        ),
    ]
    refused = record({"type": {"const": "refusal"}, "category": TEXT_OR_NULL})
    return record(
        {
            "id": TEXT,
            "type": {"const": "message"},
            "role": {"const": "assistant"},
            "model": TEXT,
            "content": array({"anyOf": blocks}),
            "stop_reason": {"enum": list(STOP_REASONS)},
            "stop_sequence": TEXT_OR_NULL,
            "stop_details": maybe(refused),
            "usage": _usage(),
        },
        {"stopped": {"const": Outcome.CAP_REACHED.value}},
    )


MESSAGES_SCHEMAS: Mapping[str, Json] = {
    "MessagesRequest": BODY.schema(),
    "Message": _message(),
    "MessagesError": _error(),
    "TokenCount": record({"input_tokens": COUNT, "input_tokens_exact": {"type": "boolean"}}),
}
