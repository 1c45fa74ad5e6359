"""The caller's own account: what is left, what was used, and every call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tokenbooth.control import reports
from tokenbooth.control.documents import Json
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.prefixes import CacheVerdict
from tokenbooth.money.meter.service import PageAsk
from tokenbooth.protocols.dialect import Answer
from tokenbooth.web.answers import json_answer
from tokenbooth.web.query import day_span, identifier, only, page_limit
from tokenbooth.web.rooms import WebRooms, caller_of

REPORT_WAIT_MAX_S = 10
PAGE_DEFAULT = 20
DAYS_DEFAULT = 30
# The id in a Chat Completions body is this and the id of the call.
COMPLETION_PREFIX = "chatcmpl-"


async def balance(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    only(head.query, ())
    caller = caller_of(op)
    return json_answer(await rooms.store.read(lambda tx: reports.balance(op, tx, caller)))


async def usage(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    """``since`` and ``until`` are UTC days, both inclusive; the last 30 days by default."""
    only(head.query, ("since", "until"))
    org_id = caller_of(op).org_id
    since_us, until_us = day_span(head.query, op.now(), DAYS_DEFAULT)
    async with in_turn(rooms):
        report = await rooms.store.read(
            lambda tx: reports.usage(op, tx, org_id, since_us, until_us)
        )
    return json_answer(reports.usage_report_json(report))


async def list_calls(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    """Newest first; ``after`` is the ``next_after`` of the page before."""
    query = head.query
    only(query, ("after", "key_id", "limit", "project_id"))
    ask = PageAsk(
        limit=page_limit(query, PAGE_DEFAULT),
        after=identifier(query, "after"),
        project_id=identifier(query, "project_id"),
        key_id=identifier(query, "key_id"),
    )
    caller = caller_of(op)
    async with in_turn(rooms):
        page = await rooms.store.read(lambda tx: reports.calls(op, tx, caller, ask))
    return json_answer(page)


async def one_call(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    only(head.query, ())
    caller = caller_of(op)
    request_id = head.path_values["request_id"].removeprefix(COMPLETION_PREFIX)
    found = await rooms.store.read(lambda tx: reports.call(op, tx, caller, request_id))
    return json_answer({**found, "cache": _cache(rooms.prefixes.verdict(request_id))})


def _cache(verdict: CacheVerdict | None) -> Json | None:
    """Of a call that ran in this process lately; asked for after its own organization found it."""
    if verdict is None:
        return None
    return {
        "matched_tokens": verdict.matched_tokens,
        "cached_tokens": verdict.cached_tokens,
        "reason": None if verdict.why is None else verdict.why.value,
    }


@asynccontextmanager
async def in_turn(rooms: WebRooms) -> AsyncIterator[None]:
    """Raises ENGINE_BUSY with retry advice when too many reports wait."""
    try:
        place = await rooms.reports.enter(REPORT_WAIT_MAX_S)
    except Problem as busy:
        raise Problem(
            busy.code, "Too many reports are asked for at once.", retry_after_s=busy.retry_after_s
        ) from None
    try:
        yield
    finally:
        place.leave()
