"""Verbs on evidence; the only import surface of this noun."""

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.launch.evidence import sql
from tokenbooth.launch.evidence.values import Piece
from tokenbooth.signing.attestation import MalformedAttestation, read_attestation

__all__ = ["Piece", "add", "by_digest", "pieces", "revoke", "revoked_models"]

DIGEST_CHARS_MIN = 8
_HEX = frozenset("0123456789abcdef")


def add(op: Op, tx: Tx, document: object) -> Piece:
    """Keep an attestation as it is; whether it counts is judged each time that it is asked for.

    Raises INVALID_VALUE for what is no attestation, ALREADY_EXISTS for one that is there.
    """
    try:
        attestation = read_attestation(document)
    except MalformedAttestation as error:
        raise Problem(
            Code.INVALID_VALUE, f"This is no attestation: {error}.", param="file"
        ) from error
    piece = Piece(
        digest=attestation.digest,
        attestation=attestation,
        added_us=op.now(),
        added_by=op.actor,
    )
    if not sql.insert_piece(tx, piece):
        raise Problem(Code.ALREADY_EXISTS, "This piece of evidence is there.", param="file")
    return piece


def pieces(op: Op, tx: Tx, model: str | None = None) -> tuple[Piece, ...]:
    """All evidence, or that of one model, the newest first."""
    return sql.pieces(tx, model)


def by_digest(op: Op, tx: Tx, digest: str) -> Piece:
    """By its digest or at least eight digits that it begins with. Raises NAME_NOT_FOUND."""
    known = len(digest) >= DIGEST_CHARS_MIN and _HEX.issuperset(digest)
    found = sql.piece(tx, digest) if known else ()
    if len(found) != 1:
        raise Problem(
            Code.NAME_NOT_FOUND,
            "No single piece of evidence has a digest that begins like this; `tokenbooth evidence"
            " list` shows them.",
            param="digest",
        )
    return found[0]


def revoke(op: Op, tx: Tx, digest: str, reason: str) -> Piece:
    """From now on neither it nor anything older of its kind counts. Raises NAME_NOT_FOUND,
    INVALID_VALUE, STATE_CONFLICT."""
    if not reason or len(reason) > 500 or not reason.isprintable():
        raise Problem(
            Code.INVALID_VALUE, "Say why, in up to 500 printable characters.", param="reason"
        )
    piece = by_digest(op, tx, digest)
    if not sql.insert_revocation(tx, piece, reason, op.now(), op.actor):
        raise Problem(Code.STATE_CONFLICT, "This evidence is revoked already.", param="digest")
    return by_digest(op, tx, piece.digest)


def revoked_models(op: Op, tx: Tx, since_us: int) -> tuple[str, ...]:
    """The models of which evidence was revoked since, and before now: what another server's clock
    dates later than this one counts when this one is there, so that what follows is newer."""
    return sql.revoked_models(tx, since_us, op.now())
