"""The life of one call: one function, ten steps, in this order for every dialect."""

from dataclasses import replace

from tokenbooth.access.keys import service as keys
from tokenbooth.admission.rates import service as rates
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Sink
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.admitted import admitted
from tokenbooth.gateway.grant import Grant, gate
from tokenbooth.gateway.held import HeldCall, unheld
from tokenbooth.gateway.reply import Reply
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.route import run
from tokenbooth.money.ledger import service as ledger
from tokenbooth.protocols.dialect import Dialect
from tokenbooth.safety.screening import service as screening


async def serve(
    rooms: Rooms, dialect: Dialect, op: Op, head: CallHead, body: Body, sink: Sink
) -> None:
    """Answer one inference call; every way out ends the sink exactly once.

    Problems become the dialect's own errors. Runs in a task that is not cancelled with the
    caller's connection, so that what was held is always resolved.
    """
    reply = Reply(dialect, op, sink, rooms.metrics)
    try:
        caller = await authenticate(rooms, op, head, Scope.INFERENCE)  # 1
        reply.headers = rates.headers(rooms.rates.state(caller))
        raw = await body.read(rooms.options.body_bytes_max)  # 2 receive
        parsed = dialect.parse(raw)  # 3 parse
        caller = replace(caller, end_customer=parsed.turn.end_customer)
        op = replace(op, caller=caller)
        grant = await gate(rooms, op, dialect, caller, parsed)  # 4
        async with admitted(rooms, grant, sink) as admission:  # 5 admit
            reply.headers = rates.headers(rooms.rates.state(caller))
            screen(rooms, grant)  # 6
            hold = await take_hold(rooms, op, grant)  # 7
            admission.counts()
            relay = reply.begin(grant, hold)
            async with HeldCall(rooms, op, grant, relay, op.now()) as call:  # 10 settle, on leaving
                await run(rooms, grant, relay, hold.output_tokens_max, admission.seat)  # 8, 9
            admission.used(call.tokens_used)
        call.answer(reply)
    except Problem as problem:
        reply.refuse(problem)
    finally:
        reply.close()


async def authenticate(rooms: Rooms, op: Op, head: CallHead, scope: Scope) -> Caller:
    """Headers to Caller. Raises a problem of kind unauthenticated or forbidden."""
    secret = keys.secret_from(head.headers)
    caller = await rooms.store.read(lambda tx: keys.authenticate(op, tx, secret, rooms.pepper))
    if scope not in caller.scopes:
        raise Problem(Code.SCOPE_MISSING, f"This key does not carry the scope `{scope.value}`.")
    return caller


def screen(rooms: Rooms, grant: Grant) -> None:
    """Raises CONTENT_BLOCKED with the reason that the operator gave."""
    verdict = screening.screen(rooms.policy, grant.parsed.turn)
    if not verdict.allowed:
        raise Problem(Code.CONTENT_BLOCKED, verdict.reason, param="messages")


async def take_hold(rooms: Rooms, op: Op, grant: Grant) -> ledger.Hold:
    """Hold the worst case at every level, in one transaction."""
    turn = grant.parsed.turn
    ask = ledger.HoldAsk(
        request_id=op.request_id,
        caller=grant.caller,
        model=turn.model,
        price=grant.price,
        input_tokens=grant.input_tokens,
        output_tokens_max=grant.output_tokens_max,
        choices=turn.choices,
        replica_id=rooms.replica_id,
        stream=grant.parsed.stream,
    )
    try:
        return await rooms.store.write(lambda tx: ledger.hold(op, tx, ask))
    except Problem as problem:
        if problem.code is Code.LEDGER_UNAVAILABLE:
            # A commit whose answer was lost may have taken the money all the same.
            rooms.settler.later(op, unheld(op))
        raise
