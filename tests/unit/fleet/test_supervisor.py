"""The parent of a fleet on a clock of the test's own, with processes that live as they are told."""

import contextlib
import itertools
import os
import random
import signal
from dataclasses import dataclass

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.fleet import supervisor as module
from tokenbooth.fleet.rules import FAILURES_MAX, STABLE_AFTER_S, pause_s
from tokenbooth.fleet.supervisor import Birth, Member, Supervisor

NEVER = float("inf")
TERM, KILL, INT, CHILD = signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGCHLD


@dataclass
class Life:
    """Seconds from the birth to standing and to death, and from SIGTERM to the end."""

    stands_s: float = 1.0
    dies_s: float = NEVER
    code: int = 1
    ends_s: float = 0.0
    end_code: int = 0


@dataclass
class Born:
    name: str
    life: Life
    born_s: float
    ready: int
    dead_s: float
    status: int
    rung: bool = False


class World:
    """Stands in for ``os``, ``select`` and ``time``. ``lives`` by member, the last one for ever."""

    WNOHANG = os.WNOHANG
    waitstatus_to_exitcode = staticmethod(os.waitstatus_to_exitcode)

    def __init__(self, signals=(), **lives: list[Life]) -> None:
        self.now_s, self.lives, self.signals = 100.0, lives, sorted(signals)
        self.born: dict[int, Born] = {}
        self.kills: list[tuple[str, int, float]] = []
        self.lost: list[tuple[str, int]] = []
        self.open: set[int] = set()
        self.rung, self.numbers, self.looks, self.told = b"", 0, 0, 0
        self.starting, self.piped = "", (-1, -1)

    # What the module calls.

    def monotonic(self) -> float:
        return self.now_s

    def pipe(self) -> tuple[int, int]:
        self.numbers += 2
        self.piped = 1000 + self.numbers, 1001 + self.numbers
        self.open.update(self.piped)
        return self.piped

    def close(self, descriptor: int) -> None:
        self.open.remove(descriptor)

    def fork(self) -> int:
        lives = self.lives[self.starting]
        life = lives.pop(0) if len(lives) > 1 else lives[0]
        pid = 1 + len(self.born)
        dead_s = self.now_s + life.dies_s
        self.born[pid] = Born(
            self.starting, life, self.now_s, self.piped[0], dead_s, life.code << 8
        )
        return pid

    def kill(self, pid: int, word: int) -> None:
        it = self.born[pid]
        assert not it.rung or it.dead_s <= self.now_s
        self.kills.append((it.name, word, round(self.now_s - 100, 3)))
        if word == KILL:
            it.dead_s, it.status = self.now_s, int(KILL)
        elif it.dead_s > self.now_s + it.life.ends_s:
            it.dead_s, it.status = self.now_s + it.life.ends_s, it.life.end_code << 8

    def waitpid(self, pid: int, how: int) -> tuple[int, int]:
        assert how == os.WNOHANG
        it = self.born[pid]
        return (pid, it.status) if it.dead_s <= self.now_s else (0, 0)

    def read(self, descriptor: int, count: int) -> bytes:
        it = next(each for each in self.born.values() if each.ready == descriptor)
        stood = it.born_s + it.life.stands_s <= min(self.now_s, it.dead_s)
        return b"1" if stood else b""

    def select(self, descriptors, _writes, _faults, wait_s):
        self.looks += 1
        assert self.looks < 20_000, "it looks without end"
        until_s = self.now_s + wait_s
        while not (found := self._readable(descriptors)) and self.now_s < until_s:
            self.now_s = min([until_s, *self._moments(descriptors)])
            self._ring()
        return found, [], []

    # The bell.

    def fileno(self) -> int:
        return 3

    def recv(self, count: int) -> bytes:
        rung, self.rung = self.rung, b""
        return rung

    @contextlib.contextmanager
    def bell(self):
        yield self

    # The log, and the news.

    def fault(self, name, error=None, **fields) -> None:
        assert name == "process_lost"
        self.lost.append((fields["process"], fields["status"]))

    def ready(self) -> None:
        self.told += 1

    def _moments(self, descriptors) -> list[float]:
        moments = [when_s for when_s, _ in self.signals]
        for it in self.born.values():
            if it.ready in descriptors:
                moments.append(it.born_s + it.life.stands_s)
            if not it.rung:
                moments.append(it.dead_s)
        return [each for each in moments if each > self.now_s]

    def _ring(self) -> None:
        while self.signals and self.signals[0][0] <= self.now_s:
            self.rung += bytes([self.signals.pop(0)[1]])
        for it in self.born.values():
            if not it.rung and it.dead_s <= self.now_s:
                it.rung, self.rung = True, self.rung + bytes([CHILD])

    def _readable(self, descriptors) -> list[int]:
        self._ring()
        found = [3] if self.rung else []
        for it in self.born.values():
            spoke_s = min(it.born_s + it.life.stands_s, it.dead_s)
            if it.ready in descriptors and spoke_s <= self.now_s:
                found.append(it.ready)
        return found

    # What became of it.

    def starts(self, name: str) -> list[float]:
        return [round(it.born_s - 100, 3) for it in self.born.values() if it.name == name]

    def pauses(self, name: str) -> list[float]:
        """Between a death and the next birth."""
        lives = [it for it in self.born.values() if it.name == name]
        return [round(b.born_s - a.dead_s, 3) for a, b in itertools.pairwise(lives)]


