"""What a caller may see of its own account, as JSON-ready documents.

Every verb takes the caller and asks only for rows of that caller's organization.
"""

from dataclasses import dataclass

from tokenbooth.access.orgs import service as orgs
from tokenbooth.control.documents import Json, iso_day, iso_moment, iso_time
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.ledger.service import Verification
from tokenbooth.money.meter import service as meter
from tokenbooth.money.meter.service import CallRecord, OrgTotal, PageAsk, UsageLine
from tokenbooth.money.prices import service as prices
from tokenbooth.protocols.receipts import (
    amount_json,
    cost_json,
    limits_json,
    sum_json,
    tokens_json,
    uses_json,
)

RUNNING = "running"


def balance(op: Op, tx: Tx, caller: Caller) -> Json:
    """What is left under each limit that binds this key, outermost first."""
    states = ledger.limits(op, tx, ledger.chain_of(caller))
    currency = prices.book_of(op, tx, caller.org_id).currency
    left = [state.remaining_nano for state in states if state.remaining_nano is not None]
    return {
        "object": "balance",
        "currency": currency,
        "spendable": amount_json(max(0, min(left, default=0))),
        "limits": limits_json(states, currency),
    }


@dataclass(frozen=True, slots=True)
class UsageReport:
    """``lines`` of the half-open span, by day and model."""

    since_us: int
    until_us: int
    lines: tuple[UsageLine, ...]
    currency: str


@dataclass(frozen=True, slots=True)
class OrgUsage:
    """An organization's name with everything that it ever used; ``held_nano`` is what running calls
    hold of its balance."""

    name: str
    total: OrgTotal
    currency: str
    held_nano: int


def usage(op: Op, tx: Tx, org_id: str, since_us: int, until_us: int) -> UsageReport:
    lines = meter.usage(op, tx, org_id, since_us, until_us)
    return UsageReport(since_us, until_us, lines, prices.book_of(op, tx, org_id).currency)


def usage_of(op: Op, tx: Tx, org: str, since_us: int, until_us: int) -> UsageReport:
    """The operator's view of one organization, by name or id. Raises NAME_NOT_FOUND."""
    return usage(op, tx, orgs.org_by(op, tx, org).id, since_us, until_us)


def totals(op: Op, tx: Tx) -> tuple[OrgUsage, ...]:
    """Everything that each organization ever used; those without a call are absent."""
    names = {org.id: org.name for org in orgs.orgs(op, tx)}
    books = prices.books_of(op, tx)
    found = meter.totals(op, tx)
    balances = ledger.limits(op, tx, tuple((LimitScope.BALANCE, each.org_id) for each in found))
    return tuple(
        OrgUsage(
            name=names[total.org_id],
            total=total,
            currency=books.get(total.org_id, prices.DEFAULT).currency,
            held_nano=balance.held_nano,
        )
        for total, balance in zip(found, balances, strict=True)
    )


def calls(op: Op, tx: Tx, caller: Caller, ask: PageAsk) -> Json:
    """A page of the organization's calls, newest first, running ones among them."""
    page = meter.calls(op, tx, caller.org_id, ask)
    currency = prices.book_of(op, tx, caller.org_id).currency
    return {
        "object": "list",
        "data": [call_json(record, currency) for record in page.records],
        "has_more": page.next_after is not None,
        "next_after": page.next_after,
    }


def call(op: Op, tx: Tx, caller: Caller, request_id: str) -> Json:
    """Raises RECORD_NOT_FOUND, for another tenant's call as for none at all."""
    if not request_id.isprintable():
        raise Problem(Code.RECORD_NOT_FOUND, "An id has no control characters.")
    currency = prices.book_of(op, tx, caller.org_id).currency
    return call_json(meter.call(op, tx, caller.org_id, request_id), currency)


def verification(op: Op, tx: Tx) -> Verification:
    """Recompute every balance, limit and hold from the postings and events."""
    return ledger.verify(op, tx)


def verification_json(found: Verification) -> Json:
    return {
        "object": "ledger_verification",
        "sound": is_sound(found),
        "accounts": found.accounts,
        "difference": amount_json(found.difference_nano),
        "open_holds": found.open_holds,
        "problems": list(found.problems),
    }


def is_sound(found: Verification) -> bool:
    return found.difference_nano == 0 and not found.problems


def call_json(record: CallRecord, currency: str) -> Json:
    """One call; a running one has no usage yet and costs nothing so far."""
    over = record.outcome is not None
    return {
        "object": "request",
        "id": record.request_id,
        "status": RUNNING if record.outcome is None else record.outcome.value,
        "reason": record.reason or None,
        "model": record.model,
        "service_tier": record.tier.value,
        "data_terms": record.data_terms.value,
        "stream": record.stream,
        "project_id": record.project_id,
        "key_id": record.key_id,
        "end_customer": record.end_customer,
        "usage": tokens_json(record.usage) if over and record.usage is not None else None,
        "cost": cost_json(record.cost_nano, record.price_version, currency),
        "held": amount_json(record.held_nano),
        "created_at": iso_moment(record.created_us),
        "started_at": iso_moment(record.started_us),
        "first_output_at": iso_moment(record.first_output_us),
        "ended_at": iso_moment(record.ended_us),
        "system_fingerprint": record.fingerprint,
        "receipt": f"/v1/requests/{record.request_id}/receipt" if over else None,
    }


def usage_report_json(report: UsageReport) -> Json:
    """One row for each UTC day and model with calls, and their sum."""
    total_nano = sum(line.cost_nano for line in report.lines)
    return {
        "object": "usage",
        "since": iso_time(report.since_us),
        "until": iso_time(report.until_us),
        "data": [usage_json(line, report.currency) for line in report.lines],
        "total_cost": sum_json(total_nano, report.currency),
    }


def org_usage_json(line: OrgUsage) -> Json:
    total = line.total
    return {
        "organization": line.name,
        "organization_id": total.org_id,
        "calls": total.calls,
        "running": total.running,
        "prompt_tokens": total.input_tokens,
        "completion_tokens": total.output_tokens,
        "cost": sum_json(total.cost_nano, line.currency),
        "held": amount_json(line.held_nano),
        "operator_loss": amount_json(total.operator_loss_nano),
    }


def usage_json(line: UsageLine, currency: str) -> Json:
    return {
        "day": iso_day(line.day_us),
        "model": line.model,
        "calls": line.calls,
        "prompt_tokens": line.usage.input_tokens,
        "cached_tokens": line.usage.cached_input_tokens,
        "cache_write_tokens": line.usage.cache_write_tokens,
        "completion_tokens": line.usage.output_tokens,
        "reasoning_tokens": line.usage.reasoning_tokens,
        "uses": uses_json(line.usage),
        "cost": sum_json(line.cost_nano, currency),
    }
