"""Evidence counts for what it says, as long as it says, by whom it names, in one form only."""

import base64
import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.signing.attestation import (
    Attestation,
    Finding,
    MalformedAttestation,
    Refusal,
    Wanted,
    attest,
    check,
    read_attestation,
)
from tokenbooth.signing.canonical import NotCanonical, canonical
from tokenbooth.signing.keys import SigningKey

KEY = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(range(1, 33)))
KIND = "capacity-certificate/1"
FINDING = Finding(
    kind=KIND,
    subject={"model": "alpha", "fingerprint": "fp_1"},
    issued_at_us=1_000,
    expires_at_us=2_000,
    body={"concurrency": 12, "rate_milli": 4_700, "levels": [{"batch": 1, "passed": True}]},
)
WANTED = Wanted(KIND, (KEY.public,), 1_500, {"model": "alpha"})


def test_a_signed_finding_counts_and_survives_its_journey() -> None:
    made = attest(FINDING, KEY)
    again = read_attestation(json.loads(json.dumps(made.to_json())))
    assert again == made
    assert check(made, WANTED) == ()
    assert check(made.to_json(), WANTED) == ()


def test_an_outsider_verifies_it_with_nothing_but_the_two_standards() -> None:
    """DSSE signs "DSSEv1 LEN TYPE LEN PAYLOAD"; the payload is an in-toto statement."""
    envelope: Any = attest(FINDING, KEY).to_json()
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    signed = b" ".join([b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload])
    public = Ed25519PublicKey.from_public_bytes(KEY.public)
    public.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0]["name"] == "alpha"
    assert len(statement["subject"][0]["digest"]["sha256"]) == 64
    assert statement["predicateType"] == "urn:tokenbooth:capacity-certificate/1"


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (replace(WANTED, kind="quality-receipt/1"), Refusal.WRONG_KIND),
        (replace(WANTED, subject={"model": "beta"}), Refusal.WRONG_SUBJECT),
        (replace(WANTED, subject={"model": "alpha", "region": "x"}), Refusal.WRONG_SUBJECT),
        (replace(WANTED, keys=(OTHER.public,)), Refusal.UNKNOWN_KEY),
        (replace(WANTED, keys=()), Refusal.UNKNOWN_KEY),
        (replace(WANTED, now_us=999), Refusal.NOT_YET),
        (replace(WANTED, now_us=2_000), Refusal.EXPIRED),
    ],
)
def test_each_reason_is_named(wanted: Wanted, why: Refusal) -> None:
    assert check(attest(FINDING, KEY), wanted) == (why,)


@pytest.mark.parametrize("now_us", [1_000, 1_999])
def test_it_counts_from_its_first_moment_to_its_last(now_us: int) -> None:
    assert check(attest(FINDING, KEY), replace(WANTED, now_us=now_us)) == ()


def test_all_reasons_are_told_at_once() -> None:
    wanted = Wanted("other/1", (), 5_000, {"model": "beta"})
    found = check(replace(attest(FINDING, KEY), signature=bytes(64)), wanted)
    assert found == (
        Refusal.WRONG_KIND,
        Refusal.WRONG_SUBJECT,
        Refusal.UNKNOWN_KEY,
        Refusal.BAD_SIGNATURE,
        Refusal.EXPIRED,
    )


def test_a_key_that_is_named_but_did_not_sign_is_found() -> None:
    stolen = replace(attest(FINDING, OTHER), public=KEY.public)
    assert check(stolen, WANTED) == (Refusal.BAD_SIGNATURE,)


@pytest.mark.parametrize(
    "finding",
    [
        replace(FINDING, kind="Capacity/1"),
        replace(FINDING, kind="capacity"),
        replace(FINDING, kind="capacity/0"),
        replace(FINDING, subject={"fingerprint": "fp_1"}),
        replace(FINDING, subject={"model": ""}),
        replace(FINDING, issued_at_us=2_000),
        replace(FINDING, issued_at_us=-1),
    ],
)
def test_what_says_nothing_is_not_signed(finding: Finding) -> None:
    with pytest.raises(MalformedAttestation):
        attest(finding, KEY)


