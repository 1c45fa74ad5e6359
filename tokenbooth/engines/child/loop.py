"""The child's side: read orders, step the engine, answer with one frame for each step.

The child dies with its gateway: at the end of the socket's stream, and on Linux also by the
kernel's own signal, which works while the engine is deep in a step.
"""

import ctypes
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from tokenbooth.engines.child.frames import (
    Begin,
    Broken,
    Cancel,
    Count,
    Counted,
    FrameReader,
    FromChild,
    Load,
    Over,
    Piece,
    Ready,
    Refused,
    Step,
    ToChild,
    encode,
    to_child_decoder,
)

HEARTBEAT_S = 0.5
READ_BYTES = 256 * 1024
_PR_SET_PDEATHSIG = 1


class RefusedError(Exception):
    """A backend cannot begin a run; the others go on. ``code`` is the name of a ``Code``."""

    def __init__(
        self, code: str, public: str, *, param: str | None = None, input_tokens: int | None = None
    ) -> None:
        super().__init__(public)
        self.code = code
        self.public = public
        self.param = param
        self.input_tokens = input_tokens


class BrokenError(Exception):
    """A backend cannot be loaded; trying again would not help by itself."""

    def __init__(self, code: str, public: str) -> None:
        super().__init__(public)
        self.code = code
        self.public = public


class StepOut:
    """What a step collects before it is sent."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.over: list[Over] = []
        self.refused: list[Refused] = []
        self.counted: list[Counted] = []

    def __bool__(self) -> bool:
        return bool(self.pieces or self.over or self.refused or self.counted)

    def frame(self) -> Step:
        return Step(tuple(self.pieces), tuple(self.over), tuple(self.refused), tuple(self.counted))


class Backend(Protocol):
    """An engine as the loop drives it; called from one thread only."""

    @property
    def ready(self) -> Ready: ...

    @property
    def busy(self) -> bool:
        """Whether ``step`` has anything to do."""

    def begin(self, ask: Begin) -> None:
        """Raises RefusedError."""

    def cancel(self, run: int, out: "StepOut") -> None:
        """End ``run`` before the next step and say so; unknown runs are ignored."""

    def step(self, out: StepOut) -> None:
        """Work for one engine step at most, and report into ``out``."""

    def count(self, ask: Count) -> Counted:
        """Raises RefusedError."""


def main(load: Callable[[bytes], Backend]) -> None:
    """Entry of a worker module; the socket is the descriptor named by the last argument."""
    _die_with_parent()
    with socket.socket(fileno=int(sys.argv[-1])) as connection:
        serve(connection, load)
    # Nothing is worth saving, and engines with threads of their own may hang on the way out.
    os._exit(0)


def _die_with_parent() -> None:
    # A terminal's Ctrl-C goes to the whole group; only the gateway decides when its child ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(connection: socket.socket, load: Callable[[bytes], Backend]) -> None:
    """Serve until the other end closes."""
    end = _End(connection)
    first: list[ToChild] = []
    while not first and not end.closed:
        first = end.orders(wait_s=None)
    if not first or not isinstance(first[0], Load):
        return
    try:
        backend = load(first[0].options_json)
    except BrokenError as error:
        end.send(Broken(error.code, error.public))
        return
    end.send(backend.ready)
    _serve_loaded(end, backend, first[1:])


def _serve_loaded(end: "_End", backend: Backend, orders: list[ToChild]) -> None:
    while not end.closed:
        out = StepOut()
        for order in orders:
            _obey(backend, order, out)
        if out:
            # A cancel is answered before the next step, which may be a long one.
            end.send(out.frame())
            out = StepOut()
        if backend.busy:
            backend.step(out)
        if out or end.silent_for_s() >= HEARTBEAT_S:
            end.send(out.frame())
        orders = end.orders(wait_s=0 if backend.busy else None)


def _obey(backend: Backend, order: ToChild, out: StepOut) -> None:
    if isinstance(order, Cancel):
        backend.cancel(order.run, out)
    if not isinstance(order, Begin | Count):
        return
    try:
        if isinstance(order, Begin):
            backend.begin(order)
        else:
            out.counted.append(backend.count(order))
    except RefusedError as error:
        # Runs and counts share one row of numbers.
        number = order.run if isinstance(order, Begin) else order.ask
        out.refused.append(
            Refused(number, error.code, error.public, error.param, error.input_tokens)
        )


class _End:
    """The child's end of the socket. Writing blocks: a gateway that does not read stops us."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        self._connection = connection
        self._reader = FrameReader()
        self._sent_at = monotonic()
        self.closed = False

    def silent_for_s(self) -> float:
        return monotonic() - self._sent_at

    def orders(self, wait_s: float | None) -> list[ToChild]:
        """What has arrived; waits for the first bytes as told (``None``: without limit)."""
        if self.closed:
            return []
        readable, _, _ = select.select([self._connection], [], [], wait_s)
        if not readable:
            return []
        try:
            chunk = self._connection.recv(READ_BYTES)
        except OSError:
            chunk = b""
        if not chunk:
            self.closed = True
            return []
        return [to_child_decoder.decode(body) for body in self._reader.feed(chunk)]

    def send(self, message: FromChild) -> None:
        self._sent_at = monotonic()
        try:
            self._connection.sendall(encode(message))
        except OSError:
            self.closed = True
