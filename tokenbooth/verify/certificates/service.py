"""Verbs on certificates: to write, read and verify them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from tokenbooth.signing.attestation import (
    Attestation,
    Finding,
    MalformedAttestation,
    Refusal,
    Wanted,
    check,
    read_attestation,
)
from tokenbooth.signing.canonical import NotCanonical, canonical
from tokenbooth.signing.merkle import MerkleTree, leaf_hash
from tokenbooth.verify.certificates.planning import Scouted, pack_for, plan_for, probes_for
from tokenbooth.verify.certificates.rules import (
    alone_rights,
    figures,
    inside_p95,
    slack_ppm,
)
from tokenbooth.verify.certificates.values import (
    FORMAT,
    KIND,
    NEVER_US,
    OK,
    CertificatePlan,
    Figures,
    Leg,
    LegKind,
    Sample,
    Step,
)

__all__ = [
    "FORMAT",
    "KIND",
    "NEVER_US",
    "NOT_TESTED",
    "OK",
    "STALE_WHEN",
    "Certificate",
    "CertificatePlan",
    "Figures",
    "Leg",
    "LegKind",
    "Sample",
    "Scouted",
    "Step",
    "alone_rights",
    "document",
    "figures",
    "finding",
    "inside_p95",
    "pack_for",
    "plan_for",
    "probes_for",
    "read",
    "slack_ppm",
    "verify",
]

Json: TypeAlias = dict[str, object]

SAMPLES_MAX = 200_000
# Probes are made anew by whoever verifies: longer ones would only keep him busy.
PROBE_LINES_MAX = 1_000
NOT_TESTED = (
    "other lengths of prompts and answers than those of the probes",
    "bursts that are steeper than random arrivals",
    "hours of load: heat, leaks and neighbours",
    "tools, images, sound and other languages than English",
    "concurrency between the tried batches, and above the certified one",
)
STALE_WHEN = (
    "the serving fingerprint differs: other weights, engine, version, quantisation or flags",
    "the hardware or the number of replicas differs",
    "it has expired",
)


class NoCertificate(ValueError):
    """The document is no certificate; the message says why."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says, once it was read; ``subject`` has at least "model"."""

    attestation: Attestation
    plan: CertificatePlan
    legs: tuple[Leg, ...]
    figures: Figures
    samples: tuple[Sample, ...]

    @property
    def model(self) -> str:
        return self.attestation.finding.subject["model"]

    @property
    def fingerprint(self) -> str:
        return self.attestation.finding.subject.get("fingerprint", "")


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    plan: CertificatePlan
    legs: tuple[Leg, ...]
    figures: Figures
    samples: dict[str, int | str]
    not_tested: tuple[str, ...]
    stale_when: tuple[str, ...]


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    attestation: Json
    samples: tuple[Sample, ...]


def finding(
    plan: CertificatePlan,
    legs: Sequence[Leg],
    samples: Sequence[Sample],
    subject: Mapping[str, str],
    times_us: tuple[int, int],
) -> Finding:
    """What is to be signed; ``times_us`` are issue and expiry. Raises Inconsistent."""
    body = _body(plan, legs, samples)
    issued_us, expires_us = times_us
    return Finding(KIND, subject, issued_us, expires_us, body)


def document(attestation: Attestation, samples: Sequence[Sample]) -> Json:
    """The certificate with its samples, as it is written to a file."""
    return {
        "format": FORMAT,
        "attestation": attestation.to_json(),
        "samples": [list(sample) for sample in samples],
    }


def read(found: object) -> Certificate:
    """Raises NoCertificate; believes nothing else."""
    try:
        read_in = msgspec.convert(found, _Document)
        attestation = read_attestation(read_in.attestation)
        body = msgspec.convert(attestation.finding.body, _Body)
    except (msgspec.ValidationError, MalformedAttestation, RecursionError) as error:
        raise NoCertificate(str(error)) from error
    if read_in.format != FORMAT:
        raise NoCertificate(f"its format is not {FORMAT}")
    if not 0 < len(read_in.samples) <= SAMPLES_MAX:
        raise NoCertificate(f"it has no samples, or more than {SAMPLES_MAX:,}")
    pack = body.plan.pack
    if max(pack.needle_lines, pack.count_to) > PROBE_LINES_MAX:
        raise NoCertificate(f"its probes have more than {PROBE_LINES_MAX:,} lines")
    return Certificate(attestation, body.plan, body.legs, body.figures, read_in.samples)


def verify(found: object, keys: Collection[bytes], now_us: int) -> tuple[Step, ...]:
    """Every step in order, with no network and no trust in whoever made it.

    ``keys`` are the public keys that may sign; none at all takes the one that is named.
    """
    try:
        certificate = read(found)
    except NoCertificate as error:
        return (Step("form", ok=False, told=str(error)),)
    attestation = certificate.attestation
    wanted = Wanted(KIND, keys or (attestation.public,), now_us, {})
    refused = check(attestation, wanted)
    told = f"a certificate for {certificate.model}, {len(certificate.samples):,} samples"
    late = {Refusal.EXPIRED, Refusal.NOT_YET} & set(refused)
    return (
        Step("form", ok=Refusal.WRONG_KIND not in refused, told=told),
        _step("signature", refused, Refusal.BAD_SIGNATURE, f"by key {attestation.key_id}"),
        _step(
            "key", refused, Refusal.UNKNOWN_KEY, "one that you named" if keys else "not compared"
        ),
        Step("time", ok=not late, told=", ".join(sorted(late)) or "counts now"),
        *_recomputed(certificate),
    )


def _step(name: str, refused: Collection[Refusal], why: Refusal, told: str) -> Step:
    return Step(name, ok=why not in refused, told=why.value if why in refused else told)


def _recomputed(certificate: Certificate) -> tuple[Step, Step]:
    claimed = certificate.attestation.finding.body
    try:
        found = _body(certificate.plan, certificate.legs, certificate.samples)
    except (NotCanonical, ValueError, ArithmeticError, LookupError) as error:
        failed = f"the samples do not make a measurement: {error}"
        return Step("samples", ok=False, told=failed), Step("figures", ok=False, told=failed)
    same_samples = found["samples"] == claimed["samples"]
    same = {name for name in found if found[name] == claimed.get(name)}
    others = sorted(set(found) - same - {"samples"})
    told = f"differ in {', '.join(others)}" if others else "are those of the samples"
    return (
        Step("samples", ok=same_samples, told="are" if same_samples else "are not those signed"),
        Step("figures", ok=not others, told=told),
    )


def _body(plan: CertificatePlan, legs: Sequence[Leg], samples: Sequence[Sample]) -> Json:
    """Everything that is signed; made anew by whoever verifies."""
    body = {
        "plan": plan,
        "legs": list(legs),
        "figures": figures(plan, legs, samples),
        "samples": {"count": len(samples), "root": _root(samples)},
        "not_tested": NOT_TESTED,
        "stale_when": STALE_WHEN,
    }
    built = msgspec.to_builtins(body, builtin_types=())
    assert isinstance(built, dict), "a dict becomes a dict"
    listed = _listed(built)
    assert isinstance(listed, dict), "a dict stays one"
    return listed


def _listed(value: object) -> object:
    """Tuples become lists, as JSON has them."""
    if isinstance(value, dict):
        return {name: _listed(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_listed(member) for member in value]
    return value


def _root(samples: Sequence[Sample]) -> str:
    return MerkleTree([leaf_hash(canonical(list(sample))) for sample in samples]).root.hex()
