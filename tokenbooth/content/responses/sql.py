"""Statements of stored responses; the project stands in every WHERE but the worker's."""

from typing import Any

from sqlalchemy import bindparam, delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from tokenbooth.content.responses.values import ResponseAsk, StoredResponse
from tokenbooth.core.ports import Tx
from tokenbooth.store.tables.content import ANSWER_RETENTION
from tokenbooth.store.tables.responses import STORED_RESPONSE

_C = STORED_RESPONSE.c
_KEY = tuple_(_C.project_id, _C.id)
_IS_THIS = (_C.project_id == bindparam("project")) & (_C.id == bindparam("response"))
_ADD = insert(STORED_RESPONSE).on_conflict_do_nothing()
_FIND = select(STORED_RESPONSE).where(_IS_THIS, _C.expires_us > bindparam("now_us"))
_DELETE = delete(STORED_RESPONSE).where(_IS_THIS)
_EXPIRED = (
    select(_C.project_id, _C.id)
    .where(_C.expires_us <= bindparam("now_us"), _C.state == "over")
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
