"""Ed25519 keys (RFC 8032): 32 secret bytes sign, 32 public ones verify."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from tokenbooth.signing.merkle import sha256

SEED_BYTES = 32
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
KEY_ID_CHARS = 32


def key_id_of(public: bytes) -> str:
    """The first 128 bits of the SHA-256 of the public key, as hex digits."""
    return sha256(public).hex()[:KEY_ID_CHARS]


class SigningKey:
    """Signs. ``seed`` is the secret, 32 random bytes; nothing shows it."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a signing key has {SEED_BYTES} bytes")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw()
        self.key_id = key_id_of(self.public)

    def sign(self, message: bytes) -> bytes:
        """64 bytes; the same for the same message."""
        return self._private.sign(message)


class VerifyingKey:
    """Verifies. ``public`` is 32 bytes; raises ValueError for any other length."""

    def __init__(self, public: bytes) -> None:
        if len(public) != PUBLIC_BYTES:
            raise ValueError(f"a public key has {PUBLIC_BYTES} bytes")
        self._public = Ed25519PublicKey.from_public_bytes(public)
        self.public = public
        self.key_id = key_id_of(public)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether the owner of this key signed exactly these bytes."""
        try:
            self._public.verify(signature, message)
        except InvalidSignature:
            return False
        return True
