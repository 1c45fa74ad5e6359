"""Background responses on a booth without a socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.booth import MemorySink, TestBooth
from tests.support.keyed import Flaky
from tests.support.responses import checked_body, events
from tests.unit.gateway.test_stored_responses import ask, caller, read
from tokenbooth.content.responses import service as responses
from tokenbooth.content.responses.service import ResponseKey
from tokenbooth.gateway.background import BackgroundDesk
from tokenbooth.gateway.event_log import EventLog
from tokenbooth.gateway.following import follow
from tokenbooth.gateway.options import ResponseOptions


def response_id(booth: TestBooth) -> str:
    """Of the last call."""
    return f"resp_{booth.calls:032x}"


async def key_of(booth: TestBooth) -> ResponseKey:
    return (await caller(booth)).project_id, response_id(booth)


async def told(booth: TestBooth, key: ResponseKey, number: int = 0) -> list[Any]:
    """Every event from that number on, as a follower reads them; comments are left out."""
    pieces = [piece async for piece in follow(booth.rooms, booth.op, key, number)]
    return events(b"".join(piece for piece in pieces if not piece.startswith(b":")))


async def over(booth: TestBooth, key: ResponseKey) -> dict[str, Any]:
    """The response once it is over, with its stream checked."""
    found = await told(booth, key)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    body = await read(booth, key[1])
    checked_body(body)
    assert found[-1]["response"] == body
    return body


@asynccontextmanager
async def running(
    booth: TestBooth, least_events: int = 0, sink: MemorySink | None = None, **fields: Any
) -> AsyncIterator[tuple[ResponseKey, EventLog]]:
    """A background call that has told so many events; it has ended when this is left."""
    key = (await caller(booth)).project_id, f"resp_{booth.calls + 1:032x}"
    call = asyncio.create_task(ask(booth, sink, background=True, **fields))
    desk = booth.rooms.background
    while key not in desk.live and not call.done():
        await asyncio.sleep(0)
    log = desk.live[key]
    await log.grown(least_events)
    try:
        yield key, log
    finally:
        await call
    assert_nothing_left(booth)


def assert_nothing_left(booth: TestBooth) -> None:
    """No call is thought to run, and no event is remembered."""
    desk: Any = booth.rooms.background
    assert desk.live == {}
    assert desk.space.free_bytes == desk._options.background_bytes_max


def other_desk(booth: TestBooth) -> BackgroundDesk:
    """That of another process on the same database, under the same name."""
    desk: Any = booth.rooms.background
    return BackgroundDesk(
        desk._store, desk._till, key=desk._key, noise=booth.noise, options=ResponseOptions()
    )


def flaky_background(booth: TestBooth) -> Flaky:
    desk: Any = booth.rooms.background
    desk._store = store = Flaky(desk._store)
    return store


async def is_running(booth: TestBooth, key: ResponseKey) -> bool:
    row = await booth.store.read(lambda tx: responses.response(booth.op, tx, *key))
    return row.running


async def begun_of(sink: MemorySink) -> dict[str, Any]:
    """What a caller is told that does not listen; waits for it."""
    while not sink.ends:
        await asyncio.sleep(0)
    made: dict[str, Any] = json.loads(sink.body)
    return made
