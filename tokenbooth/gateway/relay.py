"""Steps 8 and 9 of one call: deltas in, wire bytes out, with every way to end."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from tokenbooth.core.codes import Kind
from tokenbooth.core.delta import Delta, RunEnd
from tokenbooth.core.noun import noun
from tokenbooth.core.ports import Sink
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.engines.bounds import delta_tokens_max
from tokenbooth.engines.port import Run
from tokenbooth.gateway.bell import Bell
from tokenbooth.gateway.rules import Delivery, shown_fingerprint
from tokenbooth.protocols.dialect import Answer, Writer


@noun
class Ended:
    """How the run ended; ``problem`` is what the caller is told, ``None`` when all went well."""

    outcome: Outcome
    end: RunEnd | None
    problem: Problem | None


class Relay:
    """Listens to an engine's run and to the caller's sink, and joins the two.

    The first thing that ends the call decides its outcome. Nothing but the terminal event is ever
    held back, and nothing is written after it.
    """

    def __init__(
        self,
        writer: Writer,
        sink: Sink,
        *,
        stream_headers: Sequence[tuple[str, str]] | None,
        output_tokens_max: int,
        delivered: Callable[[Delivery, int | None], None],
        now: Callable[[], int],
    ) -> None:
        """``stream_headers`` is ``None`` for an answer that is sent whole; ``output_tokens_max``
        bounds all choices together. ``delivered`` hears what has left a stream, and when that
        began, after each step."""
        self._writer = writer
        self._sink = sink
        self._stream_headers = stream_headers
        self._output_tokens_max = output_tokens_max
        self._delivered = delivered
        self._now = now
        self._run: Run | None = None
        self._ended: Ended | None = None
        self._bell = Bell(asyncio.get_running_loop())
        self.counted = self._uncounted_bytes = self._bytes = 0
        self._slowed = self._let_go = self.closed = False
        self._written_at_us = now()
        self.first_output_us: int | None = None
        self.deployment_id: str | None = None
        self.heard_first: Callable[[], None] = _unheard
        self.shape_headers: tuple[tuple[str, str], ...] = ()
        sink.listen(self)

    # What the run pushes.

    def delta(self, delta: Delta) -> None:
        if self._ended is not None:
            return
        if self.first_output_us is None:
            self.first_output_us = self._now()
            self.heard_first()
        if self.counted + delta.output_tokens > self._output_tokens_max:
            # The engine went past the limit that the money bought: the rest is not the caller's.
            self._cut(Outcome.COMPLETED)
            return
        self._count(delta)
        self._write(self._writer.delta(delta))
        if self._stream_headers is not None:
            self._delivered(self.delivery, self.first_output_us)

    def ended(self, end: RunEnd) -> None:
        self._released()
        if self._ended is None:
            shown = shown_fingerprint(end.fingerprint)
            if shown != end.fingerprint:
                end = replace(end, fingerprint=shown)
            self._end(Outcome.COMPLETED, end, None)
        else:
            self._bell.ring()

    def failed(self, problem: Problem) -> None:
        self._released()
        if self._ended is None:
            self._end(outcome_of(problem), None, problem)
        else:
            self._bell.ring()

    # What the caller's side says.

    def gone(self) -> None:
        self.stop(Outcome.CLIENT_GONE, None)

    def pressure(self, high: bool) -> None:
        self._slowed = True
        if self._run is not None:
            (self._run.pause if high else self._run.resume)()

    # What the ten steps say.

    def attach(self, run: Run) -> None:
        """The run that feeds this relay; cancelled at once if the call is already over."""
        self._run = run
        if self._ended is not None:
            run.cancel()

    def stop(self, outcome: Outcome, problem: Problem | None) -> None:
        """End the call from outside and tell the engine; the first end wins."""
        if self._ended is None:
            self._end(outcome, None, problem)
            if self._run is not None:
                self._run.resume()
                self._run.cancel()

    def retry(self) -> bool:
        """Forget a failure that came before any output; False when it is too late for that."""
        failed = self._ended is not None and self._ended.outcome is Outcome.ENGINE_FAILED
        if not failed or self.first_output_us is not None or self._sink.started:
            return False
        self._ended, self._let_go, self._run = None, False, None
        return True

    async def wait_end(self, wait_max_s: float) -> bool:
        """Wait until something ends the call; False when nothing did in time."""
        if self._ended is None:
            await self._bell.heard(wait_max_s)
        return self._ended is not None

    async def wait_over(self, wait_max_s: float) -> bool:
        """Wait until the engine has let go of the run; False when it did not in time."""
        if self._run is None:
            return True
        if not self._let_go:
            await self._bell.heard(wait_max_s)
        return self._let_go

    @property
    def result(self) -> Ended | None:
        return self._ended

    @property
    def output_tokens(self) -> int:
        """Output so far by the engine's count, and by the documented bound where it has none."""
        return self.counted + self._uncounted_bytes

    def cut_by_money(self) -> None:
        """The answer ends here, well and early: there is no more money to hold."""
        if self._ended is None:
            self._cut(Outcome.CAP_REACHED)

    @property
    def delivery(self) -> Delivery:
        """What left towards the caller; a whole answer leaves only when it ends well, which it
        also does where the money cut it short."""
        capped = self._ended is not None and self._ended.outcome is Outcome.CAP_REACHED
        if self._stream_headers is None and not capped:
            return Delivery(produced_bytes=self._bytes)
        return Delivery(self.counted, self._uncounted_bytes, self._bytes, self._slowed)

    def beat(self, quiet_us: int) -> None:
        """Write a comment if nothing was written for ``quiet_us``."""
        if self._ended is None and self._now() - self._written_at_us >= quiet_us:
            self._write(self._writer.heartbeat())

    def finish(self, end: RunEnd, receipt: Receipt, headers: Sequence[tuple[str, str]]) -> None:
        """Write the rest with the terminal event; ``headers`` are those of a whole answer."""
        rest = self._writer.closing(end, receipt)
        if not self._sink.started:
            self._start(headers if self._stream_headers is None else self._stream_headers)
        self._sink.write(rest)
        self.hang_up()

    def refuse(self, problem: Problem, answer: Answer) -> None:
        """End with an error: as an answer of its own, or in-band when one has begun."""
        if self._sink.started:
            self._sink.write(self._writer.problem(problem))
        else:
            self._sink.start(answer.status, answer.headers)
            self._sink.write(answer.body)
        self.hang_up()

    def hang_up(self) -> None:
        """End the sink; without more, that of a reader that is gone."""
        self.closed = True
        self._sink.end()

    def _end(self, outcome: Outcome, end: RunEnd | None, problem: Problem | None) -> None:
        self._ended = Ended(outcome, end, problem)
        self._bell.ring()

    def _start(self, headers: Sequence[tuple[str, str]]) -> None:
        self._sink.start(200, (("content-type", self._writer.content_type), *headers))

    def _released(self) -> None:
        """The engine is done with the run; it and this relay hold each other no longer."""
        self._let_go = True
        self._run = None

    def _cut(self, outcome: Outcome) -> None:
        self._end(outcome, RunEnd(usage=None, cancelled=True), None)
        if self._run is not None:
            self._run.cancel()

    def _count(self, delta: Delta) -> None:
        size_bytes = delta_tokens_max(delta)
        self._bytes += size_bytes
        self.counted += delta.output_tokens
        self._uncounted_bytes += 0 if delta.output_tokens else size_bytes

    def _write(self, chunk: bytes) -> None:
        if self._stream_headers is None or not chunk:
            return
        if not self._sink.started:
            self._start(self._stream_headers)
        self._written_at_us = self._now()
        self._sink.write(chunk)


def _unheard() -> None:
    """Nobody waits for the first output."""


def outcome_of(problem: Problem) -> Outcome:
    """What a failure of the engine means for the call."""
    match problem.kind:
        case Kind.TIMEOUT:
            return Outcome.TIMED_OUT
        case Kind.UPSTREAM_FAILED | Kind.OVERLOADED | Kind.INTERNAL:
            return Outcome.ENGINE_FAILED
        case _:
            return Outcome.REFUSED
