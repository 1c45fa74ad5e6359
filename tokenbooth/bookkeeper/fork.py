"""Starts a bookkeeper for one server, and sees it off when the server has ended."""

import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator

from tokenbooth.bookkeeper.desk import keep_books
from tokenbooth.config import Settings
from tokenbooth.core.problem import Problem
from tokenbooth.edge.loop import run_on_fast_loop

END_WAIT_MAX_S = 10
LOOK_EVERY_S = 0.02


@contextlib.contextmanager
def bookkeeper(settings: Settings) -> Iterator[socket.socket | None]:
    """The server's end of the link; ``None`` where the settings want no such process.

    Forks, so call it before anything has threads. The bookkeeper ends when the link is closed, and
    so also when its server is killed; Ctrl-C is the server's affair alone.
    """
    if not settings.gateway.bookkeeper:
        yield None
        return
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _be_bookkeeper(settings, theirs)
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        _see_off(pid)


def _be_bookkeeper(settings: Settings, link: socket.socket) -> None:
    """Never returns: what stands above in the stack belongs to the server."""
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        run_on_fast_loop(keep_books(settings, link))
        status = 0
    except Problem as problem:
        sys.stderr.write(f"bookkeeper: {problem.public}\n")
    except BaseException:  # noqa: BLE001  the end of a process: nobody above may see it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _see_off(pid: int) -> None:
    """Wait until it has ended; one that does not is killed, which the ledger bears."""
    ends_s = time.monotonic() + END_WAIT_MAX_S
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > ends_s:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return
        time.sleep(LOOK_EVERY_S)
