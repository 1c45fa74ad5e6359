"""The machine: its cores, the memory of a process, how long its disk takes, what runs on it."""

import os
import platform
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.proving.bench.books import machine_load
from tokenbooth.proving.bench.cpu import PROC

PACKAGES = ("tokenbooth", "uvloop", "httptools", "msgspec", "uvicorn", "sqlalchemy")
RECORD = b"x" * 600
BYTES_PER_KB = 1024
FILES_SPARE = 512


def two_cores() -> tuple[int, int]:
    """One for the gateway, one for everything else. Raises Problem STATE_CONFLICT for less."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise Problem(
            Code.STATE_CONFLICT,
            "The gateway and its load need a core each, and this process may use one only.",
        )
    return allowed[0], allowed[1]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """This thread, and every process that it starts meanwhile, stays on that core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def streams_within(wanted: int) -> int:
    """As many as one process may have open files for; each stream takes two in a gateway."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, (hard - FILES_SPARE) // 2))


def memory_bytes(pid: int, proc: Path = PROC) -> dict[str, int]:
    """``Rss``, ``Pss`` and whatever else the kernel sums up; empty for one that is gone."""
    try:
        text = (proc / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return {}
    lines = (line.split() for line in text.splitlines())
    return {
        words[0].rstrip(":"): int(words[1]) * BYTES_PER_KB
        for words in lines
        if len(words) == 3 and words[2] == "kB"
    }


def waited_ms(pid: int, proc: Path = PROC) -> int:
    """How long the threads of a process could have run and had no core, since it began."""
    waited_ns = 0
    for task in (proc / str(pid) / "task").glob("*/schedstat"):
        with suppress(OSError):  # a thread that has ended meanwhile
            waited_ns += int(task.read_text().split()[1])
    return waited_ns // 1_000_000


def sync_times_us(folder: Path, count: int) -> tuple[int, ...]:
    """How long each of so many ``fdatasync`` takes, after a small record was appended."""
    path = folder / "sync-times"
    found = []
    with path.open("ab", buffering=0) as file:
        for _ in range(count):
            file.write(RECORD)
            begun_ns = time.monotonic_ns()
            os.fdatasync(file.fileno())
            found.append((time.monotonic_ns() - begun_ns) // 1000)
    path.unlink()
    return tuple(found)


def cpu_name(proc: Path = PROC) -> str:
    """As the kernel has it."""
    for line in (proc / "cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def package_versions() -> dict[str, str]:
    """Of what a figure depends on, where it is installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def load_now() -> str:
    return machine_load(os.getloadavg())
