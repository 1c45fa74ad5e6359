"""Statements of stored responses; the project stands in every WHERE but the worker's."""

from typing import Any

from sqlalchemy import bindparam, delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from tokenbooth.content.responses.values import ResponseAsk, StoredResponse
from tokenbooth.core.ports import Tx
from tokenbooth.store.tables.content import ANSWER_RETENTION
from tokenbooth.store.tables.responses import RESPONSE_EVENTS, STORED_RESPONSE

_C = STORED_RESPONSE.c
_KEY = tuple_(_C.project_id, _C.id)
_IS_THIS = (_C.project_id == bindparam("project")) & (_C.id == bindparam("response"))
_IS_RUNNING = _C.state == "running"
# A call that still runs is not deleted under its own hands.
RUNNING_EXTRA_US = 86_400_000_000
_ADD = insert(STORED_RESPONSE).on_conflict_do_nothing()
_FIND = select(STORED_RESPONSE).where(_IS_THIS, _C.expires_us > bindparam("now_us"))
_DELETE = delete(STORED_RESPONSE).where(_IS_THIS)
_RUNNING = select(_C.id).where(_IS_THIS, _IS_RUNNING).with_for_update()
_WITHDRAW = delete(STORED_RESPONSE).where(_IS_THIS, _IS_RUNNING)
_FINISH = update(STORED_RESPONSE).where(_IS_THIS, _IS_RUNNING)
_CANCEL = update(STORED_RESPONSE).where(_IS_THIS, _IS_RUNNING, _C.cancel_us.is_(None))
_CANCELLED = select(_C.id).where(
    _IS_RUNNING, _C.replica_id == bindparam("replica"), _C.cancel_us > 0
)
_PAST = (
    select(STORED_RESPONSE)
    .where(_IS_RUNNING, _C.replica_id == bindparam("replica"), _C.epoch < bindparam("epoch"))
    .order_by(_C.project_id, _C.id)
    .limit(bindparam("count"))
)
_E = RESPONSE_EVENTS.c
_ADD_EVENTS = insert(RESPONSE_EVENTS)
_ADD_EVENTS = _ADD_EVENTS.on_conflict_do_update(
    index_elements=["project_id", "response_id", "first_number"],
    set_={"sealed": _ADD_EVENTS.excluded.sealed},
)
_OF_THIS = (_E.project_id == bindparam("project")) & (_E.response_id == bindparam("response"))
_HOLDING = (
    select(func.coalesce(func.max(_E.first_number), 0))
    .where(_OF_THIS, _E.first_number <= bindparam("first"))
    .scalar_subquery()
)
_EVENTS = (
    select(_E.first_number, _E.sealed)
    .where(_OF_THIS, _E.first_number >= _HOLDING)
    .order_by(_E.first_number)
    .limit(bindparam("count"))
)
_EXPIRED = (
    select(_C.project_id, _C.id)
    .where(
        _C.expires_us <= bindparam("now_us"),
        ~_IS_RUNNING | (_C.expires_us <= bindparam("now_us") - RUNNING_EXTRA_US),
    )
    .order_by(_C.expires_us)
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True)
)
_DROP_EXPIRED = delete(STORED_RESPONSE).where(_KEY.in_(_EXPIRED))
_NOT_KEEPING = select(ANSWER_RETENTION.c.project_id).where(
    ANSWER_RETENTION.c.kept == bindparam("kept")
)
_UNKEPT = (
    select(_C.project_id, _C.id)
    .where(_C.project_id.in_(_NOT_KEEPING), _C.state == "over")
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True)
)
_DROP_UNKEPT = delete(STORED_RESPONSE).where(_KEY.in_(_UNKEPT))


