"""The table of the account API: who may call stands on the route, who calls stands in the Op."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from tokenbooth.core.caller import Scope
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead
from tokenbooth.protocols.dialect import Answer
from tokenbooth.web import account, events, files, health, models, openapi, receipts
from tokenbooth.web.rooms import WebRooms
from tokenbooth.web.streaming import StreamAnswer

__all__ = ["WebRooms", "WebRoute", "account_routes"]

AnswerTo = Callable[[Op, CallHead], Awaitable[Answer | StreamAnswer]]
Endpoint = Callable[[WebRooms, Op, CallHead], Awaitable[Answer | StreamAnswer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRoute:
    """``scope`` is what the key must carry, ``None`` needs no key; ``loopback_only`` hides the
    route from other machines."""

    method: str
    pattern: str
    scope: Scope | None
    answer: AnswerTo
    loopback_only: bool = False


OPEN_ENDPOINTS: tuple[tuple[str, Endpoint], ...] = (
    ("/healthz", health.alive),
    ("/readyz", health.ready),
    ("/openapi.json", openapi.document),
    ("/v1/receipts/keys", receipts.keys),
)

KEYED_ENDPOINTS: tuple[tuple[str, Scope, Endpoint], ...] = (
    ("/v1/models", Scope.INFERENCE, models.list_models),
    ("/v1/models/{model}", Scope.INFERENCE, models.one_model),
    ("/v1/models/{owner}/{model}", Scope.INFERENCE, models.one_model),
    ("/v1/files", Scope.INFERENCE, files.list_files),
    ("/v1/files/{file_id}", Scope.INFERENCE, files.one_file),
    ("/v1/files/{file_id}/content", Scope.INFERENCE, files.file_content),
    ("/v1/balance", Scope.READ, account.balance),
    ("/v1/usage", Scope.READ, account.usage),
    ("/v1/requests", Scope.READ, account.list_calls),
    ("/v1/requests/{request_id}", Scope.READ, account.one_call),
    ("/v1/requests/{request_id}/receipt", Scope.READ, receipts.one_receipt),
    ("/v1/statement", Scope.READ, receipts.statement),
    ("/v1/events", Scope.READ, events.list_events),
    ("/v1/reconciliation", Scope.READ, events.reconciliation),
)


def account_routes(rooms: WebRooms) -> tuple[WebRoute, ...]:
    """Every route of the account API over ``rooms``."""
    opened = [
        WebRoute(method="GET", pattern=pattern, scope=None, answer=partial(endpoint, rooms))
        for pattern, endpoint in OPEN_ENDPOINTS
    ]
    keyed = [
        WebRoute(method="GET", pattern=pattern, scope=scope, answer=partial(endpoint, rooms))
        for pattern, scope, endpoint in KEYED_ENDPOINTS
    ]
    deletion = WebRoute(
        method="DELETE",
        pattern="/v1/files/{file_id}",
        scope=Scope.INFERENCE,
        answer=partial(files.delete_file, rooms),
    )
    metrics = WebRoute(
        method="GET",
        pattern="/metrics",
        scope=None,
        answer=partial(health.metrics, rooms),
        loopback_only=rooms.metrics_loopback_only,
    )
    return (*opened, *keyed, deletion, metrics)
