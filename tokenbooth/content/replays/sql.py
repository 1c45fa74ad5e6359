"""Statements of claims and of retention; the project stands in every WHERE but the worker's."""

from typing import Any

from sqlalchemy import Text, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from tokenbooth.content.replays.rules import RUNNING_EXTRA_US
from tokenbooth.content.replays.values import Claim, ClaimAsk, ClaimState, Lack, Over
from tokenbooth.core.ports import Tx
from tokenbooth.store.tables.content import ANSWER_RETENTION, REPLAY

_C = REPLAY.c
_KEY = tuple_(_C.project_id, _C.idempotency_key)
_IS_THIS = (_C.project_id == bindparam("project")) & (_C.idempotency_key == bindparam("key"))
_IS_MINE = _IS_THIS & (_C.request_id == bindparam("request"))
_CLAIM = select(REPLAY).where(_IS_THIS).with_for_update()
_ADD = insert(REPLAY).on_conflict_do_nothing()
_IS_RUNNING = _C.state == "running"
_FORGET = delete(REPLAY).where(_IS_MINE)
_RELEASE = delete(REPLAY).where(_IS_MINE, _IS_RUNNING)
_FINISH = update(REPLAY).where(_IS_MINE, _IS_RUNNING)
_PAST = (
    select(REPLAY)
    .where(
        _IS_RUNNING,
        _C.replica_id == bindparam("replica"),
        _C.epoch < bindparam("epoch"),
        tuple_(bindparam("after_project", type_=Text), bindparam("after_key", type_=Text)) < _KEY,
    )
    .order_by(_C.project_id, _C.idempotency_key)
    .limit(bindparam("count"))
)
_EXPIRED = (
    select(_C.project_id, _C.idempotency_key)
    .where(
        _C.expires_us <= bindparam("now_us"),
        ~_IS_RUNNING | (_C.expires_us <= bindparam("now_us") - RUNNING_EXTRA_US),
    )
    .order_by(_C.expires_us)
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True)
)
_DROP_EXPIRED = delete(REPLAY).where(_KEY.in_(_EXPIRED))
_NOT_KEEPING = select(ANSWER_RETENTION.c.project_id).where(
    ANSWER_RETENTION.c.kept == bindparam("kept")
)
_UNKEPT = (
    select(_C.project_id, _C.idempotency_key)
    .where(
        _C.project_id.in_(_NOT_KEEPING),
        _C.sealed.is_not(None),
    )
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True)
)
_EMPTY_UNKEPT = update(REPLAY).where(_KEY.in_(_UNKEPT))
_RETENTION = select(ANSWER_RETENTION.c.kept).where(
    ANSWER_RETENTION.c.project_id == bindparam("project")
)
_PUT_RETENTION = insert(ANSWER_RETENTION)
_PUT_RETENTION = _PUT_RETENTION.on_conflict_do_update(
    index_elements=["project_id"],
    set_={
        "kept": _PUT_RETENTION.excluded.kept,
        "set_us": _PUT_RETENTION.excluded.set_us,
        "set_by": _PUT_RETENTION.excluded.set_by,
    },
)


def add_claim(tx: Tx, ask: ClaimAsk, now_us: int) -> bool:
    """False when the key is claimed; one who is just claiming it is waited for."""
    row = {
        "project_id": ask.project_id,
        "idempotency_key": ask.key,
        "org_id": ask.org_id,
        "body_sha256": ask.body_sha256,
        "state": ClaimState.RUNNING.value,
        "request_id": ask.request_id,
        "replica_id": ask.replica_id,
        "epoch": ask.epoch,
        "created_us": now_us,
        "expires_us": now_us + ask.keep_us,
    }
    added: int = tx.execute(_ADD, row).rowcount
    return added > 0


def locked_claim(tx: Tx, project_id: str, key: str) -> Claim | None:
    row = tx.execute(_CLAIM, {"project": project_id, "key": key}).one_or_none()
    return None if row is None else _claim(row)


def forget_claim(tx: Tx, claim: Claim) -> None:
    tx.execute(_FORGET, _mine(claim))


def release_claim(tx: Tx, claim: ClaimAsk | Claim) -> None:
    """Only while this very call runs."""
    tx.execute(_RELEASE, _mine(claim))


def finish_claim(tx: Tx, claim: ClaimAsk | Claim, over: Over) -> None:
    """Only while this very call runs: the first end stays."""
    state = ClaimState.DONE if over.whole else ClaimState.FAILED
    values = {
        "state": state.value,
        "outcome": over.outcome,
        "lacks": None if over.lacks is None else over.lacks.value,
        "sealed": over.sealed,
    }
    tx.execute(_FINISH.values(values), _mine(claim))


def past_claims(
    tx: Tx, replica_id: str, epoch: int, after: tuple[str, str], count: int
) -> tuple[Claim, ...]:
    """Running ones of earlier runs of that process, in the order of their keys."""
    values = {
        "replica": replica_id,
        "epoch": epoch,
        "after_project": after[0],
        "after_key": after[1],
        "count": count,
    }
    return tuple(_claim(row) for row in tx.execute(_PAST, values))


def drop_expired(tx: Tx, now_us: int, count: int) -> int:
    """At most ``count``; how many were dropped."""
    dropped: int = tx.execute(_DROP_EXPIRED, {"now_us": now_us, "count": count}).rowcount
    return dropped


def empty_unkept(tx: Tx, count: int) -> int:
    """Take the answers out of at most ``count`` claims of projects that keep none."""
    values = {"sealed": None, "lacks": Lack.NOT_KEPT.value}
    wanted = {"kept": False, "count": count}
    emptied: int = tx.execute(_EMPTY_UNKEPT.values(values), wanted).rowcount
    return emptied


def answers_kept(tx: Tx, project_id: str) -> bool:
    kept = tx.execute(_RETENTION, {"project": project_id}).scalar_one_or_none()
    return kept is None or bool(kept)


def put_retention(tx: Tx, project_id: str, *, kept: bool, now_us: int, author: str) -> None:
    row = {"project_id": project_id, "kept": kept, "set_us": now_us, "set_by": author}
    tx.execute(_PUT_RETENTION, row)


def _mine(claim: ClaimAsk | Claim) -> dict[str, str]:
    return {"project": claim.project_id, "key": claim.key, "request": claim.request_id}


def _claim(row: Any) -> Claim:
    return Claim(
        org_id=row.org_id,
        project_id=row.project_id,
        key=row.idempotency_key,
        body_sha256=bytes(row.body_sha256),
        state=ClaimState(row.state),
        request_id=row.request_id,
        replica_id=row.replica_id,
        epoch=row.epoch,
        created_us=row.created_us,
        expires_us=row.expires_us,
        outcome=row.outcome,
        lacks=None if row.lacks is None else Lack(row.lacks),
        sealed=None if row.sealed is None else bytes(row.sealed),
    )
