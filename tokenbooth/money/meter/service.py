"""Verbs that read what was used; the ledger writes it when it settles."""

from collections.abc import Iterator

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.meter import sql
from tokenbooth.money.meter.rules import DAY_US, PAGE_RECORDS_MAX, check_page, check_span
from tokenbooth.money.meter.values import (
    CallRecord,
    ChargedCall,
    OrgTotal,
    Page,
    PageAsk,
    UsageLine,
)

__all__ = [
    "DAY_US",
    "PAGE_RECORDS_MAX",
    "CallRecord",
    "ChargedCall",
    "OrgTotal",
    "Page",
    "PageAsk",
    "UsageLine",
    "busy_minutes",
    "call",
    "calls",
    "charged_calls",
    "newest_fingerprint",
    "totals",
    "usage",
]

FIRST_PAGE = PageAsk()


def call(op: Op, tx: Tx, org_id: str, request_id: str) -> CallRecord:
    """One call of this organization, running ones included. Raises RECORD_NOT_FOUND."""
    record = sql.call(tx, org_id, request_id)
    if record is None:
        raise Problem(
            Code.RECORD_NOT_FOUND, f"No call {request_id!r} belongs to this organization."
        )
    return record


def calls(op: Op, tx: Tx, org_id: str, ask: PageAsk = FIRST_PAGE) -> Page:
    """Calls of this organization, newest first, running ones included.

    A page starts after an id, so new calls never shift it. Raises INVALID_VALUE for a limit
    outside 1..1000.
    """
    check_page(ask.limit)
    records = sql.calls(tx, org_id, ask)
    shown = records[: ask.limit]
    return Page(shown, shown[-1].request_id if len(records) > ask.limit else None)


def usage(op: Op, tx: Tx, org_id: str, since_us: int, until_us: int) -> tuple[UsageLine, ...]:
    """Sums by UTC day and model over calls that began in ``since_us <= t < until_us``."""
    check_span(since_us, until_us)
    return sql.usage(tx, org_id, since_us, until_us)


def charged_calls(
    op: Op, tx: Tx, org_id: str, since_us: int, until_us: int
) -> Iterator[ChargedCall]:
    """What was charged for calls that began in ``since_us <= t < until_us``, oldest first; read in
    pages, so that memory stays bounded."""
    return sql.charged_calls(tx, org_id, since_us, until_us)


def busy_minutes(op: Op, tx: Tx, model: str, since_us: int, until_us: int) -> dict[str, list[int]]:
    """How many calls of a model each organization began in each minute that had any: operators
    only."""
    check_span(since_us, until_us)
    found: dict[str, list[int]] = {}
    for org_id, calls_begun in sql.busy_minutes(tx, model, since_us, until_us):
        found.setdefault(org_id, []).append(calls_begun)
    return found


def newest_fingerprint(op: Op, tx: Tx, model: str) -> str | None:
    """What the engine called itself in the newest call of a model that told; ``None`` where none
    did."""
    return sql.newest_fingerprint(tx, model)


def totals(op: Op, tx: Tx) -> tuple[OrgTotal, ...]:
    """Sums over all time, one line for each organization that ever called: operators only."""
    return sql.totals(tx)
