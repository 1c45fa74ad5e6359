"""How secrets look, how they are found in headers, and when a key is good.

A secret is ``tb_live_``, 40 base62 characters (238 bits) and 6 base62 characters of the CRC-32 over
all that comes before, zero-padded: 54 characters. The checksum tells a typing error or a guess from
a key without any lookup; secrecy comes from the 40 characters alone.
"""

import hashlib
import hmac
import re
import zlib
from collections.abc import Mapping

from tokenbooth.access.keys.values import ApiKey, Found, KeyAsk, SecretRow
from tokenbooth.access.rules import checked_limits, checked_name
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

LIVE_PREFIX = "tb_live_"
BODY_CHARACTERS = 40
CHECK_CHARACTERS = 6
RANDOM_BYTES = 40
PEPPER_BYTES_MIN = 16
HEADER_CHARACTERS_MAX = 1024
MODELS_MAX = 256
OVERLAP_MAX_S = 90 * 24 * 3600
EXPIRES_US_MAX = 2**62

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_USUAL = f"Bearer {LIVE_PREFIX}"
_SECRET = re.compile(f"{LIVE_PREFIX}[0-9A-Za-z]{{{BODY_CHARACTERS + CHECK_CHARACTERS}}}")
_MODEL_NAME = re.compile(r"[A-Za-z0-9._:/-]{1,64}")


def offered_secret(headers: Mapping[str, str]) -> str:
    """The formed secret of a call, before its checksum is looked at; ``headers`` has lower-case
    names.

    Both ``Authorization: Bearer`` and ``x-api-key`` are read, repeated ones (joined by commas) too.
    Raises Problem AMBIGUOUS_CREDENTIALS when they differ, MISSING_KEY when there is none, and
    INVALID_KEY for what cannot be a key.
    """
    bearer = headers.get("authorization", "")
    if bearer.startswith(_USUAL) and "," not in bearer and "x-api-key" not in headers:
        return _formed(bearer[len(_USUAL) - len(LIVE_PREFIX) :])
    offered = {*_bearer_secrets(headers), *_parts(headers, "x-api-key")}
    if not offered:
        raise Problem(
            Code.MISSING_KEY,
            "No API key was sent. Send `Authorization: Bearer tb_live_…` or `x-api-key`.",
            param="authorization",
        )
    if len(offered) > 1:
        raise Problem(
            Code.AMBIGUOUS_CREDENTIALS,
            "Two different credentials were sent. Send one.",
            param="authorization",
        )
    return _formed(offered.pop())


def checked_secret(secret: str) -> str:
    """The secret itself, or Problem INVALID_KEY when its form or its checksum is wrong."""
    _formed(secret)
    if secret[-CHECK_CHARACTERS:] != _checksum(secret[:-CHECK_CHARACTERS]):
        raise _invalid("The API key is mistyped: its checksum does not match.")
    return secret


def secret_of(entropy: bytes) -> str:
    """A secret from ``RANDOM_BYTES`` random bytes (320 bits, so that no character is likelier)."""
    if len(entropy) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes are needed")
    body = _base62(int.from_bytes(entropy) % 62**BODY_CHARACTERS, BODY_CHARACTERS)
    return LIVE_PREFIX + body + _checksum(LIVE_PREFIX + body)


def stored_form(secret: str, pepper: bytes) -> SecretRow:
    """What is stored of a secret. A random secret needs no slow hash."""
    return SecretRow(
        hmac=secret_hmac(secret, pepper),
        prefix=secret[: len(LIVE_PREFIX) + 4],
        last_four=secret[-4:],
    )


def secret_hmac(secret: str, pepper: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104) of the secret under the pepper; 32 bytes."""
    if len(pepper) < PEPPER_BYTES_MIN:
        raise ValueError(f"the pepper must have at least {PEPPER_BYTES_MIN} bytes")
    return hmac.digest(pepper, secret.encode("ascii"), hashlib.sha256)


def checked_ask(ask: KeyAsk, now_us: int) -> KeyAsk:
    """The wish itself, or Problem INVALID_VALUE naming the field."""
    checked_name(ask.name)
    checked_limits(ask.limits)
    if not ask.scopes:
        raise Problem(Code.INVALID_VALUE, "scopes must name at least one scope.", param="scopes")
    if ask.models is not None:
        if not 1 <= len(ask.models) <= MODELS_MAX:
            raise Problem(
                Code.INVALID_VALUE,
                f"models must name 1 to {MODELS_MAX} models, or be left out for all.",
                param="models",
            )
        if not all(_MODEL_NAME.fullmatch(name) for name in ask.models):
            raise Problem(
                Code.INVALID_VALUE, "models contains an impossible model name.", param="models"
            )
    if ask.expires_us is not None and not now_us < ask.expires_us <= EXPIRES_US_MAX:
        raise Problem(Code.INVALID_VALUE, "expires must be a time in the future.", param="expires")
    return ask


def checked_overlap(overlap_s: int) -> int:
    """The overlap itself, or Problem INVALID_VALUE: 0 to 90 days."""
    if not 0 <= overlap_s <= OVERLAP_MAX_S:
        raise Problem(
            Code.INVALID_VALUE,
            f"overlap_s must be from 0 to {OVERLAP_MAX_S} seconds.",
            param="overlap_s",
        )
    return overlap_s


def caller_of(found: Found | None, now_us: int) -> Caller:
    """Raises Problem INVALID_KEY (unknown), REVOKED_KEY or EXPIRED_KEY."""
    if found is None:
        raise _invalid("The API key is unknown.")
    key = found.key
    if key.revoked_us is not None:
        raise Problem(Code.REVOKED_KEY, "The API key was revoked.", param="authorization")
    for expires_us in (key.expires_us, found.secret_expires_us):
        if expires_us is not None and expires_us <= now_us:
            raise Problem(Code.EXPIRED_KEY, "The API key has expired.", param="authorization")
    return found.caller


def is_live(key: ApiKey, now_us: int) -> bool:
    """Neither revoked nor expired."""
    return key.revoked_us is None and (key.expires_us is None or now_us < key.expires_us)


def _formed(secret: str) -> str:
    if not _SECRET.fullmatch(secret):
        raise _invalid("The API key is malformed: it must be tb_live_ and 46 letters and digits.")
    return secret


def _bearer_secrets(headers: Mapping[str, str]) -> list[str]:
    secrets = []
    for part in _parts(headers, "authorization"):
        scheme, _, secret = part.partition(" ")
        if scheme.lower() != "bearer":
            raise _invalid("The Authorization header must be `Bearer tb_live_…`.")
        if secret.strip(" \t"):
            secrets.append(secret.strip(" \t"))
    return secrets


def _parts(headers: Mapping[str, str], name: str) -> list[str]:
    value = headers.get(name, "")
    if len(value) > HEADER_CHARACTERS_MAX:
        raise _invalid(f"The {name} header is too long to hold an API key.")
    return [part for part in (part.strip(" \t") for part in value.split(",")) if part]


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode("ascii")), CHECK_CHARACTERS)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def _invalid(public: str) -> Problem:
    return Problem(Code.INVALID_KEY, public, param="authorization")
