"""A run in the gateway: puts what the child says into the sink, in order, pausable."""

from collections.abc import Callable

from tokenbooth.core.delta import Delta, FinishReason, RunEnd, TokenLogprob, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.engines.child.frames import Piece
from tokenbooth.engines.child.hearing import DEAF, Hearing
from tokenbooth.engines.outbox import Outbox
from tokenbooth.engines.port import DeltaSink

NOTHING_DONE = Usage(input_tokens=0, output_tokens=0)


class ChildRun:
    """Satisfies ``tokenbooth.engines.port.Run``.

    ``stop`` is called once when the caller cancels; it returns False when the child never heard of
    the run.
    """

    def __init__(self, number: int, sink: DeltaSink, stop: Callable[["ChildRun"], bool]) -> None:
        self.number = number
        self._outbox = Outbox(sink)
        self._stop = stop
        self._hearings: dict[int, Hearing] = {}
        self.ears = DEAF
        self.cancelled = False

    @property
    def reasoning_tokens(self) -> int:
        """Of all choices, thoughts only."""
        return sum(hearing.reasoning_tokens for hearing in self._hearings.values())

    def hear(self, piece: Piece) -> None:
        """Pass on what a piece of the model's text means."""
        hearing = self._hearings.get(piece.choice)
        if hearing is None:
            hearing = self._hearings[piece.choice] = Hearing(piece.choice, self.ears)
        logprobs = tuple(TokenLogprob(p.text, p.logprob, p.alternatives) for p in piece.logprobs)
        finish = None if piece.finish is None else FinishReason(piece.finish)
        for delta in hearing.take(piece.text, piece.output_tokens, logprobs, finish):
            self.push(delta)

    def cancel(self) -> None:
        if self.cancelled or self._outbox.over:
            return
        self.cancelled = True
        self._outbox.mute()
        terminal = self._outbox.terminal
        if terminal is None and not self._stop(self):
            terminal = RunEnd(NOTHING_DONE, cancelled=True)
        if terminal is not None:
            self._outbox.end(terminal)

    def pause(self) -> None:
        self._outbox.paused = True

    def resume(self) -> None:
        self._outbox.paused = False
        self._outbox.release()

    def push(self, delta: Delta) -> None:
        self._outbox.push(delta)

    def finish(self, terminal: RunEnd | Problem) -> None:
        if self.cancelled:
            self._outbox.end(terminal)
        else:
            self._outbox.finish(terminal)

    def drop(self, problem: Problem) -> None:
        """Fail now, whatever is held back."""
        self._outbox.end(problem)
