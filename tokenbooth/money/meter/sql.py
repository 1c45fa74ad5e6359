"""Statements over call records; the tenant stands in every WHERE but the operator's."""

from collections.abc import Iterator
from operator import eq, lt
from typing import Any

from sqlalchemy import bindparam, func, select, tuple_

from tokenbooth.core.ports import Tx
from tokenbooth.core.receipt import Outcome
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.meter.rules import DAY_US
from tokenbooth.money.meter.values import CallRecord, ChargedCall, OrgTotal, PageAsk, UsageLine
from tokenbooth.store.tables.money import CALL_RECORD
from tokenbooth.store.usage_columns import COUNT_COLUMNS, USAGE_COLUMNS, usage_from, usage_sum

_C = CALL_RECORD.c
_IS_OPEN = _C.state == "open"
_OF_ORG = select(CALL_RECORD).where(_C.org_id == bindparam("org"))
_CALL = _OF_ORG.where(_C.request_id == bindparam("request"))
_CALLS = _OF_ORG.order_by(_C.request_id.desc()).limit(bindparam("count"))

PAGE_ROWS = 1000
MINUTE_US = 60_000_000
MINUTES_MAX = 200_000
_CHARGED = (
    select(
        _C.request_id,
        _C.created_us,
        _C.model,
        _C.tier,
        _C.data_terms,
        _C.cost_nano,
        *(_C[name] for name in USAGE_COLUMNS),
    )
    .where(
        _C.org_id == bindparam("org"),
        _C.state == "posted",
        tuple_(_C.created_us, _C.request_id) > tuple_(bindparam("since_us"), bindparam("after")),
        _C.created_us < bindparam("until_us"),
    )
    .order_by(_C.created_us, _C.request_id)
    .limit(PAGE_ROWS)
)


def _sum(column: Any) -> Any:
    return func.coalesce(func.sum(column), 0)


def _billed(column: Any) -> Any:
    """Of charged calls alone, so that tokens times price is the cost beside them."""
    return func.coalesce(func.sum(column).filter(_C.state == "posted"), 0)


_DAY = (_C.created_us - _C.created_us % DAY_US).label("day_us")
_USAGE = (
    select(
        _DAY,
        _C.model,
        func.count().label("calls"),
        *(_billed(_C[name]).label(name) for name in COUNT_COLUMNS),
        _sum(_C.cost_nano).label("cost_nano"),
    )
    .where(
        _C.org_id == bindparam("org"),
        _C.created_us >= bindparam("since_us"),
        _C.created_us < bindparam("until_us"),
        ~_IS_OPEN,
    )
    .group_by(_DAY, _C.model)
    .order_by(_DAY, _C.model)
)
_TOTALS = (
    select(
        _C.org_id,
        func.count().label("calls"),
        func.count().filter(_IS_OPEN).label("running"),
        _billed(_C.input_tokens).label("input_tokens"),
        _billed(_C.output_tokens).label("output_tokens"),
        _sum(_C.cost_nano).label("cost_nano"),
        _sum(_C.operator_loss_nano).label("operator_loss_nano"),
    )
    .group_by(_C.org_id)
    .order_by(_C.org_id)
)


def call(tx: Tx, org_id: str, request_id: str) -> CallRecord | None:
    row = tx.execute(_CALL, {"org": org_id, "request": request_id}).one_or_none()
    return None if row is None else _record(row)


def calls(tx: Tx, org_id: str, ask: PageAsk) -> tuple[CallRecord, ...]:
    """Newest first, as ids rise with time; one more than asked for, when there is one."""
    statement = _CALLS
    values: dict[str, str | int] = {"org": org_id, "count": ask.limit + 1}
    for column, operator, value in (
        (_C.project_id, eq, ask.project_id),
        (_C.key_id, eq, ask.key_id),
        (_C.request_id, lt, ask.after),
    ):
        if value is not None:
            statement = statement.where(operator(column, bindparam(f"only_{column.name}")))
            values[f"only_{column.name}"] = value
    return tuple(_record(row) for row in tx.execute(statement, values))


def usage(tx: Tx, org_id: str, since_us: int, until_us: int) -> tuple[UsageLine, ...]:
    values = {"org": org_id, "since_us": since_us, "until_us": until_us}
    return tuple(
        UsageLine(
            day_us=row.day_us,
            model=row.model,
            calls=row.calls,
            usage=usage_sum(row),
            cost_nano=int(row.cost_nano),
        )
        for row in tx.execute(_USAGE, values)
    )


def charged_calls(tx: Tx, org_id: str, since_us: int, until_us: int) -> Iterator[ChargedCall]:
    values = {"org": org_id, "since_us": since_us, "until_us": until_us, "after": ""}
    while rows := tx.execute(_CHARGED, values).all():
        for row in rows:
            yield ChargedCall(
                model=row.model,
                tier=ServiceTier(row.tier),
                data_terms=DataTerms(row.data_terms),
                usage=usage_from(row),
                cost_nano=row.cost_nano,
            )
        values = {**values, "since_us": rows[-1].created_us, "after": rows[-1].request_id}


def totals(tx: Tx) -> tuple[OrgTotal, ...]:
    return tuple(
        OrgTotal(
            org_id=row.org_id,
            calls=row.calls,
            running=row.running,
            input_tokens=int(row.input_tokens),
            output_tokens=int(row.output_tokens),
            cost_nano=int(row.cost_nano),
            operator_loss_nano=int(row.operator_loss_nano),
        )
        for row in tx.execute(_TOTALS)
    )


def busy_minutes(tx: Tx, model: str, since_us: int, until_us: int) -> Iterator[tuple[str, int]]:
    minute = (_C.created_us - _C.created_us % MINUTE_US).label("minute_us")
    rows = tx.execute(
        select(_C.org_id, minute, func.count().label("calls"))
        .where(_C.model == model, _C.created_us >= since_us, _C.created_us < until_us)
        .group_by(_C.org_id, minute)
        .limit(MINUTES_MAX)
    )
    return ((row.org_id, row.calls) for row in rows)


def newest_fingerprint(tx: Tx, model: str) -> str | None:
    """Ids rise with time, so the newest ones are looked at first."""
    row = tx.execute(
        select(_C.fingerprint)
        .where(_C.model == model, _C.fingerprint.is_not(None))
        .order_by(_C.request_id.desc())
        .limit(1)
    ).first()
    return None if row is None else str(row.fingerprint)


def _record(row: Any) -> CallRecord:
    return CallRecord(
        request_id=row.request_id,
        org_id=row.org_id,
        project_id=row.project_id,
        key_id=row.key_id,
        end_customer=row.end_customer,
        model=row.model,
        stream=row.stream,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        reason=row.reason or "",
        usage=None if row.outcome is None else usage_from(row),
        cost_nano=row.cost_nano,
        held_nano=row.held_nano,
        price_version=row.price_version,
        tier=ServiceTier(row.tier),
        data_terms=DataTerms(row.data_terms),
        operator_loss_nano=row.operator_loss_nano,
        created_us=row.created_us,
        started_us=row.started_us,
        first_output_us=row.first_output_us,
        ended_us=row.ended_us,
        fingerprint=row.fingerprint,
    )