def played(monkeypatch, end_wait_max_s: float = 60.0, signals=(), **lives) -> tuple[int, World]:
    """The exit status of a fleet of these members, and what happened; the first is the control."""
    world = World([(100.0 + when_s, word) for when_s, word in signals], **lives)
    for name in ("os", "select", "time"):
        monkeypatch.setattr(module, name, world)
    monkeypatch.setattr(module, "_bell", world.bell)
    start = Supervisor._start

    def named(self, life, bell):
        world.starting = life.member.name
        start(self, life, bell)

    monkeypatch.setattr(Supervisor, "_start", named)
    control, *crew = (Member(name, lambda birth: None) for name in lives)
    status = Supervisor(control, crew, world, end_wait_max_s).run(world.ready)
    monkeypatch.undo()
    assert world.open == set(), "every descriptor was closed"
    return status, world


def calm(*crew: str) -> dict[str, list[Life]]:
    return {name: [Life()] for name in ("control", *crew)}


@pytest.mark.parametrize("word", [TERM, INT])
def test_all_stand_one_is_told_once_and_a_signal_ends_workers_before_the_control(monkeypatch, word):
    lives = calm("one", "two") | {"two": [Life(ends_s=4)]}
    status, world = played(monkeypatch, signals=[(10, word)], **lives)
    assert (status, world.told, world.lost) == (0, 1, [])
    assert world.kills == [("one", TERM, 10), ("two", TERM, 10), ("control", TERM, 14)]


def test_nobody_is_told_that_it_serves_before_the_last_one_stands(monkeypatch):
    lives = calm("one") | {"two": [Life(stands_s=30)]}
    status, world = played(monkeypatch, signals=[(29, TERM)], **lives)
    assert (status, world.told) == (0, 0)


def test_a_member_that_dies_at_once_is_tried_ever_later_and_then_given_up(monkeypatch):
    lives = calm("calm", "sick") | {"sick": [Life(stands_s=0, dies_s=0.5, code=7)]}
    status, world = played(monkeypatch, **lives)
    assert status == 1
    assert world.lost == [("sick", 7)] * FAILURES_MAX
    assert world.pauses("sick") == [pause_s(n) for n in range(1, FAILURES_MAX)]
    assert world.pauses("sick")[-2:] == [3.2, 5.0]
    assert [name for name, _, _ in world.kills] == ["calm", "control"]


def test_a_long_life_begins_the_count_anew(monkeypatch):
    lives = calm("w") | {"w": [Life(dies_s=STABLE_AFTER_S + 1)]}
    status, world = played(monkeypatch, signals=[(1000, TERM)], **lives)
    assert status == 0
    assert len(world.starts("w")) > 4 * FAILURES_MAX
    assert set(world.pauses("w")) == {0.1}


def test_short_lives_before_and_after_a_long_one_are_not_added_up(monkeypatch):
    short, long = Life(dies_s=2), Life(dies_s=STABLE_AFTER_S + 1)
    row = [short] * (FAILURES_MAX - 1)
    lives = calm("w") | {"w": [*row, long, *row[1:], long, Life()]}
    status, world = played(monkeypatch, signals=[(500, TERM)], **lives)
    assert (status, len(world.lost)) == (0, 2 * FAILURES_MAX - 1)


@pytest.mark.parametrize("who", ["control", "one"])
def test_a_fleet_does_not_begin_with_a_member_that_never_stood(monkeypatch, who):
    lives = calm("one", "two") | {who: [Life(stands_s=NEVER, dies_s=3)]}
    status, world = played(monkeypatch, **lives)
    assert (status, world.told, world.lost) == (1, 0, [(who, 1)])
    assert who not in {name for name, _, _ in world.kills}


def test_one_that_stood_once_gets_another_try_while_others_are_still_beginning(monkeypatch):
    lives = calm("quick", "slow") | {"quick": [Life(dies_s=2), Life()], "slow": [Life(50)]}
    status, world = played(monkeypatch, signals=[(60, TERM)], **lives)
    assert (status, world.told, world.lost) == (0, 1, [("quick", 1)])


def test_a_replacement_that_does_not_stand_is_tried_again_and_ends_nobody(monkeypatch):
    never = Life(stands_s=NEVER, dies_s=1)
    lives = calm("one") | {"one": [Life(dies_s=5), never, never, Life()]}
    status, world = played(monkeypatch, signals=[(60, TERM)], **lives)
    assert (status, world.told, len(world.starts("one"))) == (0, 1, 4)
    assert world.starts("control") == [0]


