"""Answers at rest: AES-256-GCM (NIST SP 800-38D), each under a key of its own.

The key comes from the instance's sealing key by HKDF-SHA256 (RFC 5869), with the purpose and the
claim in its ``info``, so that no two answers share one and random nonces can never meet. The claim
is authenticated too: the bytes of one row open in no other.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tokenbooth.core.ports import Randomness

KEY_BYTES = 32
NONCE_BYTES = 12
MARK = b"tba1"
PURPOSE = b"tokenbooth stored answer 1"


class Unreadable(Exception):
    """Another key, another claim, another form, or a changed byte."""


def seal(plaintext: bytes, key: bytes, place: tuple[str, str, str], noise: Randomness) -> bytes:
    """Encrypt under the 32-byte instance ``key``.

    ``place`` is project, idempotency key and request id of the claim.
    """
    nonce = noise.token_bytes(NONCE_BYTES)
    bound = _bound(place)
    return MARK + nonce + _cipher(key, bound).encrypt(nonce, plaintext, bound)


def unseal(sealed: bytes, key: bytes, place: tuple[str, str, str]) -> bytes:
    """What was sealed under the same key for the same place. Raises ``Unreadable``."""
    begin = len(MARK) + NONCE_BYTES
    if not sealed.startswith(MARK) or len(sealed) < begin:
        raise Unreadable("unknown form")
    bound = _bound(place)
    try:
        return _cipher(key, bound).decrypt(sealed[len(MARK) : begin], sealed[begin:], bound)
    except InvalidTag as error:
        raise Unreadable("wrong key, wrong claim or changed bytes") from error


def _bound(place: tuple[str, str, str]) -> bytes:
    """Unambiguous: each part stands after its length."""
    parts = [part.encode() for part in place]
    return MARK + b"".join(len(part).to_bytes(4) + part for part in parts)


def _cipher(key: bytes, bound: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise ValueError(f"the sealing key must have {KEY_BYTES} bytes")
    derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=PURPOSE + bound)
    return AESGCM(derived.derive(key))
