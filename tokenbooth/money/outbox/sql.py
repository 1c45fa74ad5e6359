"""Statements of the outbox; an event that is there already is left as it is."""

from collections.abc import Iterable

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from tokenbooth.core.ports import Tx
from tokenbooth.money.outbox.values import Event, Topic
from tokenbooth.store.tables.money import OUTBOX

_PUT = insert(OUTBOX).on_conflict_do_nothing()
_NEWEST_FIRST = select(OUTBOX).order_by(OUTBOX.c.id.desc()).limit(bindparam("count"))


def put(tx: Tx, events: Iterable[Event]) -> None:
    rows = [
        {
            "id": event.id,
            "org_id": event.org_id,
            "topic": event.topic.value,
            "key": event.key,
            "body": event.body,
            "created_us": event.created_us,
            "sent_us": event.sent_us,
        }
        for event in events
    ]
    if rows:
        tx.execute(_PUT, rows)


def page(tx: Tx, org_id: str | None, after: str | None, count: int) -> tuple[Event, ...]:
    statement = _NEWEST_FIRST
    values: dict[str, str | int] = {"count": count}
    if org_id is not None:
        statement = statement.where(OUTBOX.c.org_id == bindparam("org"))
        values["org"] = org_id
    if after is not None:
        statement = statement.where(OUTBOX.c.id < bindparam("before"))
        values["before"] = after
    found = tx.execute(statement, values)
    return tuple(
        Event(
            id=row.id,
            org_id=row.org_id,
            topic=Topic(row.topic),
            key=row.key,
            body=row.body,
            created_us=row.created_us,
            sent_us=row.sent_us,
        )
        for row in found
    )
