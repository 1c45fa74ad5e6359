"""Token counts, cost and limits under the names of Messages.

``input_tokens`` leaves out what was read from a cache and what was written to one; the three
together are the input.
"""

from tokenbooth.core.delta import RunEnd, Usage
from tokenbooth.core.receipt import Receipt
from tokenbooth.protocols.dialect import AnswerFrame
from tokenbooth.protocols.receipts import Json, cost_json, limits_wire, uses_json


def usage_at_start(frame: AnswerFrame) -> Json:
    """What is known before the run; the counts at the end replace it."""
    return {
        "input_tokens": frame.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": None,
        "output_tokens": 0,
        "service_tier": "standard",
    }


def usage_at_end(end: RunEnd, receipt: Receipt | None, frame: AnswerFrame) -> Json:
    """What was settled, with its exact cost; without a receipt, what the engine counted."""
    if receipt is not None:
        return {
            **_counts(receipt.usage),
            "cost": cost_json(receipt.cost_nano, receipt.price_version, receipt.currency),
            "limits": limits_wire(receipt.limits, receipt.currency),
        }
    return _counts(end.usage or Usage(frame.input_tokens, 0))


def _counts(usage: Usage) -> Json:
    cached = usage.cached_input_tokens
    made: Json = {
        "input_tokens": usage.input_tokens - (cached or 0) - usage.cache_write_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }
    uses = uses_json(usage)
    if uses:
        made["uses"] = uses
    return {**made, "source": usage.source.value}
