"""One JSON shape for tokens, money and limits, shared by answers and account reports.

An amount is a decimal string, which is authoritative, and the same as an integer of nano-units.
"""

from collections.abc import Sequence
from typing import TypeAlias

from tokenbooth.core.delta import Usage
from tokenbooth.core.money import format_nano
from tokenbooth.core.receipt import LimitState, Receipt

CURRENCY = "USD"

Json: TypeAlias = dict[str, object]


def amount_json(amount_nano: int) -> Json:
    """``{"amount_usd": "0.000012345", "amount_nano": 12345}``."""
    return {"amount_usd": format_nano(amount_nano), "amount_nano": amount_nano}


def cost_json(cost_nano: int, price_version: str | None) -> Json:
    """An amount with its currency and the price version it was computed from."""
    return {**amount_json(cost_nano), "currency": CURRENCY, "price_version": price_version}


def tokens_json(usage: Usage) -> Json:
    """Token counts under the names of the chat dialect.

    ``cached_tokens`` is absent where the engine does not tell, ``cache_write_tokens`` and ``uses``
    where there are none.
    """
    made: Json = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    details: Json = {}
    if usage.cached_input_tokens is not None:
        details["cached_tokens"] = usage.cached_input_tokens
    if usage.cache_write_tokens:
        details["cache_write_tokens"] = usage.cache_write_tokens
    if details:
        made["prompt_tokens_details"] = details
    made["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    uses = uses_json(usage)
    if uses:
        made["uses"] = uses
    made["source"] = usage.source.value
    return made


def uses_json(usage: Usage) -> Json:
    """What was used and is no token, by its meter; what was not used is absent."""
    counts = {
        "image": usage.images,
        "audio_s": usage.audio_s,
        "video_s": usage.video_s,
        "search": usage.searches,
    }
    return {name: count for name, count in counts.items() if count}


def limit_json(state: LimitState) -> Json:
    """One level of spending; ``limit`` and ``remaining`` are null where it is not capped."""
    return {
        "scope": state.scope.value,
        "owner_id": state.owner_id,
        "currency": CURRENCY,
        "limit": _amount_or_none(state.limit_nano),
        "spent": amount_json(state.spent_nano),
        "held": amount_json(state.held_nano),
        "remaining": _amount_or_none(state.remaining_nano),
    }


def limits_json(states: Sequence[LimitState]) -> list[Json]:
    """Every level, outermost first."""
    return [limit_json(state) for state in states]


def receipt_json(receipt: Receipt) -> Json:
    """The ``usage`` object of an answer: tokens, exact cost, and what remains at each level."""
    return {
        **tokens_json(receipt.usage),
        "cost": cost_json(receipt.cost_nano, receipt.price_version),
        "limits": limits_json(receipt.limits),
    }


def _amount_or_none(amount_nano: int | None) -> Json | None:
    return None if amount_nano is None else amount_json(amount_nano)
