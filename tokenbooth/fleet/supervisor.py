"""Forks the members of a fleet, starts again what dies, and ends them in order.

It has no threads, no event loop and no database: nothing in it can hang, and forking stays safe.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tokenbooth.core.op import Log
from tokenbooth.core.problem import Problem
from tokenbooth.fleet.rules import FAILURES_MAX, failures_after, pause_s

HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Birth:
    """What a member gets: where it says that it is ready, and what ends when its parent does."""

    ready: int
    lifeline: int

    def tell_ready(self) -> None:
        os.write(self.ready, b"1")


@dataclass(frozen=True, slots=True)
class Member:
    """``work`` is the whole life of its process, and ends at SIGTERM."""

    name: str
    work: Callable[[Birth], None]


@dataclass(slots=True)
class _Life:
    """A member and its present process; ``ready`` is read from until it has spoken."""

    member: Member
    pid: int | None = None
    ready: int | None = None
    stood: bool = False
    began_s: float = 0.0
    failures: int = 0
    next_s: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """``workers`` end before ``control``, which they call; who takes longer than ``end_wait_max_s``
    is killed."""

    control: Member
    workers: Sequence[Member]
    log: Log
    end_wait_max_s: float
    _lives: list[_Life] = field(default_factory=list)
    _lifeline: tuple[int, int] = (-1, -1)
    _stopping: bool = False
    _failed: bool = False

    def run(self, ready: Callable[[], None]) -> int:
        """Until a signal, or until a member cannot be kept alive; the exit status. ``ready`` runs
        once, when all of them have been."""
        self._lives = [_Life(member) for member in (self.control, *self.workers)]
        self._lifeline = os.pipe()
        with _bell() as bell:
            self._keep(bell, ready)
            self._end(bell)
        for each in self._lifeline:
            os.close(each)
        return int(self._failed)

    def _keep(self, bell: socket.socket, ready: Callable[[], None]) -> None:
        told = False
        while not (self._stopping or self._failed):
            now_s = time.monotonic()
            for life in self._lives:
                if life.pid is None and now_s >= life.next_s:
                    self._start(life, bell)
            self._look(bell, self._next_look_s())
            for life in self._lives:
                self._reap(life, begun=told)
            if not told and all(life.stood for life in self._lives):
                told = True
                ready()

    def _end(self, bell: socket.socket) -> None:
        """Workers first: what they still do may need the control process."""
        for crew in (self._lives[1:], self._lives[:1]):
            self._told_to_end(crew, signal.SIGTERM)
            until_s, self._stopping = time.monotonic() + self.end_wait_max_s, False
            while any(life.pid is not None for life in crew):
                self._look(bell, LOOK_EVERY_S)
                late = time.monotonic() > until_s
                if self._stopping or late:  # asked once more, or too long
                    self._told_to_end(crew, signal.SIGKILL if late else signal.SIGTERM)
                    self._stopping = False
                for life in crew:
                    self._reap(life, begun=True, ending=True)

    def _told_to_end(self, crew: Sequence[_Life], word: signal.Signals) -> None:
        for life in crew:
            if life.pid is not None:
                os.kill(life.pid, word)

    def _next_look_s(self) -> float:
        now_s = time.monotonic()
        waits = [life.next_s - now_s for life in self._lives if life.pid is None]
        return max(0.0, min([LOOK_EVERY_S, *waits]))

    def _look(self, bell: socket.socket, wait_s: float) -> None:
        ends = [life.ready for life in self._lives if life.ready is not None]
        heard, _, _ = select.select([bell.fileno(), *ends], [], [], wait_s)
        if bell.fileno() in heard and {signal.SIGTERM, signal.SIGINT} & set(bell.recv(4096)):
            self._stopping = True
        for life in self._lives:
            if life.ready in heard and life.ready is not None:
                life.stood = life.stood or bool(os.read(life.ready, 1))
                os.close(life.ready)
                life.ready = None

    def _start(self, life: _Life, bell: socket.socket) -> None:
        ours, theirs = os.pipe()
        sys.stdout.flush()
        life.began_s = time.monotonic()
        pid = os.fork()
        if pid == 0:
            bell.close()
            for descriptor in (ours, self._lifeline[1], *(o.ready for o in self._lives)):
                if descriptor is not None:
                    os.close(descriptor)
            _be(life.member, Birth(theirs, self._lifeline[0]))
        os.close(theirs)
        life.pid, life.ready = pid, ours

    def _reap(self, life: _Life, *, begun: bool, ending: bool = False) -> None:
        if life.pid is None:
            return
        pid, status = os.waitpid(life.pid, os.WNOHANG)
        if pid == 0:
            return
        life.pid = None
        if life.ready is not None:
            os.close(life.ready)
            life.ready = None
        code = os.waitstatus_to_exitcode(status)
        if ending:
            self._failed = self._failed or code != 0
            return
        now_s = time.monotonic()
        life.failures = failures_after(life.failures, now_s - life.began_s)
        life.next_s = now_s + pause_s(life.failures)
        self.log.fault("process_lost", process=life.member.name, status=code)
        # One that never stood would not stand the next time either.
        hopeless = not (begun or life.stood) or life.failures >= FAILURES_MAX
        self._failed = self._failed or hopeless


def _be(member: Member, birth: Birth) -> None:
    """Never returns: what stands above in the stack belongs to the parent."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        # Ctrl-C reaches the whole group, and is the parent's affair.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for word in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(word, signal.SIG_DFL)
        member.work(birth)
        status = 0
    except Problem as problem:
        sys.stderr.write(f"{member.name}: {problem.public}\n")
    except BaseException:  # noqa: BLE001  the end of a process: nobody above may see it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


@contextlib.contextmanager
def _bell() -> Iterator[socket.socket]:
    """Rings with the number of each signal that is heard."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    theirs.settimeout(0)
    before = {word: signal.signal(word, lambda *_: None) for word in HEARD}
    old = signal.set_wakeup_fd(theirs.fileno())
    try:
        yield ours
    finally:
        signal.set_wakeup_fd(old)
        for word, handler in before.items():
            signal.signal(word, handler)
        ours.close()
        theirs.close()
