"""One JSON shape for tokens, money and limits, shared by answers and account reports.

An amount is a decimal string, which is authoritative, and the same as an integer of nano-units.
"""

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Raw

from tokenbooth.core.delta import Usage
from tokenbooth.core.money import NANO_PER_UNIT, format_nano
from tokenbooth.core.receipt import LimitState, Receipt
from tokenbooth.protocols.wire_json import encode

Json: TypeAlias = dict[str, object]

_AMOUNT = '{"amount":"%d.%09d","amount_nano":%d}'
_HEAD = '{"scope":"%s","owner_id":"%s","currency":"%s"'
_USED = f'"spent":{_AMOUNT},"held":{_AMOUNT}'
_CAPPED = f'{_HEAD},"limit":{_AMOUNT},{_USED},"remaining":{_AMOUNT}}}'
_UNCAPPED = f'{_HEAD},"limit":null,{_USED},"remaining":null}}'


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


def limits_wire(states: Sequence[LimitState], currency: str) -> Raw:
    """``limits_json`` as bytes for an answer: every call ends with them, so they are written by
    hand, at an eighth of the time, and each state once."""
    written = [state.said.get(currency) or _limit_text(state, currency) for state in states]
    return Raw(f"[{','.join(written)}]".encode())


def _limit_text(state: LimitState, currency: str) -> str:
    limit, spent, held = state.limit_nano, state.spent_nano, state.held_nano
    left = 0 if limit is None else limit - spent - held
    plain = state.window is None and min(spent, held, left) >= 0 and state.owner_id.isidentifier()
    if not plain:
        text = encode(limit_json(state, currency)).decode()
    else:
        unit = NANO_PER_UNIT
        head = (state.scope, state.owner_id, currency)
        used = (spent // unit, spent % unit, spent, held // unit, held % unit, held)
        if limit is None:
            text = _UNCAPPED % (*head, *used)
        else:
            cap, rest = (limit // unit, limit % unit, limit), (left // unit, left % unit, left)
            text = _CAPPED % (*head, *cap, *used, *rest)
    state.said[currency] = text
    return text


def receipt_json(receipt: Receipt) -> Json:
    """The ``usage`` object of an answer: tokens, exact cost, and what remains at each level."""
    return {
        **tokens_json(receipt.usage),
        "cost": cost_json(receipt.cost_nano, receipt.price_version, receipt.currency),
        "limits": limits_wire(receipt.limits, receipt.currency),
    }


def _amount_or_none(amount_nano: int | None) -> Json | None:
    return None if amount_nano is None else amount_json(amount_nano)
