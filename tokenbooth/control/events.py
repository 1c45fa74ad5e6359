"""Events as callers and operators see them, and the thresholds that make some of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tokenbooth.access.keys import service as keys
from tokenbooth.access.orgs import service as orgs
from tokenbooth.control.documents import Json, iso_moment
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.alerts import service as alerts
from tokenbooth.money.outbox import service as outbox
from tokenbooth.money.outbox.service import Event, EventPage


@dataclass(frozen=True, slots=True)
class AlertLine:
    """The thresholds of one limit; ``percents`` of ``None`` are the booth's own."""

    scope: LimitScope
    owner_id: str
    percents: tuple[int, ...] | None


def events(op: Op, tx: Tx, caller: Caller, *, after: str | None, limit: int) -> Json:
    """A page of the events of the caller's organization, newest first."""
    return page_json(outbox.page(op, tx, caller.org_id, after=after, limit=limit))


def events_of(op: Op, tx: Tx, org: str | None, *, after: str | None, limit: int) -> EventPage:
    """The operator's view: one organization by name or id, or everything.

    Raises NAME_NOT_FOUND.
    """
    org_id = None if org is None else orgs.org_by(op, tx, org).id
    return outbox.page(op, tx, org_id, after=after, limit=limit)


def alert_line(op: Op, tx: Tx, scope: LimitScope, owner: str) -> AlertLine:
    """``owner`` is an organization by name or id, a project as ``ORG/PROJECT``, or a key's id.

    Raises NAME_NOT_FOUND.
    """
    owner_id = _owner_id(op, tx, scope, owner)
    return AlertLine(scope, owner_id, alerts.percents_of(op, tx, scope, owner_id))


def set_alerts(
    op: Op, tx: Tx, scope: LimitScope, owner: str, percents: Sequence[int] | None
) -> AlertLine:
    """Thresholds of one limit alone; empty for no alerts, ``None`` for the booth's own.

    Raises NAME_NOT_FOUND, and INVALID_VALUE for what are no rising percentages.
    """
    owner_id = _owner_id(op, tx, scope, owner)
    alerts.set_percents(op, tx, scope, owner_id, percents)
    return AlertLine(scope, owner_id, None if percents is None else tuple(percents))


def _owner_id(op: Op, tx: Tx, scope: LimitScope, owner: str) -> str:
    match scope:
        case LimitScope.BALANCE | LimitScope.ORGANIZATION:
            return orgs.org_by(op, tx, owner).id
        case LimitScope.PROJECT:
            org, slash, project = owner.partition("/")
            if not slash:
                raise Problem(
                    Code.INVALID_VALUE, "A project is named as ORG/PROJECT.", param="owner"
                )
            return orgs.project_by(op, tx, orgs.org_by(op, tx, org).id, project).id
        case LimitScope.KEY:
            return keys.key_by(op, tx, owner).id


def page_json(page: EventPage) -> Json:
    return {
        "object": "list",
        "data": [event_json(event) for event in page.events],
        "has_more": page.next_after is not None,
        "next_after": page.next_after,
    }


def event_json(event: Event) -> Json:
    """``body`` differs by ``topic``."""
    return {
        "object": "event",
        "id": event.id,
        "topic": event.topic.value,
        "organization_id": event.org_id or None,
        "created_at": iso_moment(event.created_us),
        "body": json.loads(event.body),
    }


def alerts_json(line: AlertLine, default_percents: Sequence[int]) -> Json:
    own = line.percents is not None
    return {
        "object": "spend_alerts",
        "scope": line.scope.value,
        "owner_id": line.owner_id,
        "percents": list(default_percents if line.percents is None else line.percents),
        "own": own,
    }
