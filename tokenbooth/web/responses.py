"""Stored responses over HTTP: read, followed, cancelled, listed, deleted. All of it is free."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tokenbooth.admission.rates import service as rates
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Sink
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.following import follow
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.serve import authenticate
from tokenbooth.protocols.dialect import Answer
from tokenbooth.protocols.openai_responses import OPENAI_RESPONSES
from tokenbooth.protocols.wire_json import encode
from tokenbooth.web.answers import JSON_HEADERS
from tokenbooth.web.count_tokens import count_endpoint
from tokenbooth.web.endpoint import Endpoint
from tokenbooth.web.query import page_limit
from tokenbooth.web.streaming import StreamAnswer, pour

PATH = "/v1/responses"
ONE = PATH + "/{response_id}"
ITEMS_DEFAULT = 20

CANCEL_POLL_S = 0.05
CANCEL_POLLS_MAX = 200
NUMBER_CHARS_MAX = 9
STREAM_HEADERS = (("content-type", "text/event-stream"), ("cache-control", "no-store"))

Ask = Callable[[Rooms, Op, Caller, CallHead], Awaitable[Answer | StreamAnswer]]
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
        ("POST", f"{ONE}/cancel", _cancel),
    )
    counted = count_endpoint(rooms, OPENAI_RESPONSES, "response.input_tokens")
    return (
        *(ResponseRoute(method, path, _endpoint(rooms, ask)) for method, path, ask in table),
        ResponseRoute("POST", f"{PATH}/input_tokens", counted),
    )


def _endpoint(rooms: Rooms, ask: Ask) -> Endpoint:
    async def endpoint(op: Op, head: CallHead, body: Body, sink: Sink) -> None:
        limits: tuple[tuple[str, str], ...] = ()
        answer: Answer | StreamAnswer
        try:
            caller = await authenticate(rooms, op, head, Scope.INFERENCE)
            limits = rates.headers(rooms.rates.state(caller))
            answer = await ask(rooms, replace(op, caller=caller), caller, head)
        except Problem as problem:
            answer = OPENAI_RESPONSES.refusal(problem, op.request_id)
        if isinstance(answer, StreamAnswer):
            await pour(op, sink, answer, limits)
            return
        sink.start(answer.status, (*answer.headers, *limits))
        sink.write(answer.body)
        sink.end()

    return endpoint


async def _read(rooms: Rooms, op: Op, caller: Caller, head: CallHead) -> Answer | StreamAnswer:
    response_id = head.path_values["response_id"]
    if head.query.get("stream", "false").lower() != "true":
        found = await rooms.responses.response(op, caller, response_id)
        return Answer(200, JSON_HEADERS, found.response)
    number = _number_after(head.query.get("starting_after"))
    if not (await rooms.responses.row(op, caller, response_id)).background:
        raise Problem(
            Code.INVALID_VALUE,
            "Only a response that was made in the background can be streamed again.",
            param="stream",
        )
    rest = follow(rooms, op, (caller.project_id, response_id), number)
    return StreamAnswer(STREAM_HEADERS, b"", rest, lambda problem: _cut(problem, op.request_id))


async def _cancel(rooms: Rooms, op: Op, caller: Caller, head: CallHead) -> Answer:
    response_id = head.path_values["response_id"]
    stored = await rooms.responses.row(op, caller, response_id)
    if not stored.background:
        raise Problem(
            Code.INVALID_VALUE,
            "Only a response that was made in the background can be cancelled; to end another,"
            " close its connection.",
            param="response_id",
        )
    if stored.running:
        await rooms.background.cancel(op, stored)
        for _ in range(CANCEL_POLLS_MAX):
            if not (await rooms.responses.row(op, caller, response_id)).running:
                break
            await asyncio.sleep(CANCEL_POLL_S)
    found = await rooms.responses.response(op, caller, response_id)
    return Answer(200, JSON_HEADERS, found.response)


def _number_after(text: str | None) -> int:
    """The number of the first event that is wanted."""
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_CHARS_MAX):
        raise Problem(
            Code.INVALID_VALUE,
            "starting_after must be the sequence_number of an event.",
            param="starting_after",
        )
    return int(text) + 1


def _cut(problem: Problem, request_id: str) -> bytes:
    """The published event of a stream that cannot go on; it has no number of the response."""
    error = {
        "type": "error",
        "code": problem.code.text,
        "message": problem.public,
        "param": problem.param,
        "request_id": request_id,
    }
    return b"event: error\ndata: " + encode(error) + b"\n\n"


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
