"""Answers at rest: see ``signing/sealing.py``. A place is the claim that the answer belongs to."""

from tokenbooth.core.ports import Randomness
from tokenbooth.signing.sealing import KEY_BYTES, NONCE_BYTES, Form, Unreadable

__all__ = ["KEY_BYTES", "MARK", "NONCE_BYTES", "Unreadable", "seal", "unseal"]

MARK = b"tba1"
_FORM = Form(MARK, b"tokenbooth stored answer 1")


def seal(plaintext: bytes, key: bytes, place: tuple[str, str, str], noise: Randomness) -> bytes:
    """Encrypt under the 32-byte instance ``key``.

    ``place`` is project, idempotency key and request id of the claim.
    """
    return _FORM.seal(plaintext, key, place, noise)


def unseal(sealed: bytes, key: bytes, place: tuple[str, str, str]) -> bytes:
    """What was sealed under the same key for the same place. Raises ``Unreadable``."""
    return _FORM.unseal(sealed, key, place)
