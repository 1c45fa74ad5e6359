"""Verbs on idempotency claims. Each is one step of one transaction."""

from dataclasses import replace

from tokenbooth.content.replays import sql
from tokenbooth.content.replays.rules import (
    HEADER,
    body_sha256,
    check_same,
    checked_key,
    fate_of,
    is_expired,
    packed,
    refusal_of,
    unpacked,
)
from tokenbooth.content.replays.values import (
    Claim,
    ClaimAsk,
    ClaimState,
    Fate,
    Lack,
    Over,
    StoredAnswer,
)
from tokenbooth.content.sealing.service import Place, Unreadable, seal, unseal
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Randomness, Tx

__all__ = [
    "BATCH",
    "HEADER",
    "Claim",
    "ClaimAsk",
    "ClaimState",
    "Fate",
    "Lack",
    "Over",
    "StoredAnswer",
    "answer_of",
    "answers_kept",
    "body_sha256",
    "checked_key",
    "claim",
    "drop_over",
    "fate_of",
    "finish",
    "keep_answers",
    "past",
    "refusal_of",
    "release",
    "sealed_answer",
]

BATCH = 500
PURPOSE = b"tokenbooth stored answer 1"
_PLACES = ("", "")


def claim(op: Op, tx: Tx, ask: ClaimAsk) -> Claim | None:
    """Take the key for this call: ``None`` when it has it now, else the claim that stands.

    An expired claim stands no more. What stands of a project that keeps no answers is told
    without one. Raises IDEMPOTENCY_MISMATCH when the key was claimed for another body.
    """
    while not sql.add_claim(tx, ask, op.now()):
        found = sql.locked_claim(tx, ask.project_id, ask.key)
        if found is None:  # let go of in this very moment
            continue
        if is_expired(found, op.now()):
            sql.forget_claim(tx, found)
            continue
        check_same(found, ask.body_sha256)
        if found.sealed is not None and not answers_kept(op, tx, ask.project_id):
            return replace(found, sealed=None, lacks=Lack.NOT_KEPT)
        return found
    return None


def release(op: Op, tx: Tx, held: Claim | ClaimAsk) -> None:
    """Let the key of a running call go, so that the question is asked anew; no other claim."""
    sql.release_claim(tx, held)


def finish(op: Op, tx: Tx, held: Claim | ClaimAsk, over: Over) -> None:
    """Say how the call ended, once; the answer is stored only where the project keeps answers."""
    if over.sealed is not None and not answers_kept(op, tx, held.project_id):
        over = replace(over, sealed=None, lacks=Lack.NOT_KEPT)
    sql.finish_claim(tx, held, over)


def past(
    op: Op, tx: Tx, replica_id: str, epoch: int, after: Claim | None = None
) -> tuple[Claim, ...]:
    """Running claims of this process from before ``epoch``, at most ``BATCH`` of them.

    ``after`` is the last one seen.
    """
    place = _PLACES if after is None else (after.project_id, after.key)
    return sql.past_claims(tx, replica_id, epoch, place, BATCH)


def answers_kept(op: Op, tx: Tx, project_id: str) -> bool:
    """Whether answers of the project are kept for replay; they are, unless it was said not to."""
    return sql.answers_kept(tx, project_id)


def keep_answers(op: Op, tx: Tx, project_id: str, *, kept: bool) -> None:
    """From now on. What is stored already is given out no more at once, and deleted soon."""
    sql.put_retention(tx, project_id, kept=kept, now_us=op.now(), author=op.actor)


def drop_over(op: Op, tx: Tx) -> int:
    """Delete expired claims, and answers of projects that keep none; at most ``BATCH`` of each.

    Returns how many were touched; more may be left while it is ``BATCH`` or more.
    """
    return sql.drop_expired(tx, op.now(), BATCH) + sql.empty_unkept(tx, BATCH)


def sealed_answer(answer: StoredAnswer, held: ClaimAsk, key: bytes, noise: Randomness) -> bytes:
    """The form in which an answer is stored; ``key`` is the instance's sealing key."""
    return seal(packed(answer), key, _place(held), noise)


def answer_of(claimed: Claim, key: bytes) -> StoredAnswer | None:
    """The stored answer; ``None`` where there is none that can be read."""
    if claimed.sealed is None:
        return None
    try:
        return unpacked(unseal(claimed.sealed, key, _place(claimed)))
    except Unreadable:
        return None


def _place(held: Claim | ClaimAsk) -> Place:
    return Place(PURPOSE, (held.project_id, held.key, held.request_id))
