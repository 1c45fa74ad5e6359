"""Frozen nouns of the outbox."""

from dataclasses import dataclass
from enum import StrEnum

OPERATOR = ""
"""The organization of events that concern no customer, but whoever runs the booth."""


class Topic(StrEnum):
    """What an event is about."""

    SPEND_ALERT = "spend_alert"
    RECONCILIATION_FAILED = "reconciliation_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """``key`` stands once for ever; ``body`` is one JSON object as text.

    ``sent_us`` is ``None`` until somebody has delivered the event.
    """

    id: str
    org_id: str
    topic: Topic
    key: str
    body: str
    created_us: int
    sent_us: int | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Newest first; ``next_after`` asks for the next page, ``None`` says that this is the last."""

    events: tuple[Event, ...]
    next_after: str | None
