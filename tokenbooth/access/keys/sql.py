"""Statements on keys and their secrets."""

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import insert, or_, select, update

from tokenbooth.access.keys.values import ApiKey, Found, SecretRow
from tokenbooth.core.caller import CallLimits, Scope
from tokenbooth.core.ports import Tx
from tokenbooth.core.terms import DataTerms
from tokenbooth.store.tables.access import API_KEY, KEY_SECRET, ORGANIZATION, PROJECT

_IDS_PER_STATEMENT = 500

# A key as listed: with the prefix and the last characters of its newest secret.
_KEY = select(API_KEY, KEY_SECRET.c.prefix, KEY_SECRET.c.last_four).join(
    KEY_SECRET, (KEY_SECRET.c.key_id == API_KEY.c.id) & KEY_SECRET.c.expires_us.is_(None)
)
_FOUND = (
    select(
        API_KEY,
        KEY_SECRET.c.prefix,
        KEY_SECRET.c.last_four,
        KEY_SECRET.c.expires_us.label("secret_expires_us"),
        ORGANIZATION.c.requests_per_minute.label("org_requests_per_minute"),
        ORGANIZATION.c.tokens_per_minute.label("org_tokens_per_minute"),
        ORGANIZATION.c.parallel_calls.label("org_parallel_calls"),
        PROJECT.c.data_terms,
    )
    .join(API_KEY, API_KEY.c.id == KEY_SECRET.c.key_id)
    .join(ORGANIZATION, ORGANIZATION.c.id == API_KEY.c.org_id)
    .join(PROJECT, PROJECT.c.id == API_KEY.c.project_id)
)


def select_by_hmac(tx: Tx, secret_hmac: bytes) -> Found | None:
    row = tx.execute(_FOUND.where(KEY_SECRET.c.secret_hmac == secret_hmac)).first()
    if row is None:
        return None
    org_limits = CallLimits(
        row.org_requests_per_minute, row.org_tokens_per_minute, row.org_parallel_calls
    )
    return Found(_key(row), row.secret_expires_us, org_limits, DataTerms(row.data_terms))


def select_project_org(tx: Tx, project_id: str) -> str | None:
    """The organization that the project belongs to."""
    row = tx.execute(select(PROJECT.c.org_id).where(PROJECT.c.id == project_id)).first()
    return None if row is None else str(row.org_id)


def insert_key(tx: Tx, key: ApiKey, author: str) -> None:
    limits = key.limits
    tx.execute(
        insert(API_KEY).values(
            id=key.id,
            org_id=key.org_id,
            project_id=key.project_id,
            name=key.name,
            scopes=" ".join(sorted(key.scopes)),
            models=None if key.models is None else json.dumps(sorted(key.models)),
            requests_per_minute=limits.requests_per_minute,
            tokens_per_minute=limits.tokens_per_minute,
            parallel_calls=limits.parallel_calls,
            expires_us=key.expires_us,
            created_us=key.created_us,
            created_by=author,
        )
    )


def insert_secret(tx: Tx, key_id: str, secret: SecretRow, now_us: int, author: str) -> None:
    tx.execute(
        insert(KEY_SECRET).values(
            secret_hmac=secret.hmac,
            key_id=key_id,
            prefix=secret.prefix,
            last_four=secret.last_four,
            created_us=now_us,
            created_by=author,
        )
    )


def end_secrets(tx: Tx, key_id: str, end_us: int) -> None:
    """No secret of the key is good after ``end_us``; an earlier end stays."""
    expires_us = KEY_SECRET.c.expires_us
    tx.execute(
        update(KEY_SECRET)
        .where(KEY_SECRET.c.key_id == key_id, or_(expires_us.is_(None), expires_us > end_us))
        .values(expires_us=end_us)
    )


def select_key(tx: Tx, key_id: str, org_id: str | None = None) -> ApiKey | None:
    statement = _KEY.where(API_KEY.c.id == key_id)
    if org_id is not None:
        statement = statement.where(API_KEY.c.org_id == org_id)
    row = tx.execute(statement).first()
    return None if row is None else _key(row)


def lock_key(tx: Tx, key_id: str) -> None:
    """Nobody else changes the key until the transaction ends.

    Acts on PostgreSQL; SQLite has one writer. The lock comes before the read, so that the read
    sees what a writer just before it did.
    """
    tx.execute(select(API_KEY.c.id).where(API_KEY.c.id == key_id).with_for_update())


def select_keys(tx: Tx, org_id: str | None, after: str, limit: int) -> tuple[ApiKey, ...]:
    statement = _KEY.where(API_KEY.c.id > after).order_by(API_KEY.c.id).limit(limit)
    if org_id is not None:
        statement = statement.where(API_KEY.c.org_id == org_id)
    return tuple(_key(row) for row in tx.execute(statement))


def mark_revoked(tx: Tx, key: ApiKey, now_us: int, author: str) -> None:
    """The first revocation stays."""
    tx.execute(
        update(API_KEY)
        .where(
            API_KEY.c.id == key.id, API_KEY.c.org_id == key.org_id, API_KEY.c.revoked_us.is_(None)
        )
        .values(revoked_us=now_us, revoked_by=author)
    )


def select_live(tx: Tx, key_ids: Collection[str], now_us: int) -> frozenset[str]:
    """Those of ``key_ids`` that are neither revoked nor expired."""
    wanted = list(key_ids)
    live: set[str] = set()
    for start in range(0, len(wanted), _IDS_PER_STATEMENT):
        some = wanted[start : start + _IDS_PER_STATEMENT]
        rows = tx.execute(
            select(API_KEY.c.id).where(
                API_KEY.c.id.in_(some),
                API_KEY.c.revoked_us.is_(None),
                or_(API_KEY.c.expires_us.is_(None), API_KEY.c.expires_us > now_us),
            )
        )
        live.update(row.id for row in rows)
    return frozenset(live)


def _key(row: Any) -> ApiKey:
    return ApiKey(
        id=row.id,
        org_id=row.org_id,
        project_id=row.project_id,
        name=row.name,
        prefix=row.prefix,
        last_four=row.last_four,
        scopes=frozenset(Scope(scope) for scope in row.scopes.split()),
        models=None if row.models is None else frozenset(json.loads(row.models)),
        limits=CallLimits(row.requests_per_minute, row.tokens_per_minute, row.parallel_calls),
        created_us=row.created_us,
        expires_us=row.expires_us,
        revoked_us=row.revoked_us,
    )
