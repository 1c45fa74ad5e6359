"""A run in the gateway: puts what the child says into the sink, in order, pausable."""

from collections.abc import Callable

from tokenbooth.core.delta import Delta, RunEnd, Usage
from tokenbooth.core.problem import Problem
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
        self.cancelled = False

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
