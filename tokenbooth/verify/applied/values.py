"""Frozen nouns of certificates in force."""

from dataclasses import dataclass
from enum import StrEnum


class CapacityState(StrEnum):
    """Whether a certificate still counts; ``STALE`` when what is served calls itself otherwise."""

    VALID = "valid"
    STALE = "stale"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was put in force last for a model; ``effective_us`` is when, ``digest`` names it."""

    model: str
    sequence: int
    digest: str
    fingerprint: str
    concurrency: int
    calls_per_ks: int
    ttft_us: int
    tpot_us: int
    attainment_ppm: int
    issued_us: int
    expires_us: int
    document: str
    effective_us: int
    author: str
