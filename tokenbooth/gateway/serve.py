"""The life of one call: one function, ten steps, in this order for every dialect."""

from dataclasses import replace
from functools import partial

from tokenbooth.access.keys import service as keys
from tokenbooth.core.caller import Caller, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Sink
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.admitted import Admitted
from tokenbooth.gateway.call_cover import CallCover
from tokenbooth.gateway.grant import Grant, check_allowed, gate
from tokenbooth.gateway.headers import strict_of
from tokenbooth.gateway.held import HeldCall
from tokenbooth.gateway.kept import NOTHING, Kept
from tokenbooth.gateway.prefixes import with_session
from tokenbooth.gateway.replay import FREELY
from tokenbooth.gateway.reply import Reply
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.route import Course, run
from tokenbooth.gateway.turn_reading import turn_read
from tokenbooth.money.leases.service import Hold, HoldAsk
from tokenbooth.protocols.dialect import Dialect
from tokenbooth.safety.screening import service as screening


async def serve(
    rooms: Rooms, dialect: Dialect, op: Op, head: CallHead, body: Body, sink: Sink
) -> None:
    """Answer one inference call; every way out ends the sink exactly once.

    Problems become the dialect's own errors. Runs in a task that is not cancelled with the
    caller's connection, so that what was held is always resolved.
    """
    reply, once, kept = Reply(dialect, op, sink, rooms.metrics), FREELY, NOTHING
    basket = rooms.media.basket()
    try:
        caller = await authenticate(rooms, op, head, Scope.INFERENCE)  # 1
        reply.rates_known(partial(rooms.rates.state, caller))
        raw = await body.read(rooms.options.body_bytes_max)  # 2 receive
        parsed = with_session(await turn_read(dialect, raw), head.headers)  # 3 parse
        if parsed.turn.end_customer is not None:
            caller = replace(caller, end_customer=parsed.turn.end_customer)
        op = op.by(caller)
        check_allowed(caller, parsed.turn.model)
        once = await rooms.replays.claimed(op, head, raw)  # 3, with an idempotency key
        if await once.replay(sink):
            return
        reply.through(once)
        if parsed.turn.media:
            rooms.rates.check(caller)  # before anything is fetched for it
        grant = await gate(rooms, op, dialect, caller, parsed, basket)  # 4
        async with Admitted(rooms, op, grant, sink) as admission:  # 5 admit
            grant = admission.grant
            reply.rated(rooms.rates.state(caller))
            screen(rooms, grant)  # 6
            kept = await keeping(rooms, op, grant)
            reply.through(kept)
            hold = await rooms.till.hold(op, hold_ask(rooms, op, grant, head))  # 7
            admission.counts()
            course = begun(rooms, op, grant, hold, reply, kept)
            kept.began(reply.headers)
            async with HeldCall(rooms, op, grant, course.relay, op.now()) as call:  # 10, on leaving
                await run(rooms, grant, course, admission.seat)  # 8, 9
            admission.used(call.tokens_used)
        last_words = await kept.stored(call.receipt, partial(call.answer, reply))
        await once.answer(call.receipt, last_words)
    except Problem as problem:
        await once.refused(held=reply.begun)
        reply.refuse(problem)
        await kept.refused(held=reply.begun)
    finally:
        once.close()
        reply.close()
        kept.close()
        basket.close()


async def authenticate(rooms: Rooms, op: Op, head: CallHead, scope: Scope) -> Caller:
    """Headers to Caller. Raises a problem of kind unauthenticated or forbidden."""
    secret = keys.offered_secret(head.headers)
    caller = await rooms.directory.caller(op, secret)
    if scope not in caller.scopes:
        raise Problem(Code.SCOPE_MISSING, f"This key does not carry the scope `{scope.value}`.")
    return caller


async def keeping(rooms: Rooms, op: Op, grant: Grant) -> Kept:
    """What becomes of the response; one that runs in the background is stored from here on."""
    memory = grant.parsed.memory
    if memory is not None and memory.background:
        return await rooms.background.opened(op, grant.parsed)
    return rooms.responses.kept(op, grant.parsed)


def screen(rooms: Rooms, grant: Grant) -> None:
    """Raises CONTENT_BLOCKED with the reason that the operator gave."""
    verdict = screening.screen(rooms.policy, grant.parsed.turn)
    if not verdict.allowed:
        raise Problem(Code.CONTENT_BLOCKED, verdict.reason, param="messages")


def hold_ask(rooms: Rooms, op: Op, grant: Grant, head: CallHead) -> HoldAsk:
    """What the call needs money for, and whether its output limit may be lowered."""
    turn = grant.parsed.turn
    return HoldAsk(
        request_id=op.request_id,
        caller=grant.caller,
        model=turn.model,
        price=grant.price,
        input_tokens=grant.input_tokens,
        output_tokens_max=grant.output_tokens_max,
        choices=turn.choices,
        stream=grant.parsed.stream,
        stated=turn.output_tokens_max is not None,
        strict=strict_of(head.headers),
        step_tokens=rooms.till_options.output_step_tokens,
    )


def begun(rooms: Rooms, op: Op, grant: Grant, hold: Hold, reply: Reply, kept: Kept) -> Course:
    """The answer's relay with the money under it."""
    grows = grant.parsed.turn.output_tokens_max is None
    cover = CallCover(
        rooms.till.running,
        hold,
        rooms.till_options,
        grows=grows,
        exact=grant.input_exact,
        now=op.now,
    )
    return Course(hold, reply.begin(grant, hold, kept.delivering(cover.delivered)), cover)
