"""Decisions about idempotency keys, and the form in which an answer is kept."""

import hashlib

import msgspec

from tokenbooth.content.replays.values import Claim, ClaimState, Fate, Lack, StoredAnswer
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome

HEADER = "Idempotency-Key"
KEY_CHARACTERS_MAX = 255
RETRY_S = 1
RUNNING_EXTRA_US = 86_400_000_000
WHOLE_OUTCOMES = frozenset({Outcome.COMPLETED, Outcome.CAP_REACHED})
_WHY = {
    Lack.NOT_KEPT: "the project keeps no answers",
    Lack.TOO_LARGE: "it is larger than what is kept",
    Lack.NOT_STORED: "it could not be stored",
    Lack.NOT_WHOLE: "it was never whole",
}


def checked_key(text: str) -> str:
    """The key itself, or Problem INVALID_VALUE: 1 to 255 visible ASCII characters."""
    visible = all("!" <= character <= "~" for character in text)
    if not visible or not 1 <= len(text) <= KEY_CHARACTERS_MAX:
        raise Problem(
            Code.INVALID_VALUE,
            f"{HEADER} must have 1 to {KEY_CHARACTERS_MAX} visible ASCII characters and be sent"
            " once.",
            param=HEADER,
        )
    return text


def body_sha256(path: str, raw: bytes) -> bytes:
    """32 bytes that stand for what is asked: the path, a NUL that no path has, and the body."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape") + b"\0" + raw).digest()


def check_same(claim: Claim, wanted_sha256: bytes) -> None:
    """Raise IDEMPOTENCY_MISMATCH when the key was claimed for another body."""
    if claim.body_sha256 != wanted_sha256:
        raise Problem(
            Code.IDEMPOTENCY_MISMATCH,
            f"This {HEADER} was used with another body by the call {claim.request_id}."
            " Use a new key for a new question.",
            param=HEADER,
            facts={"original_request_id": claim.request_id},
        )


def refusal_of(claim: Claim) -> Problem:
    """What a caller is told whose key belongs to a call that cannot be replayed."""
    if claim.state is ClaimState.RUNNING:
        return Problem(
            Code.IDEMPOTENCY_RUNNING,
            f"The call {claim.request_id} with this {HEADER} is not over yet.",
            param=HEADER,
            retry_after_s=RETRY_S,
            facts={"original_request_id": claim.request_id},
        )
    why = _WHY[claim.lacks or Lack.NOT_STORED]
    return Problem(
        Code.REPLAY_UNAVAILABLE,
        f"The call {claim.request_id} with this {HEADER} ended as {claim.outcome} and may have"
        f" been charged; its answer cannot be given again, because {why}. See"
        f" GET /v1/requests/{claim.request_id}, and use a new key to ask anew.",
        param=HEADER,
        facts={
            "original_request_id": claim.request_id,
            "outcome": claim.outcome or "",
            "reason": (claim.lacks or Lack.NOT_STORED).value,
        },
    )


def fate_of(outcome: Outcome, cost_nano: int) -> Fate:
    """A whole answer is kept, a free failure may be tried again, a charged part never is."""
    if outcome in WHOLE_OUTCOMES:
        return Fate.DONE
    return Fate.FAILED if cost_nano else Fate.RELEASE


def is_expired(claim: Claim, now_us: int) -> bool:
    """A call that may still run, or whose end nobody has told yet, has a day more."""
    extra_us = RUNNING_EXTRA_US if claim.state is ClaimState.RUNNING else 0
    return claim.expires_us + extra_us <= now_us


def packed(answer: StoredAnswer) -> bytes:
    """The answer as bytes (MessagePack)."""
    return msgspec.msgpack.encode((answer.status, answer.headers, answer.chunks))


def unpacked(packed_answer: bytes) -> StoredAnswer:
    """What was packed. Raises ``msgspec.DecodeError`` for anything else."""
    form = tuple[int, tuple[tuple[str, str], ...], tuple[bytes, ...]]
    status, headers, chunks = msgspec.msgpack.decode(packed_answer, type=form)
    return StoredAnswer(status, headers, chunks)
