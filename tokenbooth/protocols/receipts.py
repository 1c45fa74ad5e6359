"""One JSON shape for tokens, money and limits, shared by answers and account reports.

An amount is a decimal string, which is authoritative, and the same as an integer of nano-units.
"""

from collections.abc import Sequence
from typing import TypeAlias

from tokenbooth.core.delta import Usage
from tokenbooth.core.money import format_nano
from tokenbooth.core.receipt import LimitState, Receipt

Json: TypeAlias = dict[str, object]


def amount_json(amount_nano: int) -> Json:
    """``{"amount": "0.000012345", "amount_nano": 12345}``; the currency stands beside it."""
    return {"amount": format_nano(amount_nano), "amount_nano": amount_nano}


def sum_json(amount_nano: int, currency: str) -> Json:
    """An amount with its currency, an ISO code such as ``USD``."""
    return {**amount_json(amount_nano), "currency": currency}


def cost_json(cost_nano: int, price_version: str | None, currency: str) -> Json:
    """An amount with its currency and the price version it was computed from."""
    return {**sum_json(cost_nano, currency), "price_version": price_version}


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


def limit_json(state: LimitState, currency: str) -> Json:
    """One level of spending; ``limit`` and ``remaining`` are null where it is not capped, and
    ``window`` is there where the cap renews."""
    document: Json = {
        "scope": state.scope.value,
        "owner_id": state.owner_id,
        "currency": currency,
        "limit": _amount_or_none(state.limit_nano),
        "spent": amount_json(state.spent_nano),
        "held": amount_json(state.held_nano),
        "remaining": _amount_or_none(state.remaining_nano),
    }
    if state.window is not None:
        document["window"] = {
            "period": state.window.period.value,
            "id": state.window.id,
            "renews_at": state.window.renews_at,
        }
    return document


def limits_json(states: Sequence[LimitState], currency: str) -> list[Json]:
    """Every level, outermost first."""
    return [limit_json(state, currency) for state in states]


def receipt_json(receipt: Receipt) -> Json:
    """The ``usage`` object of an answer: tokens, exact cost, and what remains at each level."""
    return {
        **tokens_json(receipt.usage),
        "cost": cost_json(receipt.cost_nano, receipt.price_version, receipt.currency),
        "limits": limits_json(receipt.limits, receipt.currency),
    }


def _amount_or_none(amount_nano: int | None) -> Json | None:
    return None if amount_nano is None else amount_json(amount_nano)
