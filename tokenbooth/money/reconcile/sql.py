"""Statements of the reconciler: calls between two readings, balances, and what was found."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from tokenbooth.core.delta import UsageSource
from tokenbooth.core.ports import Tx
from tokenbooth.core.receipt import LimitScope, Outcome
from tokenbooth.money.reconcile.values import (
    EVERYBODY,
    PREPAID,
    RUNNING,
    BalanceCheck,
    Charged,
    Reading,
    Result,
    Span,
    Subject,
)
from tokenbooth.store.tables.audits import ENGINE_READING, RECONCILE_BALANCE, RECONCILE_RESULT
from tokenbooth.store.tables.metadata import MicroTime, WholeNumber
from tokenbooth.store.tables.money import (
    CALL_RECORD,
    LEDGER_ACCOUNT,
    LEDGER_POSTING,
    SPEND_LIMIT,
)

# A call runs for a day at most, so older ones cannot reach into a span.
RUN_US_MAX = 86_400 * 1_000_000
LATEST_ROWS_MAX = 1_000

_C = CALL_RECORD.c
_STARTED = func.coalesce(_C.started_us, _C.created_us)
_OPEN = _C.state == RUNNING
_SURE = and_(
    _C.outcome == Outcome.COMPLETED.value,
    _C.usage_source == UsageSource.ENGINE.value,
    bindparam("inner_from", type_=MicroTime) < _STARTED,
    _C.ended_us < bindparam("inner_until"),
)
_MINE = or_(
    _C.deployment_id == bindparam("deployment"),
    and_(_C.deployment_id.is_(None), _C.model == bindparam("name")),
)
_PREPAID = LEDGER_ACCOUNT.c.kind == PREPAID
_BALANCES = (
    select(
        LEDGER_ACCOUNT.c.org_id,
        func.coalesce(func.sum(LEDGER_POSTING.c.amount_nano), 0).label("computed_nano"),
    )
    .select_from(LEDGER_ACCOUNT.outerjoin(LEDGER_POSTING))
    .where(_PREPAID)
    .group_by(LEDGER_ACCOUNT.c.org_id)
)
_STORED = select(SPEND_LIMIT.c.owner_id, SPEND_LIMIT.c.limit_nano, SPEND_LIMIT.c.spent_nano).where(
    SPEND_LIMIT.c.scope == LimitScope.BALANCE.value
)
_ADD_RESULT = insert(RECONCILE_RESULT).on_conflict_do_nothing()
_NEWEST = (
    select(
        RECONCILE_RESULT.c.subject,
        RECONCILE_RESULT.c.deployment_id,
        RECONCILE_RESULT.c.replica_id,
        func.max(RECONCILE_RESULT.c.until_us).label("until_us"),
    )
    .group_by(
        RECONCILE_RESULT.c.subject, RECONCILE_RESULT.c.deployment_id, RECONCILE_RESULT.c.replica_id
    )
    .subquery()
)
_LATEST = (
    select(RECONCILE_RESULT)
    .join(
        _NEWEST,
        and_(
            RECONCILE_RESULT.c.subject == _NEWEST.c.subject,
            RECONCILE_RESULT.c.deployment_id == _NEWEST.c.deployment_id,
            RECONCILE_RESULT.c.replica_id == _NEWEST.c.replica_id,
            RECONCILE_RESULT.c.until_us == _NEWEST.c.until_us,
        ),
    )
    .order_by(RECONCILE_RESULT.c.id.desc())
    .limit(LATEST_ROWS_MAX)
)
_LAST_LEDGER = select(func.max(RECONCILE_RESULT.c.until_us)).where(
    RECONCILE_RESULT.c.subject == Subject.LEDGER.value
)
_LAST_SOUND = _LAST_LEDGER.where(RECONCILE_RESULT.c.sound == bindparam("wanted"))
_FORGET = delete(RECONCILE_RESULT).where(RECONCILE_RESULT.c.until_us < bindparam("before_us"))
_PUT_BALANCE = insert(RECONCILE_BALANCE)
_PUT_BALANCE = _PUT_BALANCE.on_conflict_do_update(
    index_elements=["org_id"],
    set_={
        "computed_nano": _PUT_BALANCE.excluded.computed_nano,
        "stored_nano": _PUT_BALANCE.excluded.stored_nano,
        "checked_us": _PUT_BALANCE.excluded.checked_us,
    },
)
_BALANCE = select(RECONCILE_BALANCE).where(RECONCILE_BALANCE.c.org_id == bindparam("org"))
_READING = (
    select(ENGINE_READING)
    .where(
        ENGINE_READING.c.deployment_id == bindparam("deployment"),
        ENGINE_READING.c.replica_id == bindparam("replica"),
    )
    .with_for_update()
)
_PUT_READING = insert(ENGINE_READING)
_PUT_READING = _PUT_READING.on_conflict_do_update(
    index_elements=["deployment_id", "replica_id"],
    set_={
        name: _PUT_READING.excluded[name]
        for name in (
            "epoch",
            "generation",
            "input_tokens",
            "output_tokens",
            "rounding_tokens",
            "from_us",
            "until_us",
        )
    },
)


def charged(tx: Tx, reading: Reading, span: Span, overrun_tokens: int) -> Charged:
    """The calls that the counters of ``reading`` can have in them within ``span``."""
    unsure = and_(
        ~func.coalesce(_SURE, false()),
        or_(_C.ended_us.is_(None), _C.ended_us >= bindparam("outer_from")),
    )
    statement = select(
        _count(_SURE).label("calls"),
        _total(_SURE, _known_input(reading)).label("input_tokens"),
        _total(_SURE, _C.output_tokens).label("output_tokens"),
        _count(unsure).label("unsure_calls"),
        (
            _total(unsure, _most(_C.held_input_tokens, _C.input_tokens))
            + _total(_SURE, _unknown_input(reading))
        ).label("unsure_input_tokens"),
        _total(unsure, _possible_output(reading, overrun_tokens)).label("unsure_output_tokens"),
    )
    statement = statement.select_from(
        LEDGER_ACCOUNT.join(CALL_RECORD, _C.org_id == LEDGER_ACCOUNT.c.org_id)
    ).where(
        _PREPAID,
        _C.created_us >= bindparam("created_from"),
        _C.created_us <= bindparam("outer_until"),
        _MINE,
    )
    if reading.replica_id != EVERYBODY:
        statement = statement.where(
            _C.replica_id == bindparam("replica"), _C.epoch == bindparam("at_epoch")
        )
    row = tx.execute(
        statement,
        {
            "deployment": reading.deployment_id,
            "name": reading.model,
            "replica": reading.replica_id,
            "at_epoch": reading.epoch,
            "created_from": span.outer_from_us - RUN_US_MAX,
            "outer_from": span.outer_from_us,
            "inner_from": span.inner_from_us,
            "inner_until": span.inner_until_us,
            "outer_until": span.outer_until_us,
        },
    ).one()
    return Charged(
        calls=int(row.calls),
        input_tokens=int(row.input_tokens),
        output_tokens=int(row.output_tokens),
        unsure_calls=int(row.unsure_calls),
        unsure_input_tokens=int(row.unsure_input_tokens),
        unsure_output_tokens=int(row.unsure_output_tokens),
    )


def _known_input(reading: Reading) -> ColumnElement[int]:
    """Input that the engine certainly counted; where it leaves cached input out, how much that
    was must be told."""
    if reading.with_cached:
        return _C.input_tokens
    return func.coalesce(_C.input_tokens - _C.cached_input_tokens, 0)


def _unknown_input(reading: Reading) -> ColumnElement[int]:
    if reading.with_cached:
        return literal(0, WholeNumber())
    return case((_C.cached_input_tokens.is_(None), _C.input_tokens), else_=0)


def _possible_output(reading: Reading, overrun_tokens: int) -> ColumnElement[int]:
    """A call that runs may have produced anything up to the model's bound; one that was cut off
    a little more than it was given; one that completed what it was charged for."""
    most = _most(_C.held_output_tokens, _C.output_tokens)
    running = case(
        (most < reading.call_tokens_max, literal(reading.call_tokens_max, WholeNumber())),
        else_=most,
    )
    told = and_(_C.outcome == Outcome.COMPLETED.value, _C.usage_source == UsageSource.ENGINE.value)
    return case((_OPEN, running), (told, _C.output_tokens), else_=most + overrun_tokens)


def _most(held: ColumnElement[int], used: ColumnElement[int]) -> ColumnElement[int]:
    return case((func.coalesce(used, 0) > held, used), else_=held)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _total(condition: ColumnElement[bool], amount: ColumnElement[int]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, amount), else_=0)), 0)


def balances(tx: Tx, checked_us: int) -> tuple[BalanceCheck, ...]:
    """Every organization that has an account or a balance row."""
    computed = {row.org_id: int(row.computed_nano) for row in tx.execute(_BALANCES)}
    stored = {row.owner_id: row.limit_nano - row.spent_nano for row in tx.execute(_STORED)}
    return tuple(
        BalanceCheck(org_id, computed.get(org_id, 0), stored.get(org_id, 0), checked_us)
        for org_id in sorted({*computed, *stored})
    )


def put_balances(tx: Tx, checks: Iterable[BalanceCheck]) -> None:
    rows = [
        {
            "org_id": check.org_id,
            "computed_nano": check.computed_nano,
            "stored_nano": check.stored_nano,
            "checked_us": check.checked_us,
        }
        for check in checks
    ]
    if rows:
        tx.execute(_PUT_BALANCE, rows)


def balance(tx: Tx, org_id: str) -> BalanceCheck | None:
    row = tx.execute(_BALANCE, {"org": org_id}).one_or_none()
    if row is None:
        return None
    return BalanceCheck(row.org_id, row.computed_nano, row.stored_nano, row.checked_us)


def add_result(tx: Tx, result: Result) -> None:
    tx.execute(
        _ADD_RESULT,
        {
            "id": result.id,
            "subject": result.subject.value,
            "deployment_id": result.deployment_id,
            "replica_id": result.replica_id,
            "sound": result.sound,
            "difference": result.difference,
            "from_us": result.from_us,
            "until_us": result.until_us,
            "body": result.body,
        },
    )


def latest(tx: Tx) -> tuple[Result, ...]:
    """The newest result of each subject, the newest of all first."""
    return tuple(_result(row) for row in tx.execute(_LATEST))


def last_ledger_us(tx: Tx) -> int | None:
    found: int | None = tx.execute(_LAST_LEDGER).scalar()
    return found


def last_sound_us(tx: Tx) -> int | None:
    """Unless a later look found the ledger not sound."""
    sound_us: int | None = tx.execute(_LAST_SOUND, {"wanted": True}).scalar()
    return sound_us if sound_us == last_ledger_us(tx) else None


def forget(tx: Tx, before_us: int) -> None:
    tx.execute(_FORGET, {"before_us": before_us})


def _result(row: Any) -> Result:
    return Result(
        id=row.id,
        subject=Subject(row.subject),
        deployment_id=row.deployment_id,
        replica_id=row.replica_id,
        sound=row.sound,
        difference=row.difference,
        from_us=row.from_us,
        until_us=row.until_us,
        body=row.body,
    )


def reading(tx: Tx, like: Reading) -> Reading | None:
    """The newest reading of the same engine, locked."""
    values = {"deployment": like.deployment_id, "replica": like.replica_id}
    row = tx.execute(_READING, values).one_or_none()
    if row is None:
        return None
    return Reading(
        deployment_id=row.deployment_id,
        model=like.model,
        replica_id=row.replica_id,
        epoch=row.epoch,
        generation=row.generation,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        with_cached=like.with_cached,
        rounding_tokens=row.rounding_tokens,
        call_tokens_max=like.call_tokens_max,
        from_us=row.from_us,
        until_us=row.until_us,
    )


def put_reading(tx: Tx, new: Reading) -> None:
    tx.execute(
        _PUT_READING,
        {
            "deployment_id": new.deployment_id,
            "replica_id": new.replica_id,
            "epoch": new.epoch,
            "generation": new.generation,
            "input_tokens": new.input_tokens,
            "output_tokens": new.output_tokens,
            "rounding_tokens": new.rounding_tokens,
            "from_us": new.from_us,
            "until_us": new.until_us,
        },
    )
