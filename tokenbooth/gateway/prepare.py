"""A conversation made ready on a socket: steps 1 to 4, and no call. Nothing runs, nothing costs."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from tokenbooth.core.caller import Caller
from tokenbooth.core.delta import RunEnd, Usage
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead
from tokenbooth.gateway.count import count
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.protocols.dialect import AnswerFrame, Dialect, Note
from tokenbooth.protocols.openai_responses import memory as words


@dataclass(frozen=True, slots=True)
class Prepared:
    """``events`` tell of a response that is over and says nothing."""

    caller: Caller
    notes: tuple[Note, ...]
    events: bytes


async def prepare(
    rooms: Rooms,
    dialect: Dialect,
    op: Op,
    head: CallHead,
    body: Body,
    turn: AbstractAsyncContextManager[None],
) -> Prepared:
    """Remembered by the socket alone, so the response says that it is not stored.

    Raises what a count raises.
    """
    counted = await count(rooms, dialect, op, head, body, turn)
    parsed = replace(counted.parsed, echo={**counted.parsed.echo, "store": False})
    frame = AnswerFrame(op.request_id, op.now() // 1_000_000, parsed.turn.model, now=op.now)
    events = dialect.writer(parsed, frame).closing(RunEnd(usage=Usage(0, 0)), None)
    response = words.final_of(events)
    assert response is not None, "a closing ends with the response"
    rooms.responses.prepared(op, parsed, response)
    return Prepared(counted.caller, parsed.notes, events)