def test_fractions_are_not_signed() -> None:
    with pytest.raises(NotCanonical):
        attest(replace(FINDING, body={"rate": 1.5}), KEY)
    built = Attestation(replace(FINDING, body={"rate": 1.5}), KEY.public, bytes(64))
    assert check(built, WANTED) == (Refusal.MALFORMED,)


def _changed(document: Any, path: tuple[Any, ...], value: object) -> Any:
    document = copy.deepcopy(document)
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return document


def _resigned(statement: Any, key: SigningKey = KEY) -> Any:
    """A well signed envelope around any statement: only its form can be what is wrong."""
    payload = statement if isinstance(statement, bytes) else json.dumps(statement).encode()
    kind = b"application/vnd.in-toto+json"
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    return {
        "payloadType": kind.decode(),
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {"keyid": key.key_id, "sig": base64.b64encode(key.sign(signed)).decode()},
        ],
    }


def _statement() -> Any:
    envelope: Any = attest(FINDING, KEY).to_json()
    return json.loads(base64.b64decode(envelope["payload"]))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("payloadType",), "application/json"),
        (("payload",), "!"),
        (("payload",), "ö"),
        (("payload",), ""),
        (("payload",), 7),
        (("payload",), base64.b64encode(b"\xff\xfe").decode()),
        (("payload",), base64.b64encode(b'{"_type":"\xff"}').decode()),
        (("signatures",), []),
        (("signatures", 0, "keyid"), OTHER.key_id),
        (("signatures", 0, "sig"), "AAAA"),
        (("signatures", 0, "more"), 1),
        (("more",), 1),
    ],
)
def test_an_envelope_of_another_form_is_refused(path: tuple[Any, ...], value: object) -> None:
    document = _changed(attest(FINDING, KEY).to_json(), path, value)
    assert check(document, WANTED) == (Refusal.MALFORMED,)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("_type",), "https://in-toto.io/Statement/v2"),
        (("subject",), []),
        (("subject", 0, "name"), "beta"),
        (("subject", 0, "digest", "sha256"), "00" * 32),
        (("subject", 0, "annotations", "model"), "beta"),
        (("subject", 0, "annotations", "n"), 1),
        (("predicateType",), "capacity-certificate/1"),
        (("predicate", "issuedAtUs"), 1_000.0),
        (("predicate", "issuedAtUs"), -1),
        (("predicate", "expiresAtUs"), 2**53),
        (("predicate", "expiresAtUs"), 1_000),
        (("predicate", "publicKey"), "00"),
        (("predicate", "publicKey"), "zz" * 32),
        (("predicate", "body"), []),
        (("predicate", "body", "rate"), 1.5),
        (("predicate", "more"), 1),
        (("more",), 1),
    ],
)
def test_a_statement_of_another_form_is_refused_even_well_signed(
    path: tuple[Any, ...], value: object
) -> None:
    statement = _changed(_statement(), path, value)
    written = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    assert check(_resigned(written), WANTED) == (Refusal.MALFORMED,)


def test_two_spellings_of_one_statement_are_not_both_good() -> None:
    once = canonical(_statement())
    assert check(_resigned(once), WANTED) == ()
    assert check(_resigned(json.dumps(_statement()).encode()), WANTED) == (Refusal.MALFORMED,)
    doubled = once.replace(b'"issuedAtUs":1000', b'"issuedAtUs":1000,"issuedAtUs":1000')
    assert check(_resigned(doubled), WANTED) == (Refusal.MALFORMED,)


@pytest.mark.parametrize("document", [None, [], "x", 1, {}, {"payload": "x"}])
def test_what_is_no_envelope_at_all_is_malformed(document: object) -> None:
    assert check(document, WANTED) == (Refusal.MALFORMED,)


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_no_flipped_bit_counts(place: int, bit: int) -> None:
    written = bytearray(canonical(attest(FINDING, KEY).to_json()))
    written[place % len(written)] ^= 1 << bit
    try:
        document = json.loads(bytes(written))
    except ValueError:
        return
    assert check(document, WANTED) != ()


def test_the_digest_names_what_was_said() -> None:
    made = attest(FINDING, KEY)
    assert made.digest == read_attestation(made.to_json()).digest
    assert made.digest != attest(replace(FINDING, body={}), KEY).digest
    assert made.key_id == KEY.key_id
