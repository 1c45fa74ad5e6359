"""Signed evidence of a measurement, in the shape that outsiders know: in-toto inside DSSE.

An attestation says what was found about whom, when, until when it counts, and by whose key. A
signature shows who said it, not that it is true; what it was computed from lies beside it.
"""

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

import msgspec

from tokenbooth.signing.canonical import WHOLE_MAX, NotCanonical, canonical
from tokenbooth.signing.keys import (
    PUBLIC_BYTES,
    SIGNATURE_BYTES,
    SigningKey,
    VerifyingKey,
    key_id_of,
)
from tokenbooth.signing.merkle import sha256

Json: TypeAlias = dict[str, object]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
KIND_PREFIX = "urn:tokenbooth:"
PAYLOAD_CHARS_MAX = 4 * 2**20

_KIND = re.compile(r"[a-z][a-z0-9-]{0,62}/[1-9][0-9]{0,5}")
_Moment = Annotated[int, msgspec.Meta(ge=0, le=WHOLE_MAX)]
_Hex = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{2})+\Z")]


class MalformedAttestation(ValueError):
    """This is no attestation; the message says where."""


class Refusal(StrEnum):
    """Why evidence does not count; a closed list."""

    MALFORMED = "malformed"
    WRONG_KIND = "wrong_kind"
    WRONG_SUBJECT = "wrong_subject"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    NOT_YET = "not_yet"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Finding:
    """What is said: ``kind`` as "capacity-certificate/1" about ``subject``, in ``body``.

    ``subject`` has a "model" and small texts beside it; ``body`` holds no fractions. It
    counts from ``issued_at_us`` until just before ``expires_at_us``.
    """

    kind: str
    subject: Mapping[str, str]
    issued_at_us: int
    expires_at_us: int
    body: Json


@dataclass(frozen=True)
class Attestation:
    """A finding, the 32 bytes of the key that it names, and 64 bytes of signature."""

    finding: Finding
    public: bytes
    signature: bytes

    @property
    def key_id(self) -> str:
        return key_id_of(self.public)

    def to_json(self) -> Json:
        """The DSSE envelope, ready for any JSON writer."""
        payload = _payload(self.finding, self.public)
        return {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [
                {"keyid": self.key_id, "sig": base64.b64encode(self.signature).decode()}
            ],
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the signed payload, in hex: what others name it by."""
        return sha256(_payload(self.finding, self.public)).hex()


@dataclass(frozen=True)
class Wanted:
    """What evidence must be to count now; of ``subject`` each member must be the same.

    ``keys`` are the public keys that may sign, 32 bytes each; none at all accepts nobody.
    """

    kind: str
    keys: Collection[bytes]
    now_us: int
    subject: Mapping[str, str]


def attest(finding: Finding, key: SigningKey) -> Attestation:
    """Signed by ``key``. Raises MalformedAttestation or NotCanonical for what nobody could read."""
    _check_finding(finding)
    signature = key.sign(_signed(_payload(finding, key.public)))
    return Attestation(finding, key.public, signature)


def read_attestation(document: object) -> Attestation:
    """From the JSON of ``to_json``, and from no other form. Raises MalformedAttestation."""
    try:
        envelope = msgspec.convert(document, _Envelope)
        payload = _bytes_of(envelope.payload)
        statement = msgspec.json.decode(payload, type=_Statement)
        signature = envelope.signatures[0]
        found = Attestation(
            _finding_of(statement),
            bytes.fromhex(statement.predicate.public_key),
            _bytes_of(signature.sig),
        )
        _check_finding(found.finding)
        same = found.to_json() == document
    except (msgspec.MsgspecError, NotCanonical, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAttestation(str(error)) from error
    if len(found.public) != PUBLIC_BYTES or len(found.signature) != SIGNATURE_BYTES:
        raise MalformedAttestation("the key or the signature has another length")
    if not same:
        raise MalformedAttestation("the envelope is not the one form that its payload has")
    return found


def check(document: object, wanted: Wanted) -> tuple[Refusal, ...]:
    """Every reason why ``document`` does not count; none where it does.

    ``document`` is an Attestation or its JSON.
    """
    try:
        # What somebody built in memory must pass the same door as what came from a file.
        attestation = read_attestation(
            document.to_json() if isinstance(document, Attestation) else document
        )
    except (MalformedAttestation, NotCanonical):
        return (Refusal.MALFORMED,)
    finding = attestation.finding
    payload = _payload(finding, attestation.public)
    signed = VerifyingKey(attestation.public).verifies(_signed(payload), attestation.signature)
    reasons = {
        Refusal.WRONG_KIND: finding.kind != wanted.kind,
        Refusal.WRONG_SUBJECT: any(
            finding.subject.get(name) != text for name, text in wanted.subject.items()
        ),
        Refusal.UNKNOWN_KEY: attestation.public not in wanted.keys,
        Refusal.BAD_SIGNATURE: not signed,
        Refusal.NOT_YET: wanted.now_us < finding.issued_at_us,
        Refusal.EXPIRED: wanted.now_us >= finding.expires_at_us,
    }
    return tuple(reason for reason, holds in reasons.items() if holds)


class _Digest(msgspec.Struct, forbid_unknown_fields=True):
    sha256: _Hex


class _Subject(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    digest: _Digest
    annotations: dict[str, str]


class _Predicate(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    issued_at_us: _Moment
    expires_at_us: _Moment
    public_key: _Hex
    body: Json


class _Statement(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type")
    subject: Annotated[list[_Subject], msgspec.Meta(min_length=1, max_length=1)]
    predicate_type: str
    predicate: _Predicate


class _Signature(msgspec.Struct, forbid_unknown_fields=True):
    keyid: str
    sig: Annotated[str, msgspec.Meta(max_length=100)]


class _Envelope(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    payload_type: Literal["application/vnd.in-toto+json"]
    payload: Annotated[str, msgspec.Meta(max_length=PAYLOAD_CHARS_MAX)]
    signatures: Annotated[list[_Signature], msgspec.Meta(min_length=1, max_length=1)]


def _finding_of(statement: _Statement) -> Finding:
    predicate = statement.predicate
    return Finding(
        kind=statement.predicate_type.removeprefix(KIND_PREFIX),
        subject=statement.subject[0].annotations,
        issued_at_us=predicate.issued_at_us,
        expires_at_us=predicate.expires_at_us,
        body=predicate.body,
    )


def _check_finding(finding: Finding) -> None:
    if not _KIND.fullmatch(finding.kind):
        raise MalformedAttestation(f"{finding.kind!r} is no kind such as capacity-certificate/1")
    if not finding.subject.get("model"):
        raise MalformedAttestation("the subject names no model")
    if not 0 <= finding.issued_at_us < finding.expires_at_us:
        raise MalformedAttestation("it must expire after it is issued")


def _payload(finding: Finding, public: bytes) -> bytes:
    """The in-toto statement; the digest of the subject is that of its annotations."""
    subject = dict(finding.subject)
    return canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {
                    "name": subject.get("model", ""),
                    "digest": {"sha256": sha256(canonical(subject)).hex()},
                    "annotations": subject,
                }
            ],
            "predicateType": KIND_PREFIX + finding.kind,
            "predicate": {
                "issuedAtUs": finding.issued_at_us,
                "expiresAtUs": finding.expires_at_us,
                "publicKey": public.hex(),
                "body": finding.body,
            },
        }
    )


def _signed(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the type is signed with the payload."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _bytes_of(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise MalformedAttestation(f"not base64: {error}") from error
