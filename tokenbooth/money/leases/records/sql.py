"""Statements that write call records; a record leaves the open state exactly once."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from tokenbooth.core.delta import UsageSource
from tokenbooth.core.ports import Tx
from tokenbooth.core.receipt import Outcome
from tokenbooth.money.leases.values import CallFacts, SettledCall, Settlement
from tokenbooth.store.bulk import BulkInsert, Row
from tokenbooth.store.listing import listed, listing
from tokenbooth.store.moment import NowUs
from tokenbooth.store.prepared import Prepared
from tokenbooth.store.tables.money import CALL_RECORD
from tokenbooth.store.usage_columns import COUNT_COLUMNS, USAGE_COLUMNS, usage_row, usage_values

_STATES = Prepared(
    select(CALL_RECORD.c.request_id, CALL_RECORD.c.state).where(
        CALL_RECORD.c.request_id.in_(select(listing("ids").c.value))
    )
)
_ANNOUNCE = insert(CALL_RECORD).on_conflict_do_nothing()
_ADD = BulkInsert(
    CALL_RECORD,
    (
        "request_id",
        "org_id",
        "project_id",
        "key_id",
        "end_customer",
        "model",
        "stream",
        "replica_id",
        "epoch",
        "chain",
        "price_version",
        "tier",
        "data_terms",
        "held_nano",
        "held_input_tokens",
        "held_output_tokens",
        "created_us",
        "state",
        "swept",
        "txn_id",
        "outcome",
        "reason",
        *USAGE_COLUMNS,
        "cost_nano",
        "operator_loss_nano",
        "started_us",
        "first_output_us",
        "ended_us",
        "fingerprint",
        "deployment_id",
    ),
)
_CLOSE = update(CALL_RECORD).where(
    CALL_RECORD.c.request_id == bindparam("request"), CALL_RECORD.c.state == "open"
)


_END_LOST = (
    update(CALL_RECORD)
    .where(CALL_RECORD.c.replica_id == bindparam("of_replica"), CALL_RECORD.c.state == "open")
    .values(
        state="void",
        swept=True,
        outcome=Outcome.INTERRUPTED.value,
        reason=bindparam("why"),
        usage_source=UsageSource.BOUND.value,
        ended_us=NowUs(),
        **dict.fromkeys(COUNT_COLUMNS, 0),
    )
)
_ADD_LOSS = (
    update(CALL_RECORD)
    .where(
        CALL_RECORD.c.request_id == bindparam("request"),
        CALL_RECORD.c.swept == bindparam("is_swept"),
        CALL_RECORD.c.operator_loss_nano == 0,
    )
    .values(operator_loss_nano=bindparam("loss"))
)


def states(tx: Tx, request_ids: Collection[str]) -> dict[str, str]:
    """``open``, ``posted`` or ``void`` of those that have a record."""
    return dict(map(tuple, _STATES.rows(tx, {"ids": listed(request_ids)})))


def announce(tx: Tx, calls: Iterable[CallFacts], replica_id: str, epoch: int) -> None:
    """Show calls that run for a while already; one that ended meanwhile is left as it is."""
    nothing = {"state": "open", "swept": False, "cost_nano": 0, "operator_loss_nano": 0}
    rows = [{**_facts(call, replica_id, epoch), **nothing} for call in calls]
    if rows:
        tx.execute(_ANNOUNCE, rows)


def add(tx: Tx, calls: Iterable[SettledCall], replica_id: str, txns: dict[str, str]) -> None:
    """Add records of calls that nobody announced; ``txns`` are the charges by organization."""
    _ADD.run(tx, [_row(call, replica_id, txns) for call in calls])


def end_lost(tx: Tx, replica_id: str, reason: str) -> None:
    """Close the announced calls of a replica that knows no more of them: they cost nothing."""
    tx.execute(_END_LOST, {"of_replica": replica_id, "why": reason})


def add_losses(tx: Tx, calls: Iterable[SettledCall]) -> None:
    """Note once what calls would have cost whose records were closed with their leases."""
    rows = [
        {"request": call.facts.request_id, "is_swept": True, "loss": call.settlement.loss_nano}
        for call in calls
        if call.forfeited and call.settlement.loss_nano
    ]
    if rows:
        tx.execute(_ADD_LOSS, rows)


def close(tx: Tx, calls: Iterable[SettledCall], txns: dict[str, str]) -> None:
    """Close the records of announced calls."""
    rows = [{"request": call.facts.request_id, **_ending(call, txns)} for call in calls]
    if rows:
        tx.execute(_CLOSE, rows)


def _row(call: SettledCall, replica_id: str, txns: dict[str, str]) -> Row:
    facts, end = call.facts, call.settlement
    return (
        facts.request_id,
        facts.org_id,
        facts.project_id,
        facts.key_id,
        facts.end_customer,
        facts.model,
        int(facts.stream),
        replica_id,
        call.epoch,
        " ".join(facts.chain),
        facts.price_version,
        facts.tier,
        facts.data_terms,
        end.held_nano,
        facts.input_tokens,
        facts.output_tokens,
        facts.created_us,
        "posted" if end.charged else "void",
        int(call.forfeited),
        txns[facts.org_id] if end.cost_nano else None,
        end.outcome.value,
        end.reason,
        *usage_row(end.usage),
        end.cost_nano,
        end.loss_nano,
        end.started_us,
        end.first_output_us,
        end.ended_us,
        end.fingerprint,
        end.deployment_id,
    )


def _facts(facts: CallFacts, replica_id: str, epoch: int) -> dict[str, Any]:
    return {
        "request_id": facts.request_id,
        "org_id": facts.org_id,
        "project_id": facts.project_id,
        "key_id": facts.key_id,
        "end_customer": facts.end_customer,
        "model": facts.model,
        "stream": facts.stream,
        "replica_id": replica_id,
        "epoch": epoch,
        "chain": " ".join(facts.chain),
        "price_version": facts.price_version,
        "tier": facts.tier,
        "data_terms": facts.data_terms,
        "held_nano": facts.held_nano,
        "held_input_tokens": facts.input_tokens,
        "held_output_tokens": facts.output_tokens,
        "created_us": facts.created_us,
    }


def _ending(call: SettledCall, txns: dict[str, str]) -> dict[str, Any]:
    end: Settlement = call.settlement
    return {
        "state": "posted" if end.charged else "void",
        "swept": call.forfeited,
        "txn_id": txns[call.facts.org_id] if end.cost_nano else None,
        "held_nano": end.held_nano,
        "outcome": end.outcome.value,
        "reason": end.reason,
        **usage_values(end.usage),
        "cost_nano": end.cost_nano,
        "operator_loss_nano": end.loss_nano,
        "started_us": end.started_us,
        "first_output_us": end.first_output_us,
        "ended_us": end.ended_us,
        "fingerprint": end.fingerprint,
        "deployment_id": end.deployment_id,
    }
