"""Verbs on stored responses. Each is one step of one transaction."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from tokenbooth.content.replays import service as replays
from tokenbooth.content.responses import sql
from tokenbooth.content.responses.rules import (
    CHAIN_MAX,
    chain_too_long,
    not_found,
    packed,
    packed_events,
    previous_not_found,
    still_running,
    unpacked,
    unpacked_events,
)
from tokenbooth.content.responses.values import Content, ResponseAsk, StoredResponse
from tokenbooth.content.sealing.service import Place, Unreadable, seal, unseal
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Randomness, Tx

__all__ = [
    "BATCH",
    "CHAIN_MAX",
    "GROUPS",
    "Content",
    "ResponseAsk",
    "ResponseKey",
    "StoredResponse",
    "add_events",
    "begin",
    "cancel",
    "cancelled",
    "chain",
    "content_of",
    "drop",
    "drop_over",
    "events",
    "events_of",
    "finish",
    "found",
    "keep",
    "not_found",
    "past",
    "response",
    "sealed_content",
    "sealed_events",
    "sealed_thought",
    "thought_of",
    "withdraw",
]

BATCH = 200
GROUPS = 64
EVENTS_PURPOSE = b"tokenbooth response events 1"
# Project and response.
ResponseKey = tuple[str, str]
PURPOSE = b"tokenbooth stored response 1"
THOUGHT_PURPOSE = b"tokenbooth reasoning 1"
SALT_BYTES = 16


def keep(op: Op, tx: Tx, ask: ResponseAsk, sealed: bytes) -> bool:
    """Store a response that is over; False where the project keeps no answers."""
    if not replays.answers_kept(op, tx, ask.project_id):
        return False
    sql.add_response(tx, ask, sealed, op.now(), over=True)
    return True


def begin(op: Op, tx: Tx, ask: ResponseAsk, sealed: bytes) -> bool:
    """Store a background response before it runs; False where the project keeps no answers."""
    if not replays.answers_kept(op, tx, ask.project_id):
        return False
    return sql.add_response(tx, ask, sealed, op.now(), over=False)


def withdraw(op: Op, tx: Tx, project_id: str, response_id: str) -> None:
    """A background response that did not come to run never was."""
    sql.withdraw_response(tx, project_id, response_id)


def finish(op: Op, tx: Tx, project_id: str, response_id: str, sealed: bytes) -> None:
    """Say how a background response ended, once."""
    sql.finish_response(tx, project_id, response_id, sealed)


def cancel(op: Op, tx: Tx, project_id: str, response_id: str) -> None:
    """Ask the process that runs it for its end."""
    sql.cancel_response(tx, project_id, response_id, op.now())


def cancelled(op: Op, tx: Tx, replica_id: str) -> frozenset[str]:
    """The running responses of that process whose callers want them to end."""
    return sql.cancelled_ids(tx, replica_id)


def past(op: Op, tx: Tx, replica_id: str, epoch: int) -> tuple[StoredResponse, ...]:
    """Running responses of that process from before ``epoch``, at most ``BATCH`` of them."""
    return sql.past_responses(tx, replica_id, epoch, BATCH)


def add_events(op: Op, tx: Tx, key: ResponseKey, first_number: int, sealed: bytes) -> None:
    """What a background response said, under the number of its first event, while it runs; the
    last word counts, because it is never shorter."""
    if sql.locked_running(tx, *key):
        sql.add_events(tx, *key, first_number, sealed)


def events(op: Op, tx: Tx, key: ResponseKey, first: int) -> tuple[tuple[int, bytes], ...]:
    """Sealed groups of events by their first number, at most ``GROUPS``; the first of them holds
    event ``first``."""
    return sql.events(tx, *key, first, GROUPS)


def sealed_events(
    events: Sequence[bytes], key: ResponseKey, first_number: int, secret: bytes, noise: Randomness
) -> bytes:
    """The form in which a group of events is stored; ``secret`` is the instance's sealing key."""
    return seal(packed_events(events), secret, _events_place(key, first_number), noise)


