"""Every way to bend a piece of evidence that carries a GO."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tokenbooth.control.launch_report import File, judged
from tokenbooth.core.ports import Tx
from tokenbooth.launch.evidence.service import Piece
from tokenbooth.launch.readiness.service import Verdict, verdict_of
from tokenbooth.proving.launching.lab import Lab, resigned
from tokenbooth.signing.attestation import Attestation
from tokenbooth.signing.keys import SigningKey
from tokenbooth.signing.merkle import sha256

Bend = Callable[[Piece, File, SigningKey], Piece | None]


@dataclass(frozen=True, slots=True)
class Tampered:
    """``pieces`` carry the GO, and each was bent in ``ways`` ways."""

    pieces: int
    ways: int
    tried: int
    still_go: int


def go_until_tampered(lab: Lab, tx: Tx, file: File) -> Tampered:
    """Bend one piece at a time; ``still_go`` is 0 where each of them matters.

    Raises ValueError where the case is no GO to begin with.
    """
    policy = lab.desk.policy
    lines = judged(lab.op(), tx, file, policy)
    if verdict_of([(line.outcome, line.waiver) for line in lines]) is not Verdict.GO:
        raise ValueError("there is no GO to lose")
    carrying = {line.outcome.evidence for line in lines if line.waiver is None}
    tried = still_go = 0
    for place, piece in enumerate(file.pieces):
        if piece.digest not in carrying:
            continue
        for bend in BENDS:
            bent = bend(piece, file, lab.desk.key)
            rest = [each for n, each in enumerate(file.pieces) if n != place]
            # Without what is older of the same kind: it is about this piece alone.
            others = [each for each in rest if each.kind != piece.kind]
            spoiled = replace(file, pieces=(*others, *([] if bent is None else [bent])))
            found = judged(lab.op(), tx, spoiled, policy)
            tried += 1
            still_go += verdict_of([(e.outcome, e.waiver) for e in found]) is Verdict.GO
    return Tampered(len(carrying), len(BENDS), tried, still_go)


def _gone(piece: Piece, file: File, key: SigningKey) -> Piece | None:
    return None


def _figures(piece: Piece, file: File, key: SigningKey) -> Piece | None:
    """A body that says more than was signed."""
    found = piece.attestation
    body = {**found.finding.body, "note": 1}
    return _with(
        piece, Attestation(replace(found.finding, body=body), found.public, found.signature)
    )


def _signature(piece: Piece, file: File, key: SigningKey) -> Piece | None:
    found = piece.attestation
    flipped = bytes([found.signature[0] ^ 1]) + found.signature[1:]
    return _with(piece, Attestation(found.finding, found.public, flipped))


def _stranger(piece: Piece, file: File, key: SigningKey) -> Piece | None:
    return _with(piece, resigned(piece.attestation, SigningKey(sha256(b"a stranger"))))


def _build(piece: Piece, file: File, key: SigningKey) -> Piece | None:
    subject = {**piece.attestation.finding.subject, "fingerprint": "fp_of_another_build"}
    return _with(piece, resigned(piece.attestation, key, subject=subject))


def _model(piece: Piece, file: File, key: SigningKey) -> Piece | None:
    subject = {**piece.attestation.finding.subject, "model": "another"}
    return _with(piece, resigned(piece.attestation, key, subject=subject))


def _kind(piece: Piece, file: File, key: SigningKey) -> Piece | None:
    return _with(piece, resigned(piece.attestation, key, kind="something-else/1"))


def _expired(piece: Piece, file: File, key: SigningKey) -> Piece | None:
    issued_us = min(piece.issued_us, file.case.now_us - 1)
    times = {"issued_at_us": issued_us, "expires_at_us": file.case.now_us}
    return _with(piece, resigned(piece.attestation, key, **times))


def _future(piece: Piece, file: File, key: SigningKey) -> Piece | None:
    now_us = file.case.now_us
    times = {"issued_at_us": now_us + 1, "expires_at_us": now_us + 2}
    return _with(piece, resigned(piece.attestation, key, **times))


def _old(piece: Piece, file: File, key: SigningKey) -> Piece | None:
    """Still valid by its own word, and older than any gate allows."""
    issued_us = file.case.now_us - 400 * 86_400_000_000
    return _with(piece, resigned(piece.attestation, key, issued_at_us=issued_us))


def _revoked(piece: Piece, file: File, key: SigningKey) -> Piece | None:
    return replace(piece, revoked_us=file.case.now_us, revoked_why="bent")


def _emptied(piece: Piece, file: File, key: SigningKey) -> Piece | None:
    return _with(piece, resigned(piece.attestation, key, body={}))


def _with(piece: Piece, attestation: Attestation) -> Piece:
    return replace(piece, attestation=attestation, digest=attestation.digest)


BENDS: tuple[Bend, ...] = (
    _gone,
    _figures,
    _signature,
    _stranger,
    _build,
    _model,
    _kind,
    _expired,
    _future,
    _old,
    _revoked,
    _emptied,
)
