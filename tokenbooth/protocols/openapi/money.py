"""The schemas of quotes, events and reconciliation, as JSON Schema 2020-12."""

from collections.abc import Mapping

from tokenbooth.core.codes import Code
from tokenbooth.core.receipt import LimitScope
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.protocols.openapi.schemas import (
    COUNT,
    COUNT_OR_NULL,
    CURRENCY,
    DECIMAL,
    MOMENT,
    MOMENT_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    WINDOW,
    Json,
    array,
    maybe,
    record,
    ref,
)

_FLAG: Json = {"type": "boolean"}
_SCOPE: Json = {"enum": [scope.value for scope in LimitScope]}


def _quote() -> Json:
    return record(
        {
            "object": {"const": "quote"},
            "model": TEXT,
            "dialect": TEXT,
            "currency": CURRENCY,
            "price": record(
                {
                    "currency": CURRENCY,
                    "per": COUNT,
                    "version": TEXT,
                    "input": DECIMAL,
                    "output": DECIMAL,
                }
            ),
            "tier": {"enum": [tier.value for tier in ServiceTier]},
            "data_terms": {"enum": [terms.value for terms in DataTerms]},
            "input_tokens": COUNT,
            "input_tokens_exact": _FLAG,
            "choices": COUNT,
            "output_tokens_max": COUNT,
            "output_limit_stated": _FLAG,
            "worst_case": ref("Amount"),
            "fits": _FLAG,
            "affordable_output_tokens": COUNT_OR_NULL,
            "hold": maybe(ref("Amount")),
            "lowered_output_tokens_max": COUNT_OR_NULL,
            "refusal": maybe(ref("MoneyRefusal")),
            "limits": array(_quoted_limit()),
        }
    )


def _quoted_limit() -> Json:
    return record(
        {
            "scope": _SCOPE,
            "owner_id": TEXT,
            "currency": CURRENCY,
            "limit": maybe(ref("Amount")),
            "spent": ref("Amount"),
            "held": ref("Amount"),
            "remaining": maybe(ref("Amount")),
            "fits": _FLAG,
            "affordable_output_tokens": COUNT_OR_NULL,
        },
        {"window": WINDOW},
    )


def _refusal() -> Json:
    """The facts of a ``payment_required`` error."""
    names = ("limit", "spent", "held", "needed")
    return record(
        {
            "code": {"enum": sorted(code.text for code in Code)},
            "message": TEXT,
            "retry_after_s": COUNT_OR_NULL,
            "limit_source": _SCOPE,
            "reason": TEXT,
            **dict.fromkeys(names, DECIMAL),
            **{f"{name}_nano": {"type": "integer"} for name in names},
            "affordable_output_tokens": COUNT,
            "remedy": TEXT,
        }
    )


MONEY_SCHEMAS: Mapping[str, Json] = {
    "Quote": _quote(),
    "MoneyRefusal": _refusal(),
    "Event": record(
        {
            "object": {"const": "event"},
            "id": TEXT,
            "topic": TEXT,
            "organization_id": TEXT_OR_NULL,
            "created_at": MOMENT,
            "body": {"type": "object"},
        }
    ),
    "Reconciliation": record(
        {
            "object": {"const": "reconciliation"},
            "currency": CURRENCY,
            "checked_at": MOMENT_OR_NULL,
            "sound": {"type": ["boolean", "null"]},
            "balance": maybe(
                record(
                    {
                        "computed": ref("Amount"),
                        "stored": ref("Amount"),
                        "difference": ref("Amount"),
                    }
                )
            ),
        }
    ),
    "EventPage": record(
        {
            "object": {"const": "list"},
            "data": array(ref("Event")),
            "has_more": _FLAG,
            "next_after": TEXT_OR_NULL,
        }
    ),
}
