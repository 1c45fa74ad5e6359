"""How long a prompt is, in the words of its dialect: ``POST /v1/messages/count_tokens`` and
``POST /v1/responses/input_tokens``."""

from tokenbooth.admission.queue.service import Gate
from tokenbooth.admission.rates import service as rates
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Sink
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.count import count
from tokenbooth.gateway.headers import note_headers
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.protocols.dialect import Answer, Dialect
from tokenbooth.web.answers import json_answer
from tokenbooth.web.endpoint import Endpoint
from tokenbooth.web.free_turn import free_turn

COUNTS_AT_ONCE = 4
COUNTS_QUEUE_MAX = 64


def count_endpoint(rooms: Rooms, dialect: Dialect, kind: str | None = None) -> Endpoint:
    """``kind`` is the ``object`` of the answer, where the dialect has one. Any query parameter is
    let pass: clients name their betas there."""
    turns = Gate(COUNTS_AT_ONCE, COUNTS_QUEUE_MAX)

    async def answered(op: Op, head: CallHead, body: Body) -> Answer:
        found = await count(rooms, dialect, op, head, body, free_turn(turns, "token counts"))
        answer = json_answer(
            {
                **({} if kind is None else {"object": kind}),
                "input_tokens": found.input_tokens,
                "input_tokens_exact": found.input_exact,
            }
        )
        limits = rates.headers(rooms.rates.state(found.caller))
        noted = note_headers(found.parsed.notes)
        return Answer(answer.status, (*answer.headers, *noted, *limits), answer.body)

    async def endpoint(op: Op, head: CallHead, body: Body, sink: Sink) -> None:
        try:
            answer = await answered(op, head, body)
        except Problem as problem:
            answer = dialect.refusal(problem, op.request_id)
        sink.start(answer.status, answer.headers)
        sink.write(answer.body)
        sink.end()

    return endpoint