def events_of(
    sealed: bytes, key: ResponseKey, first_number: int, secret: bytes
) -> tuple[bytes, ...]:
    """What was sealed. Raises RESPONSE_NOT_FOUND where it cannot be read."""
    try:
        return unpacked_events(unseal(sealed, secret, _events_place(key, first_number)))
    except Unreadable:
        raise not_found(key[1]) from None


def found(op: Op, tx: Tx, project_id: str, response_id: str) -> StoredResponse | None:
    """One response of this project; ``None`` where nothing is kept, or not any more."""
    if not replays.answers_kept(op, tx, project_id):
        return None
    return sql.response(tx, project_id, response_id, op.now())


def response(op: Op, tx: Tx, project_id: str, response_id: str) -> StoredResponse:
    """The same. Raises RESPONSE_NOT_FOUND."""
    stored = found(op, tx, project_id, response_id)
    if stored is None:
        raise not_found(response_id)
    return stored


def chain(
    op: Op, tx: Tx, project_id: str, last_id: str, bytes_max: int
) -> tuple[StoredResponse, ...]:
    """The responses of a conversation up to ``last_id``, the first one first.

    Raises PREVIOUS_RESPONSE_NOT_FOUND where one of them is missing, STATE_CONFLICT where the last
    one is still running, and INVALID_VALUE for more than ``bytes_max`` together.
    """
    links: list[StoredResponse] = []
    wanted: str | None = last_id
    left_bytes = bytes_max
    while wanted is not None:
        link = found(op, tx, project_id, wanted)
        if link is None:
            raise previous_not_found(last_id, wanted)
        if link.running:
            raise still_running(wanted, "previous_response_id")
        left_bytes -= len(link.sealed)
        if left_bytes < 0 or len(links) == CHAIN_MAX:
            raise chain_too_long(last_id, bytes_max)
        links.append(link)
        wanted = link.previous_id
    return tuple(reversed(links))


def drop(op: Op, tx: Tx, project_id: str, response_id: str) -> None:
    """Delete a response with all that is kept of it. Raises RESPONSE_NOT_FOUND, and STATE_CONFLICT
    while it runs."""
    if response(op, tx, project_id, response_id).running:
        raise still_running(response_id, None)
    sql.delete_response(tx, project_id, response_id)


def drop_over(op: Op, tx: Tx) -> int:
    """Delete what has expired, and what is of projects that keep no answers; at most ``BATCH`` of
    each. Returns how many were deleted; more may be left while it is ``BATCH`` or more."""
    return sql.drop_expired(tx, op.now(), BATCH) + sql.drop_unkept(tx, BATCH)


def sealed_content(
    content: Content, project_id: str, response_id: str, key: bytes, noise: Randomness
) -> bytes:
    """The form in which content is stored; ``key`` is the instance's sealing key."""
    return seal(packed(content), key, _place(project_id, response_id), noise)


def content_of(stored: StoredResponse, key: bytes) -> Content | None:
    """What was sealed; ``None`` where it cannot be read."""
    try:
        return unpacked(unseal(stored.sealed, key, _place(stored.project_id, stored.response_id)))
    except Unreadable:
        return None


def sealed_thought(text: str, project_id: str, key: bytes, noise: Randomness) -> str:
    """Reasoning in a form that a caller may keep and only this project can have opened."""
    salt = noise.token_bytes(SALT_BYTES)
    place = Place(THOUGHT_PURPOSE, (project_id, salt.hex()))
    sealed = seal(text.encode("utf-8", "surrogatepass"), key, place, noise)
    return urlsafe_b64encode(salt + sealed).decode("ascii")


def thought_of(sealed: str, project_id: str, key: bytes) -> str | None:
    """What was sealed; ``None`` for anything else."""
    try:
        raw = urlsafe_b64decode(sealed.encode("ascii"))
        place = Place(THOUGHT_PURPOSE, (project_id, raw[:SALT_BYTES].hex()))
        return unseal(raw[SALT_BYTES:], key, place).decode("utf-8", "surrogatepass")
    except (ValueError, Unreadable):
        return None


def _events_place(key: ResponseKey, first_number: int) -> Place:
    return Place(EVENTS_PURPOSE, (*key, str(first_number)))


def _place(project_id: str, response_id: str) -> Place:
    return Place(PURPOSE, (project_id, response_id))
