"""Secrets at rest: AES-256-GCM (NIST SP 800-38D) under a key that the instance keeps in a file.

A sealed secret is the version mark ``tb1:``, a random 96-bit nonce, the ciphertext and a 128-bit
tag. The mark is authenticated too, so that a later form can never be read as this one.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Randomness
from tokenbooth.core.problem import Problem

KEY_BYTES = 32
PLAINTEXT_BYTES_MAX = 4096
_MARK = b"tb1:"
_NONCE_BYTES = 12
_TAG_BYTES = 16


def seal(plaintext: bytes, key: bytes, randomness: Randomness) -> bytes:
    """Encrypt 1 to 4,096 bytes under the 32-byte ``key``; raises Problem INVALID_VALUE beyond."""
    if not 1 <= len(plaintext) <= PLAINTEXT_BYTES_MAX:
        raise Problem(
            Code.INVALID_VALUE,
            f"A secret must have 1 to {PLAINTEXT_BYTES_MAX} bytes.",
            param="upstream_key",
        )
    nonce = randomness.token_bytes(_NONCE_BYTES)
    return _MARK + nonce + _cipher(key).encrypt(nonce, plaintext, _MARK)


def unseal(sealed: bytes, key: bytes) -> bytes:
    """What was sealed under the same key.

    Raises Problem STATE_CONFLICT for another key, another form, or a changed byte.
    """
    body = sealed[len(_MARK) :]
    if not sealed.startswith(_MARK) or len(body) < _NONCE_BYTES + _TAG_BYTES:
        raise _unreadable("unknown form")
    nonce, ciphertext = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
    try:
        return _cipher(key).decrypt(nonce, ciphertext, _MARK)
    except InvalidTag as error:
        raise _unreadable("wrong key or changed bytes") from error


def _cipher(key: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise ValueError(f"the sealing key must have {KEY_BYTES} bytes")
    return AESGCM(key)


def _unreadable(detail: str) -> Problem:
    return Problem(
        Code.STATE_CONFLICT,
        "A stored upstream key cannot be opened with this instance's sealing key. Restore that "
        "key file, or add the model again with its upstream key.",
        param="upstream_key",
        detail=detail,
    )
