"""Stored responses over HTTP: read, list what they were made from, delete. All of it is free."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tokenbooth.admission.rates import service as rates
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Sink
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.serve import authenticate
from tokenbooth.protocols.dialect import Answer
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.wire_json import encode
from tokenbooth.web.answers import JSON_HEADERS
from tokenbooth.web.count_tokens import count_endpoint
from tokenbooth.web.endpoint import Endpoint
from tokenbooth.web.query import page_limit

PATH = "/v1/responses"
ONE = PATH + "/{response_id}"
ITEMS_DEFAULT = 20

Ask = Callable[[Rooms, Op, Caller, CallHead], Awaitable[Answer]]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ResponseRoute:
    """One way to reach what is stored."""

    method: str
    pattern: str
    endpoint: Endpoint


def response_routes(rooms: Rooms) -> tuple[ResponseRoute, ...]:
    """Every route of stored responses, all worded in the dialect of Responses."""
    table: tuple[tuple[str, str, Ask], ...] = (
        ("GET", ONE, _read),
        ("DELETE", ONE, _delete),
        ("GET", f"{ONE}/input_items", _items),
        ("POST", f"{PATH}/compact", _compact),
    )
    counted = count_endpoint(rooms, OPENAI_RESPONSES, "response.input_tokens")
    return (
        *(ResponseRoute(method, path, _endpoint(rooms, ask)) for method, path, ask in table),
        ResponseRoute("POST", f"{PATH}/input_tokens", counted),
    )


def _endpoint(rooms: Rooms, ask: Ask) -> Endpoint:
    async def endpoint(op: Op, head: CallHead, body: Body, sink: Sink) -> None:
        limits: tuple[tuple[str, str], ...] = ()
        try:
            caller = await authenticate(rooms, op, head, Scope.INFERENCE)
            limits = rates.headers(rooms.rates.state(caller))
            answer = await ask(rooms, replace(op, caller=caller), caller, head)
        except Problem as problem:
            answer = OPENAI_RESPONSES.refusal(problem, op.request_id)
        sink.start(answer.status, (*answer.headers, *limits))
        sink.write(answer.body)
        sink.end()

    return endpoint


async def _read(rooms: Rooms, op: Op, caller: Caller, head: CallHead) -> Answer:
    if head.query.get("stream") == "true":
        raise Problem(
            Code.INVALID_VALUE,
            "Only a response that was made in the background can be streamed again.",
            param="stream",
        )
    found = await rooms.responses.response(op, caller, head.path_values["response_id"])
    return Answer(200, JSON_HEADERS, found.response)


async def _delete(rooms: Rooms, op: Op, caller: Caller, head: CallHead) -> Answer:
    response_id = head.path_values["response_id"]
    await rooms.responses.drop(op, caller, response_id)
    return _answer({"id": response_id, "object": "response", "deleted": True})


async def _items(rooms: Rooms, op: Op, caller: Caller, head: CallHead) -> Answer:
    limit = page_limit(head.query, ITEMS_DEFAULT)
    order = head.query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise Problem(Code.INVALID_VALUE, "order must be asc or desc.", param="order")
    items = await rooms.responses.items(op, caller, head.path_values["response_id"])
    if order == "desc":
        items.reverse()
    return _answer(page(items, head.query.get("after"), limit))


async def _compact(rooms: Rooms, op: Op, caller: Caller, head: CallHead) -> Answer:
    """What a compacted conversation holds is the secret of the model that made it; a plain summary
    under that name would be taken for it."""
    raise Problem(
        Code.UNSUPPORTED_FEATURE,
        "Conversations are not compacted here; ask the model for a summary, and go on from that.",
    )


def page(items: list[Json], after: str | None, limit: int) -> Mapping[str, object]:
    """A page of a list. Raises INVALID_VALUE for an id to start after that is not in it."""
    begin = 0
    if after is not None:
        places = [place for place, item in enumerate(items) if item["id"] == after]
        if not places:
            raise Problem(Code.INVALID_VALUE, "after is no item of this list.", param="after")
        begin = places[0] + 1
    shown = items[begin : begin + limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else "",
        "last_id": shown[-1]["id"] if shown else "",
        "has_more": begin + limit < len(items),
    }


def _answer(document: Mapping[str, object]) -> Answer:
    return Answer(200, JSON_HEADERS, encode(document))
