"""Evidence made of thin air: a key, a gate, and pieces that pass it until something is changed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tokenbooth.launch.evidence.service import Piece
from tokenbooth.launch.gates.service import Case, Gate, Need, Sense
from tokenbooth.signing.attestation import Finding, attest
from tokenbooth.signing.keys import SigningKey

KEY = SigningKey(bytes(range(32)))
STRANGER = SigningKey(bytes(range(1, 33)))
HOUR_US = 3_600_000_000
NOW_US = 480_000 * HOUR_US
SUBJECT = {"model": "m", "fingerprint": "fp_1"}
KIND = "capacity/1"
GATE = Gate(
    name="capacity",
    title="Enough",
    kind=KIND,
    fresh_us=10 * HOUR_US,
    lead_days=3,
    needs=(
        Need(figure="calls_per_ks", sense=Sense.AT_LEAST, bound=1000),
        Need(figure="tail.ms", sense=Sense.AT_MOST, bound=200),
        Need(figure="passed", sense=Sense.IS, bound=True),
    ),
    reproduce="tokenbooth certify m",
)
BODY: Mapping[str, Any] = {"calls_per_ks": 1500, "tail": {"ms": 100}, "passed": True}
CASE = Case(subject=SUBJECT, keys=frozenset({KEY.public}), now_us=NOW_US)


def piece(
    body: Mapping[str, Any] = BODY,
    *,
    key: SigningKey = KEY,
    age_h: int = 1,
    valid_h: int = 100,
    revoked_h_ago: int | None = None,
    **fields: Any,
) -> Piece:
    """Evidence of an hour ago that passes ``GATE``, but for what is said otherwise."""
    issued_us = NOW_US - age_h * HOUR_US
    finding = Finding(KIND, SUBJECT, issued_us, issued_us + valid_h * HOUR_US, dict(body))
    signed = attest(replace(finding, **fields), key)
    return Piece(
        digest=signed.digest,
        attestation=signed,
        added_us=NOW_US,
        added_by="operator",
        revoked_us=None if revoked_h_ago is None else NOW_US - revoked_h_ago * HOUR_US,
        revoked_why="" if revoked_h_ago is None else "the canary sang",
    )
