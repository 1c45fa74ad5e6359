"""The response object: every field of the published schema, null where nothing is to be said."""

from collections.abc import Mapping
from types import MappingProxyType

from tokenbooth.core.codes import Kind
from tokenbooth.core.delta import FinishReason, RunEnd, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.core.terms import ServiceTier
from tokenbooth.protocols.dialect import AnswerFrame, Parsed
from tokenbooth.protocols.problems import OPENAI
from tokenbooth.protocols.receipts import cost_json, limits_wire, uses_json

Json = dict[str, object]

# The published list of codes is closed; the booth's own code stands beside.
_CODES = MappingProxyType(
    {
        Kind.RATE_LIMITED: "rate_limit_exceeded",
        Kind.PAYMENT_REQUIRED: "rate_limit_exceeded",
        Kind.INVALID_REQUEST: "invalid_prompt",
        Kind.BLOCKED: "invalid_prompt",
        Kind.TOO_LARGE: "invalid_prompt",
        Kind.UNSUPPORTED: "invalid_prompt",
    }
)
_REASONS: Mapping[FinishReason, str] = MappingProxyType(
    {
        FinishReason.LENGTH: "max_output_tokens",
        FinishReason.CONTENT_FILTER: "content_filter",
    }
)
_TIERS = MappingProxyType({ServiceTier.STANDARD: "default"})


RESPONSE_ID = "resp_"


def core_id(frame: AnswerFrame) -> str:
    """What all ids of an answer hold."""
    return frame.request_id.removeprefix("req_")


def response_id(request_id: str) -> str:
    """The id of the response of a call."""
    return RESPONSE_ID + request_id.removeprefix("req_")


def response_json(parsed: Parsed, frame: AnswerFrame) -> Json:
    """The response as it begins."""
    tier = parsed.turn.service_tier
    return {
        "id": response_id(frame.request_id),
        "object": "response",
        "created_at": frame.created_s,
        "status": "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": frame.model,
        "output": [],
        **_asked(parsed.echo),
        "service_tier": _TIERS.get(tier, tier.value),
        "truncation": "disabled",
        "usage": None,
        "conversation": None,
        "prompt": None,
        "prompt_cache_retention": None,
        "prompt_cache_options": None,
        "prompt_cache_diagnostics": None,
        "access_programs": None,
        "image": None,
        "input_transformations": None,
        "moderation": None,
        "tool_usage": None,
    }


def _asked(echo: Mapping[str, object]) -> Json:
    """What the answer gives back of the body."""
    return {
        "background": False,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "store": True,
        "temperature": None,
        "text": {"format": {"type": "text"}, "verbosity": None},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": None,
        "user": None,
        **echo,
    }


def ended_json(
    finish: FinishReason, end: RunEnd, receipt: Receipt | None, frame: AnswerFrame
) -> Json:
    """What changes when an answer ends well, or is cut short."""
    reason = _REASONS.get(finish)
    made: Json = {
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
    }
    if reason is None and frame.now is not None:
        made["completed_at"] = frame.now() // 1_000_000
    usage = usage_json(end, receipt)
    if usage is not None:
        made["usage"] = usage
    if end.fingerprint is not None:
        made["system_fingerprint"] = end.fingerprint
    if receipt is not None and receipt.outcome is Outcome.CAP_REACHED:
        made["stopped"] = Outcome.CAP_REACHED.value
    return made


def failed_json(problem: Problem, request_id: str) -> Json:
    """What changes when an answer fails after it began; the fixed fields win over facts."""
    return {
        "status": "failed",
        "error": {
            **problem.facts,
            "code": _CODES.get(problem.kind, "server_error"),
            "message": problem.public,
            "type": OPENAI[problem.kind].type,
            "param": problem.param,
            "tokenbooth_code": problem.code.text,
            "request_id": request_id,
        },
    }


def usage_json(end: RunEnd, receipt: Receipt | None) -> Json | None:
    """What was settled, with its cost; without a receipt, what the engine counted."""
    if receipt is None:
        return None if end.usage is None else tokens_json(end.usage)
    return {
        **tokens_json(receipt.usage),
        "cost": cost_json(receipt.cost_nano, receipt.price_version, receipt.currency),
        "limits": limits_wire(receipt.limits, receipt.currency),
    }


def tokens_json(usage: Usage) -> Json:
    """Token counts under the names of this dialect, in which every count is a number: cached
    tokens are 0 also where the engine does not tell."""
    made: Json = {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "source": usage.source.value,
    }
    uses = uses_json(usage)
    return {**made, "uses": uses} if uses else made
