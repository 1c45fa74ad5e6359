"""Run times come from the scheduler's own files, of every thread of every process."""

import os
from pathlib import Path

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.proving.bench.cpu import (
    CpuMeter,
    alone,
    check_counted,
    children,
    family,
    postmaster_of,
    run_ns,
)


class Proc:
    """A small ``/proc`` of our own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def ran(self, pid: int, **threads_ns: int) -> None:
        for name, ran_ns in threads_ns.items():
            task = self.root / str(pid) / "task" / name.strip("t")
            task.mkdir(parents=True, exist_ok=True)
            (task / "schedstat").write_text(f"{ran_ns} 7 3\n")

    def born(self, pid: int, parent: int, command: str = "program") -> None:
        folder = self.root / str(pid)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "stat").write_text(f"{pid} (odd ) name) S {parent} 1 1 0")
        (folder / "cmdline").write_text(command)


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def test_all_threads_of_a_process_are_added_up(proc: Proc) -> None:
    proc.ran(5, t5=100, t6=20, t7=3)
    assert run_ns(5, proc.root) == 123


def test_a_process_that_is_gone_ran_nothing(proc: Proc) -> None:
    assert run_ns(99, proc.root) == 0


def test_a_thread_that_ends_while_it_is_read_ran_nothing(proc: Proc) -> None:
    proc.ran(5, t5=100)
    (proc.root / "5" / "task" / "6").mkdir()
    assert run_ns(5, proc.root) == 100


def test_this_process_is_counted_here() -> None:
    check_counted()
    before = run_ns(os.getpid())
    assert sum(range(200_000)) > 0
    assert run_ns(os.getpid()) >= before > 0


def test_where_nobody_counts_it_is_said_so(proc: Proc) -> None:
    with pytest.raises(Problem) as caught:
        check_counted(proc.root)
    assert caught.value.code is Code.STATE_CONFLICT


def test_children_are_found_whatever_they_are_called(proc: Proc) -> None:
    proc.born(10, 1)
    proc.born(12, 10)
    proc.born(11, 10)
    (proc.root / "meminfo").write_text("not a process")
    (proc.root / "13").mkdir()
    assert children(10, proc.root) == (11, 12)
    assert children(11, proc.root) == ()


def test_the_first_process_of_postgres_is_that_of_its_backend(proc: Proc) -> None:
    proc.born(20, 1, "postgres\0-D")
    proc.born(21, 20, "postgres: role database [local] idle")
    proc.born(22, 20, "sleep")
    assert postmaster_of(21, proc.root) == 20
    assert postmaster_of(22, proc.root) is None
    assert postmaster_of(99, proc.root) is None


def test_a_meter_tells_what_ran_in_between(proc: Proc) -> None:
    proc.ran(5, t5=100)
    proc.ran(6, t6=1000)
    meter = CpuMeter({"one": lambda: (5,), "both": lambda: (5, 6)}, proc.root)
    meter.start()
    proc.ran(5, t5=150)
    proc.ran(6, t6=1001)
    assert meter.stop() == {"one": 50, "both": 51}


def test_one_that_begins_counts_whole_and_one_that_ends_nothing(proc: Proc) -> None:
    proc.ran(5, t5=100)
    pids = [5]
    meter = CpuMeter({"all": lambda: tuple(pids)}, proc.root)
    meter.start()
    (proc.root / "5" / "task" / "5" / "schedstat").unlink()
    proc.ran(6, t6=40)
    pids.append(6)
    assert meter.stop() == {"all": 40}


def test_a_family_is_asked_for_each_time() -> None:
    own = os.getpid()
    assert alone(own)() == (own,)
    assert family(own)()[0] == own
