"""``/v1/models``: what this key may call, what it can do and what it costs."""

from tokenbooth.catalog.models.service import Deployment
from tokenbooth.control import reports
from tokenbooth.core.features import Capabilities
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead
from tokenbooth.protocols.dialect import Answer
from tokenbooth.web.answers import json_answer
from tokenbooth.web.query import only
from tokenbooth.web.rooms import WebRooms, caller_of


async def list_models(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    only(head.query, ())
    caller, abilities = caller_of(op), _abilities(rooms)
    return json_answer(
        await rooms.store.read(lambda tx: reports.model_rows(op, tx, caller, abilities))
    )


async def one_model(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    """A model's name may hold slashes, so it may stand in several segments of the path."""
    only(head.query, ())
    name = "/".join(head.path_values.values())
    caller, abilities = caller_of(op), _abilities(rooms)
    return json_answer(
        await rooms.store.read(lambda tx: reports.model_row(op, tx, caller, name, abilities))
    )


def _abilities(rooms: WebRooms) -> reports.Abilities:
    def abilities(deployment: Deployment) -> Capabilities | None:
        engine = rooms.engines.opened(deployment.id)
        return None if engine is None else engine.capabilities

    return abilities
