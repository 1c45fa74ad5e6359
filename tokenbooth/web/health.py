"""Whether the process lives, whether it should get calls, and its metrics."""

from tokenbooth.catalog.models import service as catalog
from tokenbooth.control.readiness import readiness, readiness_json
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.dialect import Answer
from tokenbooth.web.answers import json_answer, metrics_answer
from tokenbooth.web.query import only
from tokenbooth.web.rooms import WebRooms


async def alive(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    """200 as long as the event loop turns."""
    only(head.query, ())
    return json_answer({"status": "ok"})


async def ready(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    """200, or 503 while every engine or the store is away, or takes no settlements."""
    only(head.query, ())
    try:
        models = await rooms.store.read(lambda tx: catalog.models(op, tx))
    except Problem as problem:
        op.log.fault("not_ready", problem, request_id=op.request_id)
        models = None
    if rooms.settlements.away:
        models = None  # a store that is read and not written, as on a full disk, is away too
    found = readiness(models, await rooms.engines.health())
    return json_answer(readiness_json(found), 200 if found.is_ready else 503)


async def metrics(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    """Every series of this replica."""
    only(head.query, ())
    return metrics_answer(rooms.metrics.render())
