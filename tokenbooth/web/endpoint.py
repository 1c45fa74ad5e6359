"""Puts an account route behind authentication and gives it the edge's shape."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from tokenbooth.admission.rates import service as rates
from tokenbooth.core.caller import Scope
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Sink
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.gateway.serve import authenticate
from tokenbooth.protocols.dialect import Answer
from tokenbooth.protocols.problems import own_refusal
from tokenbooth.web.rooms import Others
from tokenbooth.web.streaming import StreamAnswer, pour

Ask = Callable[[Op, CallHead], Awaitable[Answer | StreamAnswer]]
Endpoint = Callable[[Op, CallHead, Body, Sink], Awaitable[None]]


def account_endpoint(
    rooms: Rooms, scope: Scope | None, ask: Ask, others: Others | None = None
) -> Endpoint:
    """``scope`` is ``None`` for what anybody may read; the others see their limits in headers.

    ``others`` may have charged what the answer is to show.
    """

    async def endpoint(op: Op, head: CallHead, body: Body, sink: Sink) -> None:
        limits: tuple[tuple[str, str], ...] = ()
        try:
            if scope is not None:
                caller = await authenticate(rooms, op, head, scope)
                limits = rates.headers(rooms.rates.state(caller))
                op = replace(op, caller=caller)
                await rooms.till.flushed()
                if others is not None:
                    await others.flushed()
            answer = await ask(op, head)
        except Problem as problem:
            answer = own_refusal(problem, op.request_id)
        if isinstance(answer, StreamAnswer):
            await pour(op, sink, answer, limits)
            return
        sink.start(answer.status, (*answer.headers, *limits))
        sink.write(answer.body)
        sink.end()

    return endpoint
