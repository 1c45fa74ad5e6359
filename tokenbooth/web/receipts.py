"""Receipts and statements of the caller's own organization, and the keys that verify them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tokenbooth.control import receipts, statements
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead, Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.receipts.service import Span
from tokenbooth.protocols.dialect import Answer
from tokenbooth.web.account import COMPLETION_PREFIX, DAYS_DEFAULT, in_turn
from tokenbooth.web.answers import json_answer
from tokenbooth.web.query import day_span, only
from tokenbooth.web.rooms import WebRooms, caller_of
from tokenbooth.web.streaming import StreamAnswer

T = TypeVar("T")


async def one_receipt(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    """Signed now, if nobody did yet."""
    only(head.query, ())
    org_id = caller_of(op).org_id
    request_id = head.path_values["request_id"].removeprefix(COMPLETION_PREFIX)
    return json_answer(await receipts.receipt(rooms.store, op, rooms.signer, org_id, request_id))


async def keys(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    """Public: whoever was given a receipt can verify it."""
    only(head.query, ())
    found = await rooms.store.read(lambda tx: receipts.public_keys(op, tx, rooms.signer))
    return json_answer(receipts.keys_json(found, rooms.signer))


async def statement(rooms: WebRooms, op: Op, head: CallHead) -> StreamAnswer:
    """``since`` and ``until`` are UTC days, both inclusive; ``format`` is json or csv."""
    only(head.query, ("format", "since", "until"))
    name = head.query.get("format", "json")
    layout = statements.LAYOUTS.get(name)
    if layout is None:
        raise Problem(Code.INVALID_VALUE, "format must be json or csv.", param="format")
    span = Span(caller_of(op).org_id, *day_span(head.query, op.now(), DAYS_DEFAULT))
    written = layout()
    pieces = statements.statement(_InTurn(rooms), op, rooms.signer, span, written)
    first = await anext(pieces)
    headers = (
        ("content-type", written.content_type),
        ("content-disposition", f'attachment; filename="statement.{written.suffix}"'),
        ("cache-control", "no-store"),
    )
    return StreamAnswer(headers, first, pieces, written.failure)


@dataclass(frozen=True, slots=True)
class _InTurn:
    """The store, read one page at a time in turn with other reports."""

    rooms: WebRooms

    async def read(self, verb: Callable[[Tx], T]) -> T:
        async with in_turn(self.rooms):
            return await self.rooms.store.read(verb)

    async def write(self, verb: Callable[[Tx], T]) -> T:
        return await self.rooms.store.write(verb)
