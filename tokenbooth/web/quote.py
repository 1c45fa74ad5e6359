"""``POST /v1/quote``: what a body would cost, in the account API's own words."""

from collections.abc import Mapping

from tokenbooth.admission.queue.service import Gate
from tokenbooth.admission.rates import service as rates
from tokenbooth.control.documents import Json, price_json
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Sink
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.quote import Quote, QuotedLimit, quote
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.protocols.dialect import Answer, Dialect
from tokenbooth.protocols.problems import own_refusal
from tokenbooth.protocols.receipts import amount_json, limit_json
from tokenbooth.web.answers import json_answer
from tokenbooth.web.endpoint import Endpoint
from tokenbooth.web.free_turn import free_turn
from tokenbooth.web.query import only

QUOTES_AT_ONCE = 4
QUOTES_QUEUE_MAX = 64


def quote_endpoint(rooms: Rooms, dialects: Mapping[str, Dialect], default: str) -> Endpoint:
    """Rate limits do not count a quote, so only a few are worked on at once."""
    turns = Gate(QUOTES_AT_ONCE, QUOTES_QUEUE_MAX)

    async def answered(op: Op, head: CallHead, body: Body) -> Answer:
        only(head.query, ("dialect",))
        dialect = _dialect(head.query.get("dialect", default), dialects)
        found = await quote(rooms, dialect, op, head, body, free_turn(turns, "quotes"))
        answer = json_answer(quote_json(found, dialect.name))
        limits = rates.headers(rooms.rates.state(found.caller))
        return Answer(answer.status, (*answer.headers, *limits), answer.body)

    async def endpoint(op: Op, head: CallHead, body: Body, sink: Sink) -> None:
        try:
            answer = await answered(op, head, body)
        except Problem as problem:
            answer = own_refusal(problem, op.request_id)
        sink.start(answer.status, answer.headers)
        sink.write(answer.body)
        sink.end()

    return endpoint


def _dialect(name: str, dialects: Mapping[str, Dialect]) -> Dialect:
    found = dialects.get(name)
    if found is None:
        listed = ", ".join(sorted(dialects))
        raise Problem(
            Code.INVALID_VALUE,
            f"{name[:80]!r} is not a dialect of this booth; known: {listed}.",
            param="dialect",
        )
    return found


def quote_json(found: Quote, dialect: str) -> Json:
    """``hold`` is null where the call would be refused, and ``refusal`` says why."""
    sized, refusal = found.sized, found.refusal
    return {
        "object": "quote",
        "model": found.model,
        "dialect": dialect,
        "currency": found.price.currency,
        "price": price_json(found.price),
        "tier": found.price.tier.value,
        "data_terms": found.price.data_terms.value,
        "input_tokens": found.input_tokens,
        "input_tokens_exact": found.input_exact,
        "choices": found.choices,
        "output_tokens_max": found.output_tokens_max,
        "output_limit_stated": found.stated,
        "worst_case": amount_json(found.worst_case_nano),
        "fits": found.fits,
        "affordable_output_tokens": found.affordable_output_tokens,
        "hold": None if sized is None else amount_json(sized.amount_nano),
        "lowered_output_tokens_max": (
            sized.output_tokens_max if sized is not None and sized.lowered else None
        ),
        "refusal": None if refusal is None else _refusal_json(refusal),
        "limits": [_limit_json(limit, found.price.currency) for limit in found.limits],
    }


def _limit_json(limit: QuotedLimit, currency: str) -> Json:
    return {
        **limit_json(limit.state, currency),
        "fits": limit.fits,
        "affordable_output_tokens": limit.affordable_output_tokens,
    }


def _refusal_json(refusal: Problem) -> Json:
    return {
        "code": refusal.code.text,
        "message": refusal.public,
        "retry_after_s": refusal.retry_after_s,
        **refusal.facts,
    }
