"""What happened in the caller's organization, and the proof of its balance."""

from tokenbooth.control import events
from tokenbooth.control import reconciliation as checks
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead
from tokenbooth.protocols.dialect import Answer
from tokenbooth.web.answers import json_answer
from tokenbooth.web.query import identifier, only, page_limit
from tokenbooth.web.rooms import WebRooms, caller_of

PAGE_DEFAULT = 20


async def list_events(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    """Newest first; ``after`` is the ``next_after`` of the page before."""
    query = head.query
    only(query, ("after", "limit"))
    limit, after = page_limit(query, PAGE_DEFAULT), identifier(query, "after")
    caller = caller_of(op)
    return json_answer(
        await rooms.store.read(lambda tx: events.events(op, tx, caller, after=after, limit=limit))
    )


async def reconciliation(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    """The own balance as it was last added up from the postings."""
    only(head.query, ())
    caller = caller_of(op)
    return json_answer(await rooms.store.read(lambda tx: checks.own_balance(op, tx, caller)))