def add_response(tx: Tx, ask: ResponseAsk, sealed: bytes, now_us: int, *, over: bool) -> bool:
    """False when there is one with that id already."""
    row = {
        "project_id": ask.project_id,
        "id": ask.response_id,
        "org_id": ask.org_id,
        "previous_id": ask.previous_id,
        "background": ask.background,
        "state": "over" if over else "running",
        "replica_id": ask.replica_id,
        "epoch": ask.epoch,
        "created_us": now_us,
        "expires_us": now_us + ask.keep_us,
        "sealed": sealed,
    }
    added: int = tx.execute(_ADD, row).rowcount
    return added > 0


def response(tx: Tx, project_id: str, response_id: str, now_us: int) -> StoredResponse | None:
    """``None`` for what is not there, or has expired."""
    wanted = {"project": project_id, "response": response_id, "now_us": now_us}
    row = tx.execute(_FIND, wanted).one_or_none()
    return None if row is None else _response(row)


def delete_response(tx: Tx, project_id: str, response_id: str) -> bool:
    dropped: int = tx.execute(_DELETE, {"project": project_id, "response": response_id}).rowcount
    return dropped > 0


def withdraw_response(tx: Tx, project_id: str, response_id: str) -> None:
    """Only while it runs."""
    tx.execute(_WITHDRAW, {"project": project_id, "response": response_id})


def finish_response(tx: Tx, project_id: str, response_id: str, sealed: bytes) -> None:
    """Only while it runs: the first end stays."""
    values = {"state": "over", "sealed": sealed}
    wanted = {"project": project_id, "response": response_id}
    tx.execute(_FINISH.values(values), wanted)


def locked_running(tx: Tx, project_id: str, response_id: str) -> bool:
    wanted = {"project": project_id, "response": response_id}
    return tx.execute(_RUNNING, wanted).one_or_none() is not None


def cancel_response(tx: Tx, project_id: str, response_id: str, now_us: int) -> None:
    wanted = {"project": project_id, "response": response_id}
    tx.execute(_CANCEL.values({"cancel_us": now_us}), wanted)


def cancelled_ids(tx: Tx, replica_id: str) -> frozenset[str]:
    """Of the running ones of that process."""
    return frozenset(row.id for row in tx.execute(_CANCELLED, {"replica": replica_id}))


def past_responses(tx: Tx, replica_id: str, epoch: int, count: int) -> tuple[StoredResponse, ...]:
    """Running ones of earlier runs of that process."""
    wanted = {"replica": replica_id, "epoch": epoch, "count": count}
    return tuple(_response(row) for row in tx.execute(_PAST, wanted))


def add_events(tx: Tx, project_id: str, response_id: str, first_number: int, sealed: bytes) -> None:
    row = {
        "project_id": project_id,
        "response_id": response_id,
        "first_number": first_number,
        "sealed": sealed,
    }
    tx.execute(_ADD_EVENTS, row)


def events(
    tx: Tx, project_id: str, response_id: str, first: int, count: int
) -> tuple[tuple[int, bytes], ...]:
    """At most ``count`` groups of events, from the one that holds number ``first`` on."""
    wanted = {"project": project_id, "response": response_id, "first": first, "count": count}
    return tuple((row.first_number, bytes(row.sealed)) for row in tx.execute(_EVENTS, wanted))


def drop_expired(tx: Tx, now_us: int, count: int) -> int:
    """At most ``count``; how many were dropped."""
    dropped: int = tx.execute(_DROP_EXPIRED, {"now_us": now_us, "count": count}).rowcount
    return dropped


def drop_unkept(tx: Tx, count: int) -> int:
    """At most ``count`` of projects that keep no answers; how many were dropped."""
    dropped: int = tx.execute(_DROP_UNKEPT, {"kept": False, "count": count}).rowcount
    return dropped


def _response(row: Any) -> StoredResponse:
    return StoredResponse(
        org_id=row.org_id,
        project_id=row.project_id,
        response_id=row.id,
        previous_id=row.previous_id,
        background=bool(row.background),
        running=row.state == "running",
        replica_id=row.replica_id,
        epoch=row.epoch,
        created_us=row.created_us,
        expires_us=row.expires_us,
        cancelled=row.cancel_us is not None,
        sealed=bytes(row.sealed),
    )
