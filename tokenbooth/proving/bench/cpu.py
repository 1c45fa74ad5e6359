"""How long processes ran, by the scheduler's own count. Linux only.

``/proc/PID/task/TID/schedstat`` begins with the nanoseconds that the thread has run. What a thread
ran that has ended since the last look is not seen; the programs measured here keep theirs.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

PROC = Path("/proc")


def run_ns(pid: int, proc: Path = PROC) -> int:
    """All threads of one process; 0 for one that is gone. Raises Problem where nobody counts."""
    total = 0
    for task in _entries(proc / str(pid) / "task"):
        total += int((_content(task / "schedstat") or "0").split()[0])
    return total


def check_counted(proc: Path = PROC) -> None:
    """Raise STATE_CONFLICT where the system does not count the time of threads."""
    if not run_ns(os.getpid(), proc):
        raise Problem(
            Code.STATE_CONFLICT,
            "CPU time is read from /proc/PID/task/*/schedstat, which this system does not have.",
        )


def children(pid: int, proc: Path = PROC) -> tuple[int, ...]:
    """The processes whose parent is ``pid``."""
    found = []
    for entry in _entries(proc):
        if entry.name.isdigit():
            # The command stands in parentheses and may hold anything, so count from its end.
            fields = _content(entry / "stat").rpartition(")")[2].split()
            if len(fields) > 1 and int(fields[1]) == pid:
                found.append(int(entry.name))
    return tuple(sorted(found))


def postmaster_of(backend_pid: int, proc: Path = PROC) -> int | None:
    """The first process of the server that has this backend; ``None`` where it is not PostgreSQL
    on this machine."""
    if not _content(proc / str(backend_pid) / "cmdline").startswith("postgres"):
        return None
    fields = _content(proc / str(backend_pid) / "stat").rpartition(")")[2].split()
    return int(fields[1])


Pids = Callable[[], tuple[int, ...]]


def alone(pid: int) -> Pids:
    return lambda: (pid,)


def family(pid: int) -> Pids:
    """The process and whatever children it has at the moment."""
    return lambda: (pid, *children(pid))


def others(pid: int) -> Pids:
    """Whatever children the process has at the moment."""
    return lambda: children(pid)


class CpuMeter:
    """Differences of run time from ``start`` to ``stop``, by name."""

    def __init__(self, pids: Mapping[str, Pids], proc: Path = PROC) -> None:
        """``pids`` are counted together under each name. One that begins in between counts whole,
        one that ends in between counts nothing."""
        self._pids = pids
        self._proc = proc
        self._begun: dict[str, dict[int, int]] = {}

    def start(self) -> None:
        self._begun = self._now()

    def stop(self) -> dict[str, int]:
        """Nanoseconds of each name since ``start``."""
        now, begun = self._now(), self._begun
        return {
            name: sum(ran - begun[name].get(pid, 0) for pid, ran in each.items() if ran)
            for name, each in now.items()
        }

    def _now(self) -> dict[str, dict[int, int]]:
        return {
            name: {pid: run_ns(pid, self._proc) for pid in pids()}
            for name, pids in self._pids.items()
        }


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _content(file: Path) -> str:
    """Empty for a process that ended meanwhile."""
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""
