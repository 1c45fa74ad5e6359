"""Ed25519 as RFC 8032 has it: what one signs, everybody else verifies, and nothing else."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.signing.keys import SigningKey, VerifyingKey, key_id_of

# RFC 8032, section 7.1: secret, public, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
            "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]
SEED = bytes(range(32))


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_the_known_answers(secret: str, public: str, message: str, signature: str) -> None:
    key = SigningKey(bytes.fromhex(secret))
    assert key.public.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    verifying = VerifyingKey(bytes.fromhex(public))
    assert verifying.verifies(bytes.fromhex(message), bytes.fromhex(signature))
    assert verifying.key_id == key.key_id == key_id_of(key.public)


def test_a_key_is_named_by_the_hash_of_its_public_half() -> None:
    key = SigningKey(SEED)
    assert key.key_id == hashlib.sha256(key.public).hexdigest()[:32]
    assert key.key_id != SigningKey(SEED[::-1]).key_id


@given(st.binary(max_size=100), st.integers(0, 64 * 8 - 1))
def test_one_changed_bit_of_a_signature_is_found(message: bytes, bit: int) -> None:
    key = SigningKey(SEED)
    changed = bytearray(key.sign(message))
    changed[bit // 8] ^= 1 << bit % 8
    verifying = VerifyingKey(key.public)
    assert verifying.verifies(message, key.sign(message))
    assert not verifying.verifies(message, bytes(changed))


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_a_signature_is_for_one_message_alone(message: bytes, other: bytes) -> None:
    key = SigningKey(SEED)
    found = VerifyingKey(key.public).verifies(other, key.sign(message))
    assert found == (message == other)


def test_another_key_does_not_verify() -> None:
    signature = SigningKey(SEED).sign(b"x")
    assert not VerifyingKey(SigningKey(SEED[::-1]).public).verifies(b"x", signature)


@pytest.mark.parametrize("signature", [b"", b"x" * 63, b"x" * 65, bytes(64)])
def test_what_is_no_signature_does_not_verify(signature: bytes) -> None:
    assert not VerifyingKey(SigningKey(SEED).public).verifies(b"x", signature)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey(bytes(length))
    with pytest.raises(ValueError, match="32 bytes"):
        VerifyingKey(bytes(length))


def test_a_secret_is_not_shown() -> None:
    assert SEED.hex() not in repr(SigningKey(SEED))
    assert str(SEED) not in repr(vars(SigningKey(SEED)))
