"""Certificates as operators use them: signed by this instance, verified by anybody."""

import json
from collections.abc import Collection, Mapping, Sequence

from tokenbooth.catalog.models import service as catalog
from tokenbooth.control.documents import Json, iso_time
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.signing.attestation import attest
from tokenbooth.signing.keys import SigningKey
from tokenbooth.verify.applied import service as in_force
from tokenbooth.verify.applied.service import Applied
from tokenbooth.verify.certificates import service as certificates
from tokenbooth.verify.certificates.service import CertificatePlan, Leg, Sample, Step

DAY_US = 86_400_000_000

Evidence = tuple[CertificatePlan, Sequence[Leg], Sequence[Sample]]


def signed(
    evidence: Evidence, subject: Mapping[str, str], times_us: tuple[int, int], key: SigningKey
) -> Json:
    """The certificate with its samples; ``times_us`` are now and how long it counts."""
    plan, legs, samples = evidence
    now_us, span_us = times_us
    said = certificates.finding(plan, legs, samples, subject, (now_us, now_us + span_us))
    return certificates.document(attest(said, key), samples)


def verified(document: object, keys: Collection[bytes], now_us: int) -> tuple[Step, ...]:
    """Every step of the verification, in order."""
    return certificates.verify(document, keys, now_us)


def apply(op: Op, tx: Tx, document: object, keys: Collection[bytes], name: str | None) -> Applied:
    """Put a certificate in force for the model ``name``, else for the one that it names.

    Raises INVALID_VALUE for one that does not verify, by ``keys`` and now, or certifies nothing;
    MODEL_NOT_FOUND.
    """
    bad = [step for step in verified(document, keys, op.now()) if not step.ok]
    if bad:
        said = "; ".join(f"{step.name}: {step.told}" for step in bad)
        raise Problem(Code.INVALID_VALUE, f"The certificate does not verify: {said}.", param="file")
    found = certificates.read(document)
    if not found.figures.concurrency:
        raise Problem(Code.INVALID_VALUE, "The certificate certifies nothing.", param="file")
    model = catalog.model_by(op, tx, name or found.model).name
    said_of = found.attestation.finding
    wanted = Applied(
        model=model,
        sequence=0,
        digest=found.attestation.digest,
        fingerprint=found.fingerprint,
        concurrency=found.figures.concurrency,
        calls_per_ks=found.figures.calls_per_ks,
        ttft_us=found.plan.promise.ttft_us,
        tpot_us=found.plan.promise.tpot_us,
        attainment_ppm=found.plan.promise.attainment_ppm,
        issued_us=said_of.issued_at_us,
        expires_us=said_of.expires_at_us,
        document=json.dumps(found.attestation.to_json(), separators=(",", ":")),
        effective_us=0,
        author=op.actor,
    )
    return in_force.apply(op, tx, wanted)


def capacity_json(applied: Applied, served: Collection[str], now_us: int) -> Json:
    """What a models list says of a certificate in force."""
    return {
        "state": in_force.state_of(applied, served, now_us).value,
        "concurrency": applied.concurrency,
        "calls_per_1000_s": applied.calls_per_ks,
        "ttft_ms": applied.ttft_us // 1000,
        "tpot_ms": applied.tpot_us // 1000,
        "attainment_ppm": applied.attainment_ppm,
        "certified_at": iso_time(applied.issued_us),
        "expires_at": iso_time(applied.expires_us),
        "fingerprint": applied.fingerprint or None,
        "certificate": applied.digest,
    }
