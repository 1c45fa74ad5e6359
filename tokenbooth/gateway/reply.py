"""The way back to one caller: ends the sink exactly once, whatever happened."""

from collections.abc import Callable

from tokenbooth.admission.rates import service as rates
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Sink
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.grant import Grant
from tokenbooth.gateway.headers import (
    Pairs,
    hold_headers,
    lowered_header,
    note_headers,
    prefix_headers,
)
from tokenbooth.gateway.kept import Kept, Tell
from tokenbooth.gateway.relay import Relay
from tokenbooth.gateway.replay import Once
from tokenbooth.money.leases.service import Hold
from tokenbooth.protocols.dialect import Answer, AnswerFrame, Dialect
from tokenbooth.telemetry.metrics import Metrics

ANTHROPIC = "anthropic_messages"


class Reply:
    """Refuses in the caller's dialect, with the headers that are known so far."""

    def __init__(self, dialect: Dialect, op: Op, sink: Sink, metrics: Metrics) -> None:
        self._metrics = metrics
        self._dialect = dialect
        self._op = op
        self._sink = sink
        self._relay: Relay | None = None
        self._rates: Callable[[], rates.RateState] | None = None
        self._told: Pairs = ()

    @property
    def begun(self) -> bool:
        """Whether money was held for the call."""
        return self._relay is not None

    @property
    def headers(self) -> Pairs:
        """What is known so far."""
        if self._rates is not None:
            self.rated(self._rates())
        return self._told

    def rates_known(self, state: Callable[[], rates.RateState]) -> None:
        """Ask what the rate limits leave if an answer goes out before ``rated``."""
        self._rates = state

    def rated(self, state: rates.RateState) -> None:
        """Tell what the rate limits leave, under the names that clients of the dialect read."""
        self._rates = None
        self._told = rates.headers(state)
        if self._dialect.name == ANTHROPIC:
            self._told += rates.anthropic_headers(state, self._op.now())

    def through(self, keeper: Once | Kept) -> None:
        """Write by way of what remembers the answer."""
        self._sink = keeper.tee(self._sink)

    def begin(self, grant: Grant, hold: Hold, delivered: Tell) -> Relay:
        """The relay that the run pushes to; from now on it knows whether the answer has begun."""
        parsed = grant.parsed
        self._told = (
            *self.headers,
            *note_headers(parsed.notes),
            *grant.notices,
            *lowered_header(hold.output_tokens_max, hold.clamped_by),
            *(() if parsed.turn.embedding else prefix_headers(grant.match)),
        )
        shaped = grant.shape.headers(None, None)
        frame = AnswerFrame(
            request_id=self._op.request_id,
            created_s=self._op.now() // 1_000_000,
            model=parsed.turn.model,
            input_tokens=grant.input_tokens if grant.input_exact else 0,
            now=self._op.now,
        )
        self._relay = Relay(
            self._dialect.writer(parsed, frame),
            self._sink,
            stream_headers=self._begun(grant, hold, shaped) if parsed.stream else None,
            output_tokens_max=hold.output_tokens_max * parsed.turn.choices,
            delivered=delivered,
            now=self._op.now,
        )
        self._relay.shape_headers = shaped
        return self._relay

    def _begun(self, grant: Grant, hold: Hold, shaped: Pairs) -> Pairs:
        """The headers of a stream, which begins with its first output."""
        currency, limit = grant.price.currency, hold.output_tokens_max
        return (*self._told, *shaped, *hold_headers(hold.amount_nano, hold.limits, limit, currency))

    def close(self) -> None:
        """An answer that has begun gets its terminal event even if the call broke on the way."""
        if self._relay is not None and not self._relay.closed:
            public = f"A fault of the server; quote the request id {self._op.request_id}."
            self.refuse(Problem(Code.INTERNAL, public))

    def refuse(self, problem: Problem) -> None:
        """Before the hold the call never was; after it, it is one that failed."""
        if self._relay is None:
            self._metrics.call_refused(problem.code.text)
        self._op.log.event(
            "call_refused" if self._relay is None else "call_failed",
            request_id=self._op.request_id,
            code=problem.code.text,
            param=_logged(problem),
            detail=problem.detail or None,
        )
        answer = self._dialect.refusal(problem, self._op.request_id)
        answer = Answer(answer.status, (*answer.headers, *self.headers), answer.body)
        if self._relay is not None:
            self._relay.refuse(problem, answer)
        else:
            self._sink.start(answer.status, answer.headers)
            self._sink.write(answer.body)
            self._sink.end()


def _logged(problem: Problem) -> str | None:
    """The field of ours that ``param`` begins with: what follows, and the names in a body that
    could not be read, are the caller's own words."""
    if problem.param is None or problem.code is Code.MALFORMED_JSON:
        return None
    return problem.param.partition(".")[0].partition("[")[0]
