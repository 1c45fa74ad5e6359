"""The child's loop, played over a real socket pair with an engine of a few lines."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.unit.engines.child.test_frames import begin
from tokenbooth.engines.child import loop
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
    from_child_decoder,
)
from tokenbooth.engines.child.loop import Backend, BrokenError, RefusedError, StepOut, serve


class Parrot:
    """Says its run's number in each of three steps."""

    def __init__(self) -> None:
        self.left: dict[int, int] = {}
        self.silent_steps = 0

    ready = Ready(64, "parrot")

    @property
    def busy(self) -> bool:
        return bool(self.left) or self.silent_steps > 0

    def begin(self, ask: Begin) -> None:
        if ask.run == 13:
            raise RefusedError("INVALID_VALUE", "not 13", param="run", input_tokens=5)
        self.left[ask.run] = 3

    def cancel(self, run: int, out: StepOut) -> None:
        if self.left.pop(run, None) is not None:
            out.over.append(Over(run, 1, 0, cancelled=True))

    def step(self, out: StepOut) -> None:
        if self.silent_steps:
            self.silent_steps -= 1
            return
        for run in list(self.left):
            self.left[run] -= 1
            out.pieces.append(Piece(run, 0, str(run), 1))
            if not self.left[run]:
                self.left.pop(run)
                out.over.append(Over(run, 1, 3))

    def count(self, ask: Count) -> Counted:
        if not ask.messages:
            raise RefusedError("INVALID_VALUE", "nothing to count")
        return Counted(ask.ask, sum(len(text) for _, text in ask.messages))


class Peer:
    """The gateway's end, blocking."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        self.connection = connection
        self._reader = FrameReader()
        self._found: list[FromChild] = []

    def say(self, *orders: ToChild) -> None:
        self.connection.sendall(b"".join(map(encode, orders)))

    def next(self) -> FromChild:
        while not self._found:
            chunk = self.connection.recv(65536)
            assert chunk, "the child hung up"
            self._found += [from_child_decoder.decode(body) for body in self._reader.feed(chunk)]
        return self._found.pop(0)

    def steps_until_over(self, runs: int) -> list[Step]:
        steps: list[Step] = []
        while sum(len(step.over) for step in steps) < runs:
            step = self.next()
            assert isinstance(step, Step)
            steps.append(step)
        return steps

    def closed(self) -> bool:
        return self.connection.recv(65536) == b""


@contextmanager
def child(backend: Backend | None = None, broken: BrokenError | None = None) -> Iterator[Peer]:
    """A serving thread; when the block ends it must end too."""

    def load(options_json: bytes) -> Backend:
        assert options_json == b'{"a":1}'
        if broken is not None:
            raise broken
        return backend or Parrot()

    ours, theirs = socket.socketpair()

    def work() -> None:
        with theirs:
            serve(theirs, load)

    thread = threading.Thread(target=work)
    thread.start()
    with ours:
        yield Peer(ours)
    thread.join(20)
    assert not thread.is_alive()


@contextmanager
def loaded(backend: Backend | None = None) -> Iterator[Peer]:
    with child(backend) as peer:
        peer.say(Load(b'{"a":1}'))
        assert peer.next() == Ready(64, "parrot")
        yield peer


def test_a_run_is_told_step_by_step() -> None:
    with loaded() as peer:
        peer.say(begin(run=1))
        steps = peer.steps_until_over(1)
        assert [piece.text for step in steps for piece in step.pieces] == ["1", "1", "1"]
        assert steps[-1].over == (Over(1, 1, 3),)


def test_one_frame_carries_the_step_of_all_runs() -> None:
    with loaded() as peer:
        peer.say(begin(run=1), begin(run=2))
        steps = peer.steps_until_over(2)
        assert [[piece.run for piece in step.pieces] for step in steps] == [[1, 2]] * 3


def test_a_cancel_is_answered_before_the_next_step() -> None:
    with loaded() as peer:
        peer.say(begin(run=1), begin(run=2), Cancel(1))
        first = peer.next()
        assert isinstance(first, Step)
        assert first == Step(over=(Over(1, 1, 0, cancelled=True),))
        assert {piece.run for step in peer.steps_until_over(1) for piece in step.pieces} == {2}


def test_a_cancel_of_an_unknown_run_is_silent() -> None:
    with loaded() as peer:
        peer.say(Cancel(9), begin(run=1))
        assert [over.run for step in peer.steps_until_over(1) for over in step.over] == [1]


def test_a_refused_run_leaves_the_others_alone() -> None:
    with loaded() as peer:
        peer.say(begin(run=13), begin(run=1))
        first = peer.next()
        assert first == Step(refused=(Refused(13, "INVALID_VALUE", "not 13", "run", 5),))
        peer.steps_until_over(1)


def test_counts_are_answered_and_a_count_that_fails_harms_nobody() -> None:
    with loaded() as peer:
        peer.say(Count(4, (("user", "abc"),)))
        assert peer.next() == Step(counted=(Counted(4, 3),))
        peer.say(Count(5, ()))
        assert peer.next() == Step(refused=(Refused(5, "INVALID_VALUE", "nothing to count"),))


def test_silent_steps_are_told_as_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "HEARTBEAT_S", 0.0)
    parrot = Parrot()
    parrot.silent_steps = 3
    with loaded(parrot) as peer:
        assert peer.next() == Step()


def test_an_engine_that_cannot_be_loaded_says_why_and_ends() -> None:
    with child(broken=BrokenError("ENGINE_NOT_INSTALLED", "pip install it")) as peer:
        peer.say(Load(b'{"a":1}'))
        assert peer.next() == Broken("ENGINE_NOT_INSTALLED", "pip install it")
        assert peer.closed()


def test_a_first_word_that_is_not_load_ends_the_child() -> None:
    with child() as peer:
        peer.say(Cancel(1))
        assert peer.closed()


def test_the_child_ends_when_the_gateway_is_gone_before_load() -> None:
    with child() as peer:
        peer.connection.shutdown(socket.SHUT_WR)
        assert peer.closed()


def test_the_child_ends_when_the_gateway_hangs_up_in_the_middle_of_a_run() -> None:
    parrot = Parrot()
    parrot.silent_steps = 10**9
    with loaded(parrot) as peer:
        peer.say(begin(run=1))
        peer.connection.shutdown(socket.SHUT_RDWR)
    assert parrot.silent_steps > 0


def test_a_first_frame_may_come_in_pieces() -> None:
    with child() as peer:
        frame = encode(Load(b'{"a":1}'))
        peer.connection.sendall(frame[:3])
        peer.connection.sendall(frame[3:])
        assert peer.next() == Ready(64, "parrot")