def test_the_control_process_is_replaced_without_a_worker_s_noticing(monkeypatch):
    lives = calm("one", "two") | {"control": [Life(dies_s=9, code=0), Life()]}
    status, world = played(monkeypatch, signals=[(60, TERM)], **lives)
    assert (status, world.told, world.lost) == (0, 1, [("control", 0)])
    assert (world.starts("control"), world.starts("one")) == ([0, 9.1], [0])


def test_who_does_not_end_is_killed_at_the_bound_and_it_counts_as_a_failure(monkeypatch):
    lives = calm("good", "deaf") | {"deaf": [Life(ends_s=NEVER)]}
    status, world = played(monkeypatch, 20, signals=[(10, TERM)], **lives)
    assert status == 1
    told = [each for each in world.kills if each[0] == "deaf"]
    assert told[0] == ("deaf", TERM, 10)
    assert told[1][1] == KILL
    assert 30 < told[1][2] <= 31
    assert world.kills[-1][0] == "control"


def test_a_second_signal_is_passed_on_to_those_who_are_left(monkeypatch):
    lives = calm("quick", "slow") | {"slow": [Life(ends_s=15)]}
    status, world = played(monkeypatch, signals=[(10, TERM), (12, INT)], **lives)
    assert status == 0
    assert world.kills[:3] == [("quick", TERM, 10), ("slow", TERM, 10), ("slow", TERM, 12)]


def test_an_end_with_an_error_is_told_by_the_exit_status(monkeypatch):
    lives = calm("one") | {"one": [Life(ends_s=1, end_code=3)]}
    status, world = played(monkeypatch, signals=[(10, TERM)], **lives)
    assert (status, world.lost) == (1, [])


def test_a_signal_while_one_is_dead_starts_nobody_again(monkeypatch):
    lives = calm("one") | {"one": [Life(dies_s=9.95)]}
    status, world = played(monkeypatch, signals=[(10, TERM)], **lives)
    assert (status, world.starts("one")) == (0, [0])
    assert [name for name, _, _ in world.kills] == ["control"]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_dies_starts_are_bounded_and_everything_ends(monkeypatch, seed):
    chance = random.Random(seed)

    def life() -> Life:
        return Life(
            stands_s=chance.choice((0, 1, 5)),
            dies_s=chance.choice((0.2, 3, 29, 31, 200, NEVER)),
            code=chance.choice((0, 1, 9)),
            ends_s=chance.choice((0, 2, NEVER)),
        )

    lives = {name: [Life(dies_s=40), *(life() for _ in range(30))] for name in ("c", "u", "v")}
    _, world = played(monkeypatch, 5, signals=[(400, TERM)], **lives)
    assert max(len(world.starts(name)) for name in lives) < 400
    assert all(it.dead_s <= world.now_s for it in world.born.values())
    for name in lives:
        assert all(0.1 <= pause <= 5.001 for pause in world.pauses(name))


class Ended(BaseException):
    """Stands in for the end of a process."""


def lived(monkeypatch, work) -> int:
    """The exit status of a member with that work; the handlers of the test are kept."""

    def ended(status: int) -> None:
        raise Ended(status)

    monkeypatch.setattr(module.os, "_exit", ended)
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)
    monkeypatch.setattr(module.signal, "set_wakeup_fd", lambda *_: -1)
    with pytest.raises(Ended) as caught:
        module._be(Member("worker 1", work), Birth(-1, -1))
    return caught.value.args[0]


def test_a_member_s_end_is_the_end_of_its_process_however_it_comes(monkeypatch, capsys):
    assert lived(monkeypatch, lambda birth: None) == 0
    assert capsys.readouterr().err == ""

    def refused(birth):
        raise Problem(Code.STATE_CONFLICT, "The port is taken.")

    assert lived(monkeypatch, refused) == 1
    assert capsys.readouterr().err == "worker 1: The port is taken.\n"

    def broken(birth):
        raise SystemExit(0)

    assert lived(monkeypatch, broken) == 1
    assert "SystemExit" in capsys.readouterr().err


def test_a_birth_speaks_on_its_pipe():
    ours, theirs = os.pipe()
    Birth(theirs, -1).tell_ready()
    os.close(theirs)
    assert os.read(ours, 10) == b"1"
    os.close(ours)


def test_the_bell_rings_with_each_signal_and_gives_the_old_handlers_back():
    before = [signal.getsignal(word) for word in module.HEARD]
    with module._bell() as bell:
        signal.raise_signal(TERM)
        signal.raise_signal(CHILD)
        assert set(bell.recv(100)) == {TERM, CHILD}
        with pytest.raises(BlockingIOError):
            bell.recv(1)
    assert [signal.getsignal(word) for word in module.HEARD] == before
