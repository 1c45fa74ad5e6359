"""Whether the process lives, whether it should get calls, and its metrics."""

from tokenbooth.catalog.models import service as catalog
from tokenbooth.control.readiness import readiness, readiness_json
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.dialect import Answer
from tokenbooth.telemetry.summed import summed
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
    document = readiness_json(found)
    serves = found.is_ready
    if rooms.others is not None:
        document["workers"] = rooms.others.joined
        serves = serves and rooms.others.joined > 0
    return json_answer(
        document | {"status": "ready" if serves else "not_ready"}, 200 if serves else 503
    )


async def metrics(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    """Every series of this replica, and of the processes that serve with it."""
    only(head.query, ())
    others = [] if rooms.others is None else await rooms.others.texts()
    return metrics_answer(summed((rooms.metrics.render(), *others)))
