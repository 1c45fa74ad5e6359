"""Statements on evidence."""

import json
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from tokenbooth.core.ports import Tx
from tokenbooth.launch.evidence.values import Piece
from tokenbooth.signing.attestation import read_attestation
from tokenbooth.store.tables.launch import LAUNCH_EVIDENCE, LAUNCH_REVOCATION

PIECES_MAX = 10_000
_E, _R = LAUNCH_EVIDENCE.c, LAUNCH_REVOCATION.c
_PIECES = (
    select(LAUNCH_EVIDENCE, _R.reason, _R.revoked_us)
    .outerjoin(LAUNCH_REVOCATION, _R.digest == _E.digest)
    .order_by(_E.issued_us.desc(), _E.digest)
    .limit(PIECES_MAX)
)


def insert_piece(tx: Tx, piece: Piece) -> bool:
    """False when the same one is there; give the transaction up."""
    values = {
        "digest": piece.digest,
        "model": piece.model,
        "kind": piece.kind,
        "issued_us": piece.issued_us,
        "document": json.dumps(piece.attestation.to_json()),
        "added_us": piece.added_us,
        "added_by": piece.added_by,
    }
    return _inserted(tx, insert(LAUNCH_EVIDENCE).values(**values))


def insert_revocation(tx: Tx, piece: Piece, reason: str, now_us: int, author: str) -> bool:
    """False when it is revoked already; give the transaction up."""
    values = {
        "digest": piece.digest,
        "reason": reason,
        "revoked_us": now_us,
        "revoked_by": author,
    }
    return _inserted(tx, insert(LAUNCH_REVOCATION).values(**values))


def pieces(tx: Tx, model: str | None) -> tuple[Piece, ...]:
    """The newest first; ``None`` means of every model."""
    statement = _PIECES if model is None else _PIECES.where(_E.model == model)
    return tuple(_piece(row) for row in tx.execute(statement))


def piece(tx: Tx, digest_start: str) -> tuple[Piece, ...]:
    """Those whose digest begins like this, two at most."""
    found = _PIECES.where(_E.digest.startswith(digest_start, autoescape=True)).limit(2)
    return tuple(_piece(row) for row in tx.execute(found))


def revoked_models(tx: Tx, since_us: int, until_us: int) -> tuple[str, ...]:
    """The models of which evidence was revoked from the one moment to just before the other."""
    rows = tx.execute(
        select(_E.model)
        .join(LAUNCH_REVOCATION, _R.digest == _E.digest)
        .where(_R.revoked_us >= since_us, _R.revoked_us < until_us)
        .distinct()
        .order_by(_E.model)
    )
    return tuple(row.model for row in rows)


def _inserted(tx: Tx, statement: Any) -> bool:
    try:
        tx.execute(statement)
    except IntegrityError:
        return False
    return True


def _piece(row: Any) -> Piece:
    return Piece(
        digest=row.digest,
        attestation=read_attestation(json.loads(row.document)),
        added_us=row.added_us,
        added_by=row.added_by,
        revoked_us=row.revoked_us,
        revoked_why=row.reason or "",
    )
