"""A capacity certificate becomes evidence of what is offered, in capacity and quality."""

from tokenbooth.catalog.models import service as catalog
from tokenbooth.control.launch_report import CAPACITY_KIND, RATE_FIGURE, REPLICAS_FIGURE, Desk
from tokenbooth.control.launching import sign_evidence
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.launch.evidence import service as evidence
from tokenbooth.launch.evidence.service import Piece
from tokenbooth.money.meter import service as meter
from tokenbooth.signing.attestation import Finding
from tokenbooth.verify.certificates import service as certificates
from tokenbooth.verify.certificates.service import FORMAT, Certificate

QUALITY_KIND = "quality/1"
QUALITY = "quality"


def is_certificate(document: object) -> bool:
    """Whether a file is a certificate with its samples, and not an attestation alone."""
    return isinstance(document, dict) and document.get("format") == FORMAT


def add_certificate(
    op: Op, tx: Tx, document: object, name: str | None, desk: Desk
) -> tuple[Piece, Piece]:
    """Verify a certificate from its samples, and sign what it says of the model ``name``, else of
    the one that it names, as that is offered now.

    Raises INVALID_VALUE for one that does not verify or was made for another build, by the
    fingerprint of the newest call; MODEL_NOT_FOUND.
    """
    bad = [each for each in certificates.verify(document, desk.keys, op.now()) if not each.ok]
    if bad:
        said = "; ".join(f"{each.name}: {each.told}" for each in bad)
        raise _refused(f"The certificate does not verify: {said}.")
    found = certificates.read(document)
    model = catalog.model_by(op, tx, name or found.model)
    served = meter.newest_fingerprint(op, tx, model.name)
    if served is not None and found.fingerprint != served:
        raise _refused(
            f"The certificate is of {found.fingerprint!r}, and {model.name!r} now answers as"
            f" {served!r}: certify it again."
        )
    capacity, quality = capacity_body(found, len(model.deployments)), quality_body(found)
    return (
        _kept(op, tx, model.name, _finding(found, CAPACITY_KIND, capacity), desk),
        _kept(op, tx, model.name, _finding(found, QUALITY_KIND, quality), desk),
    )


def capacity_body(found: Certificate, replicas: int) -> dict[str, object]:
    """``replicas`` are the deployments that the rate was measured over."""
    figures = found.figures
    return {
        RATE_FIGURE: figures.calls_per_ks,
        REPLICAS_FIGURE: replicas,
        "concurrency": figures.concurrency,
        "attainment_permille": figures.attainment.low_ppm // 1000,
        "certificate": found.attestation.digest,
        "served": found.fingerprint,
    }


def quality_body(found: Certificate) -> dict[str, object]:
    """Answers pass where something is certified at all, and hold under load where no level that is
    within what latency allows failed by them."""
    figures = found.figures
    return {
        "passed": figures.calls_per_ks > 0,
        "parity_under_load": figures.calls_per_ks > 0 and figures.binding != QUALITY,
        "score_permille": figures.alone.kept * 1000 // max(1, figures.alone.probes),
        "first_failing": figures.first_failing,
        "certificate": found.attestation.digest,
    }


def _finding(found: Certificate, kind: str, body: dict[str, object]) -> Finding:
    """As old, and as long good, as the certificate itself."""
    said = found.attestation.finding
    return Finding(kind, {}, said.issued_at_us, said.expires_at_us, body)


def _kept(op: Op, tx: Tx, model: str, finding: Finding, desk: Desk) -> Piece:
    return evidence.add(op, tx, sign_evidence(op, tx, model, finding, desk).to_json())


def _refused(said: str) -> Problem:
    return Problem(Code.INVALID_VALUE, said, param="file")
