"""How long a prompt is: steps 1 to 4 without a price, and then no call."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead
from tokenbooth.gateway.door import let_in
from tokenbooth.gateway.grant import Reader, check_allowed, weighed
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.serve import authenticate
from tokenbooth.gateway.turn_reading import turn_read
from tokenbooth.protocols.dialect import Dialect, Parsed


@dataclass(frozen=True, slots=True)
class Counted:
    """``input_exact`` is False where an engine knows no more than an upper bound."""

    caller: Caller
    parsed: Parsed
    input_tokens: int
    input_exact: bool


async def count(
    rooms: Rooms,
    dialect: Dialect,
    op: Op,
    head: CallHead,
    body: Body,
    turn: AbstractAsyncContextManager[None],
) -> Counted:
    """Read, parse and count the body as a call would; also one that fits no context window.

    As with a quote, the work happens inside ``turn`` and the wait for the caller outside. Raises
    what the first four steps and ``turn`` raise, and nothing for want of money or of a price.
    """
    caller = await authenticate(rooms, op, head, Scope.INFERENCE)
    raw = await body.read(rooms.options.body_bytes_max)
    async with turn:
        parsed = await turn_read(dialect, raw)
        check_allowed(caller, parsed.turn.model)
        offered = await rooms.directory.model(op, parsed.turn.model)
        if offered.door is not None:
            caller, _ = await let_in(
                rooms.directory, op, dialect, caller, parsed.turn, offered.door
            )
        parsed = await rooms.responses.recalled(op, caller, parsed)
        with rooms.media.basket() as basket:
            reader = Reader(caller, basket)
            found = await weighed(rooms, op, dialect, parsed, offered.model, reader)
    return Counted(caller, found.parsed, found.input_tokens, found.input_exact)
