"""The events of a background response, from any number on: what is there, then what comes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from tokenbooth.content.responses.service import ResponseKey
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.event_log import EventLog
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.protocols.openai_responses.write import HEARTBEAT

POLL_S = 0.5
PIECE_EVENTS_MAX = 256


def follow(rooms: Rooms, op: Op, key: ResponseKey, number: int) -> AsyncGenerator[bytes, None]:
    """Ends after the terminal event; a comment says now and then that the stream lives."""
    log = rooms.background.live.get(key)
    if log is not None:
        return _live(log, number, rooms.options.heartbeat_s)
    return _stored(rooms, op, key, number)


async def _live(log: EventLog, number: int, heartbeat_s: float) -> AsyncGenerator[bytes, None]:
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(heartbeat_s):
                await log.grown(number)
        events = log.events[number : number + PIECE_EVENTS_MAX]
        number += len(events)
        if events:
            yield b"".join(events)
        elif log.over:
            return
        else:
            yield HEARTBEAT


async def _stored(
    rooms: Rooms, op: Op, key: ResponseKey, number: int
) -> AsyncGenerator[bytes, None]:
    """A call of another process is asked for again and again, as long as a call may run."""
    for _ in range(int(rooms.options.run_max_s / POLL_S)):
        events, more = await rooms.background.said(op, key, number)
        number += len(events)
        if events:
            yield b"".join(events)
        if not more:
            return
        if not events:
            yield HEARTBEAT
            await asyncio.sleep(POLL_S)
    raise Problem(Code.RUN_TIMEOUT, "The response did not end for as long as a call may run.")
