"""A child process whose output is kept and whose end is certain."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tokenbooth.config import VARIABLE_PREFIX, child_environment

TAIL_BYTES = 4000
STOP_WAIT_S = 40
LAST_WAIT_S = 10


class Child:
    """``with Child(...)``: started inside, ended on every way out.

    It leads a process group of its own, so that what it starts itself ends with it and a Ctrl-C in
    the terminal reaches only us.
    """

    def __init__(self, command: Sequence[str], log_path: Path, environ: Mapping[str, str]) -> None:
        self._command = command
        self._log_path = log_path
        self._environ = environ
        self._started: subprocess.Popen[bytes] | None = None
        self._group_ended = True

    def __enter__(self) -> "Child":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int | None:
        """``None`` before the start."""
        return None if self._started is None else self._started.pid

    @property
    def running(self) -> bool:
        return self._started is not None and self._started.poll() is None

    def start(self) -> None:
        """Start it, again if need be; its output is appended to the same file."""
        assert not self.running, "a child runs once at a time"
        self.kill()
        with self._log_path.open("ab") as log:
            self._started = subprocess.Popen(  # noqa: S603  our own interpreter
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self._environ),
                start_new_session=True,
            )
        self._group_ended = False

    def stop(self, within_s: int = STOP_WAIT_S) -> int | None:
        """Ask it to end, and end it when it does not; its exit status, negative for a signal."""
        started = self._started
        if started is None:
            return None
        if started.poll() is None:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(within_s)
            except subprocess.TimeoutExpired:
                self.kill()
        self._end_group(started)
        return started.returncode

    def kill(self) -> None:
        """End it now, with SIGKILL, and wait for it."""
        started = self._started
        if started is not None:
            self._end_group(started)
            started.wait(LAST_WAIT_S)

    def log_tail(self) -> str:
        """The last lines that it wrote."""
        try:
            written = self._log_path.read_bytes()
        except FileNotFoundError:
            return ""
        return written[-TAIL_BYTES:].decode("utf-8", "replace")

    def _end_group(self, started: subprocess.Popen[bytes]) -> None:
        """The group outlives its leader when the leader left children behind.

        Done once for each start: later the number may belong to somebody else.
        """
        if not self._group_ended:
            self._group_ended = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)


def own_command(*arguments: str) -> list[str]:
    """This very program, under this very interpreter."""
    return [sys.executable, "-m", "tokenbooth", *arguments]


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Ours without any setting of another instance, and with ``extra``."""
    inherited = child_environment()
    kept = {n: v for n, v in inherited.items() if not n.startswith(VARIABLE_PREFIX)}
    return {**kept, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **extra}
