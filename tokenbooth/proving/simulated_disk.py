"""A disk in memory that loses what a real one may lose, by explicit choice.

Two layers: what the operating system holds (it survives the end of a process), and what is on the
platter (it survives a power cut). Between them each page of ``PAGE_BYTES`` travels on its own.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass, field

PAGE_BYTES = 4096
SECTOR_BYTES = 512

Choose = Callable[[int], int]
"""``choose(n)`` is a whole number from 0 to ``n - 1``."""


@dataclass(slots=True)
class _File:
    """``named`` tells whether the directory entry is on the platter."""

    cached: bytearray = field(default_factory=bytearray)
    kept: bytes = b""
    named: bool = False

    def cut(self, choose: Choose) -> None:
        """Each page that was not synced stays, goes, or stays in its first sectors only."""
        size = max(len(self.kept), len(self.cached))
        platter = bytearray(self.kept.ljust(size, b"\0"))
        end = len(self.kept)
        for begin in range(0, len(self.cached), PAGE_BYTES):
            page = self.cached[begin : begin + PAGE_BYTES]
            if self.kept[begin : begin + PAGE_BYTES] == page:
                continue
            fate = choose(3)
            if fate == 0:
                continue
            sectors = -(-len(page) // SECTOR_BYTES)
            kept = page if fate == 1 else page[: choose(sectors) * SECTOR_BYTES]
            if kept:
                platter[begin : begin + len(kept)] = kept
                end = max(end, begin + len(kept))
        # The length of the file travels on its own too: zeros may stand where nothing arrived.
        end += choose(size - end + 1) if choose(2) else 0
        self.kept = bytes(platter[:end])
        self.cached = bytearray(self.kept)


class SimulatedDisk:
    """Satisfies the journal's ``Disk``. One process at a time has it: ``kill`` or ``power_cut``
    ends the present one, whose file numbers are worth nothing from then on.

    ``fail_next(verb, code)`` lets the next call of that method fail. ``space_bytes`` bounds all
    files together; an append that does not fit writes what fits and fails.
    """

    def __init__(self) -> None:
        self.space_bytes: int | None = None
        self.syncs = 0
        self._files: dict[str, _File] = {}
        self._removed: dict[str, _File] = {}
        self._open: dict[int, _File] = {}
        self._last_number = 0
        self._failures: dict[str, int] = {}

    def fail_next(self, verb: str, code: int = errno.EIO) -> None:
        self._failures[verb] = code

    def mend(self) -> None:
        """Nothing fails any more, and there is room."""
        self._failures.clear()
        self.space_bytes = None

    def kill(self) -> None:
        """The process ends; the operating system keeps all that was appended."""
        self._open.clear()
        self._failures.clear()

    def power_cut(self, choose: Choose) -> None:
        """The machine ends too: only what was synced is certain to be there afterwards."""
        self.kill()
        for name, file in sorted(self._removed.items()):
            if choose(2):
                self._files.setdefault(name, file)
        self._removed.clear()
        for name, file in sorted(self._files.items()):
            file.cut(choose)
            if not file.named and not choose(2):
                del self._files[name]
            file.named = True

    def platter(self) -> "SimulatedDisk":
        """A disk with only what is certain to survive a power cut now."""
        disk = SimulatedDisk()
        for name, file in self._files.items():
            if file.named:
                disk.overwrite(name, file.kept)
        return disk

    def content(self, name: str) -> bytes:
        """What a process would read now."""
        return bytes(self._files[name].cached)

    def overwrite(self, name: str, content: bytes) -> None:
        """Put other bytes onto the platter, as a fault of the medium would."""
        self._files[name] = _File(bytearray(content), content, named=True)

    def list(self) -> tuple[str, ...]:
        return tuple(sorted(self._files))

    def read(self, name: str) -> bytes:
        self._fail("read")
        return self.content(name)

    def open(self, name: str) -> int:
        self._fail("open")
        if name in self._files:
            raise FileExistsError(errno.EEXIST, "the file is there", name)
        self._last_number += 1
        self._files[name] = self._open[self._last_number] = _File()
        return self._last_number

    def append(self, file: int, chunk: bytes | bytearray) -> None:
        self._fail("append")
        if self.space_bytes is not None:
            used = sum(len(each.cached) for each in self._files.values())
            room = max(self.space_bytes - used, 0)
            if len(chunk) > room:
                self._open[file].cached += chunk[:room]
                raise OSError(errno.ENOSPC, "no space left on the simulated disk")
        self._open[file].cached += chunk

    def sync(self, file: int) -> None:
        self._fail("sync")
        self.syncs += 1
        self._keep(self._open[file])

    def sync_named(self, name: str) -> None:
        self._fail("sync_named")
        self._keep(self._files[name])

    def close(self, file: int) -> None:
        del self._open[file]

    def remove(self, name: str) -> None:
        self._fail("remove")
        self._removed[name] = self._files.pop(name)

    def sync_directory(self) -> None:
        self._fail("sync_directory")
        self._removed.clear()
        for file in self._files.values():
            file.named = True

    def release(self) -> None:
        self.kill()

    def _keep(self, file: _File) -> None:
        file.kept = bytes(file.cached)

    def _fail(self, verb: str) -> None:
        code = self._failures.pop(verb, None)
        if code is not None:
            raise OSError(code, f"the simulated disk fails to {verb}")
