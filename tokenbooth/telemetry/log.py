"""The log of an instance: structured events, written by a thread of their own.

Serving only appends to a bounded queue in memory. A reader that is slow, full or gone costs log
lines, never calls; how many were lost is said as soon as there is room again.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol, TextIO

from tokenbooth.telemetry.lines import Field, error_fields, json_line

QUEUE_LINES_MAX = 10_000
CLOSE_WAIT_S = 2.0
GATHER_S = 0.02
DEBUG, INFO, WARNING, ERROR = "debug", "info", "warning", "error"
LEVELS = (DEBUG, INFO, WARNING, ERROR)

Layout = Callable[[int, str, str, dict[str, Field]], str]


class LineSink(Protocol):
    """Takes finished lines; never blocks and never raises."""

    @property
    def lost(self) -> int:
        """Lines that could not be written, since the start."""

    def put(self, line: str) -> bool:
        """Whether the line was taken."""


class LineWriter:
    """Writes lines to a text stream from a daemon thread, which starts at the first line.

    The thread is woken once for all lines of the next ``GATHER_S``: waking it for each would cost
    more than the lines. A line is lost when the queue is full, the stream is broken or the writer
    is closed.
    """

    def __init__(self, stream: TextIO, *, lines_max: int = QUEUE_LINES_MAX) -> None:
        self._stream = stream
        self._lines_max = lines_max
        self._lines: deque[str] = deque()
        self._lock = threading.RLock()  # a finalizer may log while its thread is in here
        self._changed = threading.Condition(self._lock)
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._idle = False
        self._writing = False
        self._closed = False
        self._lost = 0

    @property
    def lost(self) -> int:
        return self._lost

    def put(self, line: str) -> bool:
        with self._lock:
            if self._closed or len(self._lines) >= self._lines_max:
                self._lost += 1
                return False
            self._lines.append(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            if self._idle:
                self._idle = False
                self._changed.notify_all()
            return True

    def flush(self, wait_max_s: float = CLOSE_WAIT_S) -> bool:
        """Wait until everything put so far is written; False when that took too long."""
        self._hurry.set()
        with self._changed:
            return self._changed.wait_for(lambda: not self._lines and not self._writing, wait_max_s)

    def close(self, wait_max_s: float = CLOSE_WAIT_S) -> bool:
        """Write what waits, within a bound, and take no more lines."""
        written = self.flush(wait_max_s)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        return written

    def _run(self) -> None:
        while True:
            with self._changed:
                self._idle = not self._lines
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
            self._hurry.wait(GATHER_S)
            self._hurry.clear()
            with self._changed:
                batch = list(self._lines)
                self._lines.clear()
                self._writing = True
            written = self._write(batch)
            with self._changed:
                self._writing = False
                self._lost += 0 if written else len(batch)
                self._changed.notify_all()

    def _write(self, batch: list[str]) -> bool:
        """ValueError is what a closed stream raises; UnicodeError is one of its kinds."""
        try:
            self._stream.write("".join(f"{line}\n" for line in batch))
            self._stream.flush()
        except (OSError, ValueError):
            return False
        return True


class JsonLog:
    """Satisfies ``core.op.Log``; ``layout`` may be ``text_line`` for a terminal.

    ``event`` has the level info, ``fault`` the level error; below ``level`` nothing is written.
    """

    def __init__(
        self,
        lines: LineSink,
        now_us: Callable[[], int],
        *,
        level: str = INFO,
        layout: Layout = json_line,
    ) -> None:
        self._lines = lines
        self._now_us = now_us
        self._floor = LEVELS.index(level)
        self._layout = layout
        self._lost_told = 0

    def event(self, name: str, **fields: str | int | bool | None) -> None:
        self._line(INFO, name, fields)

    def fault(
        self, name: str, error: BaseException | None = None, **fields: str | int | bool | None
    ) -> None:
        told = fields if error is None else error_fields(error) | fields
        self._line(ERROR, name, told)

    def _line(self, level: str, name: str, fields: dict[str, Field]) -> None:
        if LEVELS.index(level) < self._floor:
            return
        if (lost := self._lines.lost) > self._lost_told:
            told = self._layout(self._now_us(), ERROR, "log_lines_lost", {"total": lost})
            if self._lines.put(told):
                self._lost_told = lost
        self._lines.put(self._layout(self._now_us(), level, name, fields))
