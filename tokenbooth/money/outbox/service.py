"""Verbs of the outbox."""

from collections.abc import Iterable

from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.money.outbox import sql
from tokenbooth.money.outbox.rules import event_of
from tokenbooth.money.outbox.values import OPERATOR, Event, EventPage, Topic

__all__ = ["OPERATOR", "Event", "EventPage", "Topic", "event_of", "page", "put"]


def put(op: Op, tx: Tx, events: Iterable[Event]) -> None:
    """Write events; one whose key is there already is not written again."""
    sql.put(tx, events)


def page(op: Op, tx: Tx, org_id: str | None, *, after: str | None, limit: int) -> EventPage:
    """One organization's events, or with ``None`` everybody's and the operator's, newest first.

    ``after`` is the last id of the page before.
    """
    found = sql.page(tx, org_id, after, limit + 1)
    more = len(found) > limit
    return EventPage(found[:limit], found[limit - 1].id if more else None)
