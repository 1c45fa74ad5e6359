"""A run in the gateway: puts what the child says into the sink, in order, pausable."""

from collections import deque
from collections.abc import Callable

from tokenbooth.core.delta import Delta, RunEnd, Usage
from tokenbooth.core.problem import Problem
from tokenbooth.engines.port import DeltaSink

NOTHING_DONE = Usage(input_tokens=0, output_tokens=0)


class ChildRun:
    """Satisfies ``tokenbooth.engines.port.Run``.

    What is held back while paused is bounded by the turn's output. ``stop`` is called once when the
    caller cancels; it returns False when the child never heard of the run.
    """

    def __init__(self, number: int, sink: DeltaSink, stop: Callable[["ChildRun"], bool]) -> None:
        self.number = number
        self._sink = sink
        self._stop = stop
        self._held: deque[Delta] = deque()
        self._terminal: RunEnd | Problem | None = None
        self._paused = False
        self._over = False
        self.cancelled = False

    def cancel(self) -> None:
        if self.cancelled or self._over:
            return
        self.cancelled = True
        self._held.clear()
        terminal = self._terminal
        if terminal is not None:
            self._end(terminal)
        elif not self._stop(self):
            self._end(RunEnd(NOTHING_DONE, cancelled=True))

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        while self._held and not self._paused and not self._over:
            self._sink.delta(self._held.popleft())
        if self._terminal is not None and not self._held and not self._paused:
            self._end(self._terminal)

    def push(self, delta: Delta) -> None:
        if self.cancelled or self._over or self._terminal is not None:
            return
        if self._paused or self._held:
            self._held.append(delta)
        else:
            self._sink.delta(delta)

    def finish(self, terminal: RunEnd | Problem) -> None:
        if self._over or self._terminal is not None:
            return
        self._terminal = terminal
        if self.cancelled or not (self._paused or self._held):
            self._end(terminal)

    def drop(self, problem: Problem) -> None:
        """Fail now, whatever is held back."""
        self._held.clear()
        self._end(problem)

    def _end(self, terminal: RunEnd | Problem) -> None:
        if self._over:
            return
        self._over = True
        if isinstance(terminal, Problem):
            self._sink.failed(terminal)
        else:
            self._sink.ended(terminal)
