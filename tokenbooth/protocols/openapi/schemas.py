"""The schemas of everything that is sent back, as JSON Schema 2020-12."""

from collections.abc import Mapping
from typing import Any

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import FinishReason, UsageSource
from tokenbooth.core.features import Feature
from tokenbooth.core.receipt import LimitScope, Outcome, Period
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.protocols.openai_chat.parameters import BODY
from tokenbooth.protocols.problems import OPENAI, OWN

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
TEXT_OR_NULL: Json = {"type": ["string", "null"]}
COUNT: Json = {"type": "integer", "minimum": 0}
COUNT_OR_NULL: Json = {"type": ["integer", "null"], "minimum": 0}
MOMENT: Json = {"type": "string", "format": "date-time"}
MOMENT_OR_NULL: Json = {"type": ["string", "null"], "format": "date-time"}
DECIMAL: Json = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def array(items: Json) -> Json:
    return {"type": "array", "items": items}


def record(required: Mapping[str, Json], optional: Mapping[str, Json] | None = None) -> Json:
    """An object; further fields may be added to it in later versions."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


CURRENCY: Json = {"type": "string", "pattern": "^[A-Z]{3}$"}
WINDOW = record(
    {
        "period": {"enum": [period.value for period in Period if period is not Period.NONE]},
        "id": TEXT,
        "renews_at": MOMENT,
    }
)
USES = record({}, {"image": COUNT, "audio_s": COUNT, "video_s": COUNT, "search": COUNT})


def _error() -> Json:
    types = sorted({wire.type for table in (OPENAI, OWN) for wire in table.values()})
    return record(
        {
            "error": record(
                {
                    "message": TEXT,
                    "type": {"enum": types},
                    "param": TEXT_OR_NULL,
                    "code": {"enum": sorted(code.text for code in Code)},
                    "request_id": TEXT,
                }
            )
        }
    )


def _usage() -> Json:
    return record(
        {
            "prompt_tokens": COUNT,
            "completion_tokens": COUNT,
            "total_tokens": COUNT,
            "completion_tokens_details": record({"reasoning_tokens": COUNT}),
            "source": {"enum": [source.value for source in UsageSource]},
        },
        {
            "prompt_tokens_details": record(
                {}, {"cached_tokens": COUNT, "cache_write_tokens": COUNT}
            ),
            "uses": USES,
            "cost": ref("Cost"),
            "limits": array(ref("Limit")),
        },
    )


def _logprobs() -> Json:
    alternative = {"token": TEXT, "logprob": {"type": "number"}, "bytes": array(COUNT)}
    chosen = record({**alternative, "top_logprobs": array(record(alternative))})
    return maybe(record({"content": array(chosen), "refusal": {"type": "null"}}))


def _completion() -> Json:
    called = record({"name": TEXT, "arguments": TEXT})
    function = record({"id": TEXT, "type": {"const": "function"}, "function": called})
    texted = record({"name": TEXT, "input": TEXT})
    custom = record({"id": TEXT, "type": {"const": "custom"}, "custom": texted})
    message = record(
        {"role": {"const": "assistant"}, "content": TEXT_OR_NULL, "refusal": TEXT_OR_NULL},
        {
            "reasoning_content": TEXT,
            "tool_calls": array({"anyOf": [function, custom]}),
        },
    )
    choice = record(
        {
            "index": COUNT,
            "message": message,
            "logprobs": _logprobs(),
            "finish_reason": {"enum": [reason.value for reason in FinishReason]},
        }
    )
    return record(
        {
            "id": TEXT,
            "object": {"const": "chat.completion"},
            "created": COUNT,
            "model": TEXT,
            "choices": array(choice),
        },
        {
            "usage": ref("Usage"),
            "system_fingerprint": TEXT,
            "service_tier": {"enum": [tier.value for tier in ServiceTier]},
        },
    )


# Why a cache served no more is a word of ``gateway/prefixes.py``.
_CACHE = record({"matched_tokens": COUNT, "cached_tokens": maybe(COUNT), "reason": TEXT_OR_NULL})


def _call() -> Json:
    outcomes = [outcome.value for outcome in Outcome]
    return record(
        {
            "object": {"const": "request"},
            "id": TEXT,
            "model": TEXT,
            "service_tier": {"enum": [tier.value for tier in ServiceTier]},
            "data_terms": {"enum": [terms.value for terms in DataTerms]},
            "status": {"enum": ["running", *outcomes]},
            "reason": TEXT_OR_NULL,
            "stream": {"type": "boolean"},
            "project_id": TEXT,
            "key_id": TEXT,
            "end_customer": TEXT_OR_NULL,
            "created_at": MOMENT,
            "started_at": MOMENT_OR_NULL,
            "first_output_at": MOMENT_OR_NULL,
            "ended_at": MOMENT_OR_NULL,
            "usage": maybe(ref("Usage")),
            "cost": ref("Cost"),
            "held": ref("Amount"),
            "system_fingerprint": TEXT_OR_NULL,
            "receipt": TEXT_OR_NULL,
        },
        {"cache": maybe(_CACHE)},
    )


def _prices() -> tuple[Json, Json]:
    """What a tier always and sometimes names; a decimal is for a million units."""
    rare = ("cache_write", "reasoning", "image", "audio_s", "video_s", "search", "call")
    always = {"input": DECIMAL, "cached_input": DECIMAL, "output": DECIMAL}
    lines = dict.fromkeys(rare, DECIMAL)
    step = record({"context_min_tokens": COUNT, **always}, lines)
    return always, {**lines, "context_steps": array(step)}


def _model() -> Json:
    always, rare = _prices()
    head = {"currency": CURRENCY, "per": COUNT, "version": TEXT}
    tier = record({**head, **always}, rare)
    tiers = record({}, {tier_name.value: tier for tier_name in ServiceTier})
    terms = {"enum": [terms.value for terms in DataTerms]}
    return record(
        {
            "id": TEXT,
            "object": {"const": "model"},
            "created": COUNT,
            "owned_by": TEXT,
            "type": {"const": "model"},
            "display_name": TEXT,
            "created_at": MOMENT,
            "stage": TEXT_OR_NULL,
            "lifecycle": {"enum": ["active", "deprecated", "retired"]},
            "deprecated_at": MOMENT_OR_NULL,
            "retires_at": MOMENT_OR_NULL,
            "shutdown_date": {"type": ["string", "null"], "format": "date"},
            "line": {"type": "null"},
            "context_length": COUNT_OR_NULL,
            "max_output_tokens": COUNT_OR_NULL,
            "max_input_tokens": COUNT_OR_NULL,
            "max_tokens": COUNT_OR_NULL,
            "modalities": record({"input": array(TEXT), "output": array(TEXT)}),
            "pricing": record({**head, "data_terms": terms, "tiers": tiers}, {**always, **rare}),
            "limits": record(
                dict.fromkeys(
                    ("requests_per_minute", "tokens_per_minute", "parallel_calls"), COUNT_OR_NULL
                )
            ),
            "capacity": maybe(_capacity()),
            "data_policy": record({"terms": terms, "training": {"type": "boolean"}}),
            "features": maybe(array({"enum": sorted(feature.value for feature in Feature)})),
            "capabilities": maybe({"type": "object"}),
        }
    )


def _capacity() -> Json:
    """What a certificate in force says."""
    counts = ("concurrency", "calls_per_1000_s", "ttft_ms", "tpot_ms", "attainment_ppm")
    return record(
        {
            "state": {"enum": ["valid", "stale", "expired"]},
            **dict.fromkeys(counts, COUNT),
            "certified_at": MOMENT,
            "expires_at": MOMENT,
            "fingerprint": TEXT_OR_NULL,
            "certificate": TEXT,
        }
    )


def _model_list() -> Json:
    """Ours, or in the words of models.dev or OpenRouter."""
    ours = record(
        {
            "object": {"const": "list"},
            "data": array(ref("Model")),
            "has_more": {"type": "boolean"},
            "first_id": TEXT_OR_NULL,
            "last_id": TEXT_OR_NULL,
        }
    )
    provider = record({"id": TEXT, "name": TEXT, "env": array(TEXT), "models": {"type": "object"}})
    flat = record(
        {"data": array(record({"id": TEXT, "name": TEXT, "context_length": COUNT_OR_NULL}))}
    )
    return {"anyOf": [ours, record({"tokenbooth": provider}), flat]}


def _sum() -> Json:
    return record({"amount": DECIMAL, "amount_nano": {"type": "integer"}, "currency": CURRENCY})


def _usage_report() -> Json:
    line = record(
        {
            "day": {"type": "string", "format": "date"},
            "model": TEXT,
            "calls": COUNT,
            "prompt_tokens": COUNT,
            "cached_tokens": COUNT,
            "cache_write_tokens": COUNT,
            "completion_tokens": COUNT,
            "reasoning_tokens": COUNT,
            "uses": USES,
            "cost": _sum(),
        }
    )
    return record(
        {
            "object": {"const": "usage"},
            "since": MOMENT,
            "until": MOMENT,
            "data": array(line),
            "total_cost": _sum(),
        }
    )


SCHEMAS: Mapping[str, Json] = {
    "ChatRequest": BODY.schema(),
    "ChatCompletion": _completion(),
    "Error": _error(),
    "Amount": record({"amount": DECIMAL, "amount_nano": {"type": "integer"}}),
    "Cost": record(
        {
            "amount": DECIMAL,
            "amount_nano": {"type": "integer"},
            "currency": CURRENCY,
            "price_version": TEXT_OR_NULL,
        }
    ),
    "Limit": record(
        {
            "scope": {"enum": [scope.value for scope in LimitScope]},
            "owner_id": TEXT,
            "currency": CURRENCY,
            "limit": maybe(ref("Amount")),
            "spent": ref("Amount"),
            "held": ref("Amount"),
            "remaining": maybe(ref("Amount")),
        },
        {"window": WINDOW},
    ),
    "Usage": _usage(),
    "Model": _model(),
    "ModelList": _model_list(),
    "Balance": record(
        {
            "object": {"const": "balance"},
            "currency": CURRENCY,
            "spendable": ref("Amount"),
            "limits": array(ref("Limit")),
        }
    ),
    "UsageReport": _usage_report(),
    "Call": _call(),
    "CallPage": record(
        {
            "object": {"const": "list"},
            "data": array(ref("Call")),
            "has_more": {"type": "boolean"},
            "next_after": TEXT_OR_NULL,
        }
    ),
    "Health": record({"status": {"const": "ok"}}),
    "Readiness": record(
        {
            "status": {"enum": ["ready", "not_ready"]},
            "store": {"type": "boolean"},
            "models": record({"offered": COUNT, "ready": COUNT}),
        }
    ),
}
