"""Puts a run's steps into the sink in order, and holds them back while the run is paused."""

from collections import deque

from tokenbooth.core.delta import Delta, RunEnd
from tokenbooth.core.problem import Problem
from tokenbooth.engines.port import DeltaSink


class Nobody:
    """Hears the steps of a run that is over; who heard them before is held no longer."""

    def delta(self, delta: Delta) -> None:
        """Nobody cares."""

    def ended(self, end: RunEnd) -> None:
        """Nobody cares."""

    def failed(self, problem: Problem) -> None:
        """Nobody cares."""


NOBODY = Nobody()


class Outbox:
    """Exactly one terminal step leaves it, after every delta that was put in before.

    What is held back is bounded by the turn's output. ``terminal`` is the step that stands ready.
    """

    def __init__(self, sink: DeltaSink) -> None:
        self._sink: DeltaSink = sink
        self._held: deque[Delta] = deque()
        self.terminal: RunEnd | Problem | None = None
        self._muted = False
        self.paused = False
        self.over = False

    @property
    def sealed(self) -> bool:
        """Nothing more may be put in."""
        return self.over or self._muted or self.terminal is not None

    def push(self, delta: Delta) -> None:
        if self.sealed:
            return
        if self.paused or self._held:
            self._held.append(delta)
        else:
            self._sink.delta(delta)

    def finish(self, terminal: RunEnd | Problem) -> bool:
        """True when the terminal step left at once, or had left before."""
        if not self.sealed:
            self.terminal = terminal
            self.release()
        return self.over

    def mute(self) -> None:
        """Let out nothing more but what ``end`` is given."""
        self._muted = True
        self._held.clear()

    def release(self) -> bool:
        """Let out what may go; True when the terminal step is out."""
        while self._held and not self.paused and not self.over:
            self._sink.delta(self._held.popleft())
        if self.terminal is not None and not (self.paused or self._muted or self.over):
            self.end(self.terminal)
        return self.over

    def end(self, terminal: RunEnd | Problem) -> None:
        """Drop what is held back and end now."""
        if self.over:
            return
        self.over = True
        self._held.clear()
        sink, self._sink = self._sink, NOBODY
        if isinstance(terminal, Problem):
            sink.failed(terminal)
        else:
            sink.ended(terminal)
