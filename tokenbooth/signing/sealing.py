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

KEY_BYTES = 32
NONCE_BYTES = 12


class Unreadable(Exception):
    """Another key, another place, another form, or a changed byte."""


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of content; ``mark`` begins its bytes, ``purpose`` parts its keys from others'."""

    mark: bytes
    purpose: bytes

    def seal(
        self, plaintext: bytes, key: bytes, place: tuple[str, ...], noise: Randomness
    ) -> bytes:
        """Encrypt under the 32-byte instance ``key``, for this place alone."""
        nonce = noise.token_bytes(NONCE_BYTES)
        bound = self._bound(place)
        return self.mark + nonce + self._cipher(key, bound).encrypt(nonce, plaintext, bound)

    def unseal(self, sealed: bytes, key: bytes, place: tuple[str, ...]) -> bytes:
        """What was sealed under the same key for the same place. Raises ``Unreadable``."""
        begin = len(self.mark) + NONCE_BYTES
        if not sealed.startswith(self.mark) or len(sealed) < begin:
            raise Unreadable("unknown form")
        bound = self._bound(place)
        try:
            return self._cipher(key, bound).decrypt(
                sealed[len(self.mark) : begin], sealed[begin:], bound
            )
        except InvalidTag as error:
            raise Unreadable("wrong key, wrong place or changed bytes") from error

    def _bound(self, place: tuple[str, ...]) -> bytes:
        """Unambiguous: each part stands after its length."""
        parts = [part.encode() for part in place]
        return self.mark + b"".join(len(part).to_bytes(4) + part for part in parts)

    def _cipher(self, key: bytes, bound: bytes) -> AESGCM:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the sealing key must have {KEY_BYTES} bytes")
        derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=self.purpose + bound)
        return AESGCM(derived.derive(key))
