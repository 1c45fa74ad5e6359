"""The schemas of receipts, their keys and statements, as JSON Schema 2020-12."""

from collections.abc import Mapping

from tokenbooth.core.delta import UsageSource
from tokenbooth.core.receipt import Outcome
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.protocols.openapi.schemas import (
    CURRENCY,
    DECIMAL,
    MOMENT_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    Json,
    array,
    maybe,
    record,
    ref,
)

_FLAG: Json = {"type": "boolean"}
_TIME_US: Json = {"type": "integer", "description": "Unix time in microseconds."}
# Beyond 2^53 - 1, where readers of JSON lose digits, a count is written as a string.
_COUNT: Json = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[1-9][0-9]+$"}]
}
_PLACE: Json = {"type": "integer", "minimum": 0}


def _hex(digits: int) -> Json:
    return {"type": "string", "pattern": f"^[0-9a-f]{{{digits}}}$"}


_SIGNED: Mapping[str, Json] = {
    "key_id": _hex(32),
    "public_key": _hex(64),
    "signature": _hex(128),
}


def _usage() -> Json:
    counts = ("input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    uses = ("images", "audio_s", "video_s", "searches")
    return record(
        {
            **dict.fromkeys((*counts, *uses), _COUNT),
            "cached_input_tokens": maybe(_COUNT),
            "source": {"enum": [source.value for source in UsageSource]},
        }
    )


def _price() -> Json:
    prices = {"type": "object", "additionalProperties": _COUNT}
    step = record({"context_min_tokens": _COUNT, "unit_pico": prices})
    return record(
        {
            "version": TEXT,
            "tier": {"enum": [tier.value for tier in ServiceTier]},
            "data_terms": {"enum": [terms.value for terms in DataTerms]},
            "currency": CURRENCY,
            "steps": array(step),
        }
    )


def _receipt() -> Json:
    return record(
        {
            "object": {"const": "receipt"},
            "format": {"const": 1},
            **dict.fromkeys(("request_id", "organization_id", "project_id", "key_id"), TEXT),
            "end_customer": TEXT_OR_NULL,
            "model": TEXT,
            "stream": _FLAG,
            "system_fingerprint": TEXT_OR_NULL,
            "outcome": {"enum": [outcome.value for outcome in Outcome]},
            "reason": TEXT,
            "charged": _FLAG,
            "usage": _usage(),
            "price": _price(),
            "held_nano": _COUNT,
            "amount": DECIMAL,
            "amount_nano": _COUNT,
            "transaction_id": TEXT_OR_NULL,
            "created_us": _TIME_US,
            "ended_us": _TIME_US,
            "booked_us": maybe(_TIME_US),
            "proof": record(
                {
                    "leaf_index": _PLACE,
                    "tree_size": _PLACE,
                    "path": array(_hex(64)),
                    "root": _hex(64),
                    "signed_us": _TIME_US,
                    **_SIGNED,
                }
            ),
        }
    )


def _statement() -> Json:
    total = record({"currency": CURRENCY, "amount": DECIMAL, "amount_nano": _COUNT})
    return record(
        {
            "object": {"const": "statement"},
            "format": {"const": 1},
            "organization_id": TEXT,
            **dict.fromkeys(("since_us", "until_us", "made_us"), _TIME_US),
            "calls": _PLACE,
            "totals": array(total),
            "receipts_sha256": _hex(64),
            "proof": record(_SIGNED),
        }
    )


def _key() -> Json:
    return record(
        {
            "object": {"const": "receipt_key"},
            "id": _hex(32),
            "algorithm": {"const": "ed25519"},
            "public_key": _hex(64),
            "first_used_at": MOMENT_OR_NULL,
            "current": _FLAG,
        }
    )


RECEIPT_SCHEMAS: Mapping[str, Json] = {
    "Receipt": _receipt(),
    "Statement": _statement(),
    "StatementLine": {"anyOf": [ref("Receipt"), ref("Statement")]},
    "ReceiptKeys": record({"object": {"const": "list"}, "data": array(_key())}),
}
