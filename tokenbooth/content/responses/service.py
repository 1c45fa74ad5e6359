"""Verbs on stored responses. Each is one step of one transaction."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from tokenbooth.content.replays import service as replays
from tokenbooth.content.responses import sql
from tokenbooth.content.responses.rules import (
    CHAIN_MAX,
    chain_too_long,
    not_found,
    packed,
    previous_not_found,
    still_running,
    unpacked,
)
from tokenbooth.content.responses.values import Content, ResponseAsk, StoredResponse
from tokenbooth.content.sealing.service import Place, Unreadable, seal, unseal
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Randomness, Tx

__all__ = [
    "BATCH",
    "CHAIN_MAX",
    "Content",
    "ResponseAsk",
    "StoredResponse",
    "chain",
    "content_of",
    "drop",
    "drop_over",
    "found",
    "keep",
    "not_found",
    "response",
    "sealed_content",
    "sealed_thought",
    "thought_of",
]

BATCH = 200
PURPOSE = b"tokenbooth stored response 1"
THOUGHT_PURPOSE = b"tokenbooth reasoning 1"
SALT_BYTES = 16


def keep(op: Op, tx: Tx, ask: ResponseAsk, sealed: bytes) -> bool:
    """Store a response that is over; False where the project keeps no answers."""
    if not replays.answers_kept(op, tx, ask.project_id):
        return False
    sql.add_response(tx, ask, sealed, op.now(), over=True)
    return True


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
            raise still_running(wanted)
        left_bytes -= len(link.sealed)
        if left_bytes < 0 or len(links) == CHAIN_MAX:
            raise chain_too_long(last_id, bytes_max)
        links.append(link)
        wanted = link.previous_id
    return tuple(reversed(links))


def drop(op: Op, tx: Tx, project_id: str, response_id: str) -> None:
    """Delete a response with all that is kept of it. Raises RESPONSE_NOT_FOUND."""
    response(op, tx, project_id, response_id)
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


def _place(project_id: str, response_id: str) -> Place:
    return Place(PURPOSE, (project_id, response_id))
