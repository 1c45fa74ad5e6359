"""Frozen nouns of replays."""

from dataclasses import dataclass, field
from enum import StrEnum


class ClaimState(StrEnum):
    """A claim leaves ``RUNNING`` once; a call that failed for free leaves no claim at all."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Lack(StrEnum):
    """Why a call that is over has no answer to give again."""

    NOT_KEPT = "not_kept"
    TOO_LARGE = "too_large"
    NOT_STORED = "not_stored"
    NOT_WHOLE = "not_whole"


class Fate(StrEnum):
    """What becomes of the claim of a call that is over."""

    RELEASE = "release"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimAsk:
    """A call that wants its idempotency key. ``epoch`` counts the runs of the process."""

    org_id: str
    project_id: str
    key: str
    body_sha256: bytes
    request_id: str
    replica_id: str
    epoch: int
    keep_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One row: who holds a key, and what became of the call. Times are Unix microseconds.

    ``lacks`` is ``None`` while the call runs and where ``sealed`` holds its answer.
    """

    org_id: str
    project_id: str
    key: str
    body_sha256: bytes
    state: ClaimState
    request_id: str
    replica_id: str
    epoch: int
    created_us: int
    expires_us: int
    outcome: str | None = None
    lacks: Lack | None = None
    sealed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Over:
    """How the call of a claim ended: with its sealed answer, or with the reason for none."""

    outcome: str
    whole: bool
    lacks: Lack | None = None
    sealed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it went out: ``chunks`` in the order and the pieces in which it was written."""

    status: int
    headers: tuple[tuple[str, str], ...]
    chunks: tuple[bytes, ...] = field(repr=False)
