"""``/v1/models``: what this key may call, what it can do and what it costs."""

import re

from tokenbooth.catalog.models.service import Deployment
from tokenbooth.control import listings, offers
from tokenbooth.core.codes import Code
from tokenbooth.core.features import Capabilities
from tokenbooth.core.op import Op
from tokenbooth.core.ports import CallHead
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.dialect import Answer
from tokenbooth.web.answers import exact_answer, json_answer
from tokenbooth.web.query import only, page_limit
from tokenbooth.web.rooms import WebRooms, caller_of

MODELS_PAGE_MAX = 1000
MODELS_DEV, OPENROUTER = "models.dev", "openrouter"
PAGED = ("limit", "after_id", "before_id")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


async def list_models(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    """All of them at once, unless ``limit`` asks for a page; ``format`` chooses another list."""
    shape = head.query.get("format")
    only(head.query, (*PAGED, "format") if shape is None else ("format",))
    if shape not in (None, MODELS_DEV, OPENROUTER):
        raise Problem(
            Code.INVALID_VALUE, f"format must be {MODELS_DEV} or {OPENROUTER}.", param="format"
        )
    caller, abilities = caller_of(op), _abilities(rooms)
    found = await rooms.store.read(lambda tx: offers.offers(op, tx, caller, abilities))
    if shape == MODELS_DEV:
        return exact_answer(listings.models_dev(found, _base_url(head)))
    if shape == OPENROUTER:
        return json_answer(listings.openrouter(found))
    return json_answer(offers.page_json(found, _page(head)))


async def one_model(rooms: WebRooms, op: Op, head: CallHead) -> Answer:
    """A model's name may hold slashes, so it may stand in several segments of the path."""
    only(head.query, ())
    name = "/".join(head.path_values.values())
    caller, abilities = caller_of(op), _abilities(rooms)
    found = await rooms.store.read(lambda tx: offers.offer(op, tx, caller, name, abilities))
    return json_answer(offers.offer_row(found))


def _page(head: CallHead) -> offers.PageAsk:
    query = head.query
    limit = None
    if any(name in query for name in PAGED):
        limit = page_limit(query, 20, MODELS_PAGE_MAX)
    return offers.PageAsk(limit, query.get("after_id"), query.get("before_id"))


def _base_url(head: CallHead) -> str | None:
    """Where the caller reached us, by its own words."""
    host = head.headers.get("host", "")
    if not _HOST.fullmatch(host):
        return None
    secure = head.headers.get("x-forwarded-proto") == "https"
    return f"{'https' if secure else 'http'}://{host}/v1"


def _abilities(rooms: WebRooms) -> offers.Abilities:
    def abilities(deployment: Deployment) -> Capabilities | None:
        engine = rooms.engines.opened(deployment.id)
        return None if engine is None else engine.capabilities

    return abilities
