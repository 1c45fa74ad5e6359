"""Verbs on API keys."""

from collections.abc import Collection
from dataclasses import replace

from tokenbooth.access.keys import sql
from tokenbooth.access.keys.rules import (
    OVERLAP_MAX_S,
    RANDOM_BYTES,
    caller_of,
    checked_ask,
    checked_overlap,
    checked_secret,
    is_live,
    offered_secret,
    secret_hmac,
    secret_of,
    stored_form,
)
from tokenbooth.access.keys.values import ALL_SCOPES, ApiKey, Found, KeyAsk, MintedKey
from tokenbooth.access.rules import may_exist
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Ids, Randomness, Tx
from tokenbooth.core.problem import Problem

__all__ = [
    "ALL_SCOPES",
    "OVERLAP_MAX_S",
    "ApiKey",
    "Found",
    "KeyAsk",
    "MintedKey",
    "authenticate",
    "caller_of",
    "checked_secret",
    "find",
    "key_by",
    "keys",
    "mint",
    "offered_secret",
    "revoke",
    "revoked_among",
    "rotate",
    "secret_hmac",
]

_US_PER_S = 1_000_000


def mint(op: Op, tx: Tx, ask: KeyAsk, ids: Ids, randomness: Randomness, pepper: bytes) -> MintedKey:
    """A new key; its secret is in the result and nowhere else.

    Raises Problem INVALID_VALUE naming the field, NAME_NOT_FOUND for an unknown project.
    """
    now_us = op.now()
    checked_ask(ask, now_us)
    known = may_exist(ask.project_id)
    org_id = sql.select_project_org(tx, ask.project_id) if known else None
    if org_id is None:
        raise Problem(Code.NAME_NOT_FOUND, "No project of that id exists.", param="project")
    secret = secret_of(randomness.token_bytes(RANDOM_BYTES))
    stored = stored_form(secret, pepper)
    key = ApiKey(
        id=ids.new("key"),
        org_id=org_id,
        project_id=ask.project_id,
        name=ask.name,
        prefix=stored.prefix,
        last_four=stored.last_four,
        scopes=ask.scopes,
        models=ask.models,
        limits=ask.limits,
        created_us=now_us,
        expires_us=ask.expires_us,
    )
    sql.insert_key(tx, key, op.actor)
    sql.insert_secret(tx, key.id, stored, now_us, op.actor)
    return MintedKey(key, secret)


def authenticate(op: Op, tx: Tx, secret: str, pepper: bytes) -> Caller:
    """Who sends this secret, by one indexed lookup of its HMAC.

    Raises Problem INVALID_KEY (a wrong checksum before any lookup), REVOKED_KEY or EXPIRED_KEY.
    """
    found = find(op, tx, secret_hmac(checked_secret(secret), pepper))
    return caller_of(found, op.now())


def find(op: Op, tx: Tx, hmac: bytes) -> Found:
    """The good key behind a secret's HMAC: ``caller_of`` says later whether it is still good.

    Raises Problem INVALID_KEY, REVOKED_KEY or EXPIRED_KEY.
    """
    found = sql.select_by_hmac(tx, hmac)
    caller_of(found, op.now())
    assert found is not None, "nobody calls with a key that was not found"
    return found


def keys(
    op: Op, tx: Tx, org_id: str | None, *, after: str | None = None, limit: int = 10_000
) -> tuple[ApiKey, ...]:
    """One organization's keys, or with ``None`` everybody's, in the order of their ids.

    ``after`` is the last id seen. At most ``limit`` keys. Raises Problem INVALID_VALUE for an
    ``after`` that no id can be.
    """
    if after is not None and not may_exist(after):
        raise Problem(Code.INVALID_VALUE, "after must be the id of a key.", param="after")
    return sql.select_keys(tx, org_id, after or "", limit)


def key_by(op: Op, tx: Tx, key_id: str, org_id: str | None = None) -> ApiKey:
    """Raises Problem NAME_NOT_FOUND, also for another organization's key."""
    key = sql.select_key(tx, key_id, org_id) if may_exist(key_id) else None
    if key is None:
        raise Problem(Code.NAME_NOT_FOUND, "No key of that id exists.", param="key")
    return key


def revoke(op: Op, tx: Tx, key_id: str, org_id: str | None = None) -> ApiKey:
    """End a key and all its secrets for good; a second time changes nothing.

    Raises Problem NAME_NOT_FOUND, also for another organization's key.
    """
    key = _locked_key(op, tx, key_id, org_id)
    if key.revoked_us is not None:
        return key
    now_us = op.now()
    sql.mark_revoked(tx, key, now_us, op.actor)
    return replace(key, revoked_us=now_us)


def rotate(
    op: Op, tx: Tx, key_id: str, randomness: Randomness, pepper: bytes, overlap_s: int
) -> MintedKey:
    """A new secret for the same key; earlier secrets end ``overlap_s`` from now at the latest.

    The key keeps its id, so caps, rate limits and history go on. Calls that run on an earlier
    secret run on; to cut them, revoke the key. Raises Problem NAME_NOT_FOUND, INVALID_VALUE, and
    STATE_CONFLICT for a revoked or expired key.
    """
    now_us = op.now()
    end_us = now_us + checked_overlap(overlap_s) * _US_PER_S
    key = _locked_key(op, tx, key_id)
    if not is_live(key, now_us):
        state = "revoked" if key.revoked_us is not None else "expired"
        raise Problem(Code.STATE_CONFLICT, f"The key is {state}; create another.", param="key")
    secret = secret_of(randomness.token_bytes(RANDOM_BYTES))
    stored = stored_form(secret, pepper)
    sql.end_secrets(tx, key.id, end_us)
    sql.insert_secret(tx, key.id, stored, now_us, op.actor)
    return MintedKey(replace(key, prefix=stored.prefix, last_four=stored.last_four), secret)


def revoked_among(op: Op, tx: Tx, key_ids: Collection[str]) -> frozenset[str]:
    """Those of ``key_ids`` that are revoked, expired or unknown: their running calls must end."""
    return frozenset(key_ids) - sql.select_live(tx, frozenset(key_ids), op.now())


def _locked_key(op: Op, tx: Tx, key_id: str, org_id: str | None = None) -> ApiKey:
    if may_exist(key_id):
        sql.lock_key(tx, key_id)
    return key_by(op, tx, key_id, org_id)
