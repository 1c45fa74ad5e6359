"""Content at rest: AES-256-GCM (NIST SP 800-38D), each piece under a key of its own.

The key comes from the instance's sealing key by HKDF-SHA256 (RFC 5869), with the purpose and the
place in its ``info``, so that no two pieces share one and random nonces can never meet. The place
is authenticated too: the bytes of one row open in no other.
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tokenbooth.core.ports import Randomness

__all__ = ["KEY_BYTES", "MARK", "NONCE_BYTES", "Place", "Unreadable", "seal", "unseal"]

KEY_BYTES = 32
NONCE_BYTES = 12
MARK = b"tba1"


class Unreadable(Exception):
    """Another key, another place, another form, or a changed byte."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a piece belongs: what it is for, and the ids that name it among its like."""

    purpose: bytes
    ids: tuple[str, ...]


def seal(plaintext: bytes, key: bytes, place: Place, noise: Randomness) -> bytes:
    """Encrypt under the 32-byte instance ``key``."""
    nonce = noise.token_bytes(NONCE_BYTES)
    bound = _bound(place)
    cipher = _cipher(key, place.purpose + bound)
    return MARK + nonce + cipher.encrypt(nonce, plaintext, bound)


def unseal(sealed: bytes, key: bytes, place: Place) -> bytes:
    """What was sealed under the same key for the same place. Raises ``Unreadable``."""
    begin = len(MARK) + NONCE_BYTES
    if not sealed.startswith(MARK) or len(sealed) < begin:
        raise Unreadable("unknown form")
    bound = _bound(place)
    try:
        cipher = _cipher(key, place.purpose + bound)
        return cipher.decrypt(sealed[len(MARK) : begin], sealed[begin:], bound)
    except InvalidTag as error:
        raise Unreadable("wrong key, wrong place or changed bytes") from error


def _bound(place: Place) -> bytes:
    """Unambiguous: each id stands after its length."""
    parts = [part.encode() for part in place.ids]
    return MARK + b"".join(len(part).to_bytes(4) + part for part in parts)


def _cipher(key: bytes, told: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise ValueError(f"the sealing key must have {KEY_BYTES} bytes")
    derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=told)
    return AESGCM(derived.derive(key))
