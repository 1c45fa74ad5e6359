"""The OpenAPI document of this version."""

from tokenbooth import __version__
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead
from tokenbooth.protocols.dialect import Answer
from tokenbooth.protocols.openapi import openapi_bytes
from tokenbooth.web.answers import JSON_HEADERS
from tokenbooth.web.query import only
from tokenbooth.web.rooms import WebRooms

OPENAPI_BYTES = openapi_bytes(__version__)


async def document(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    only(head.query, ())
    return Answer(200, JSON_HEADERS, OPENAPI_BYTES)
