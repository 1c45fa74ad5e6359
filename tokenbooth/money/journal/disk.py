"""The real disk: one directory, locked for one process at a time."""

import fcntl
import os
from pathlib import Path

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

READ_BYTES = 2**20


class FileDisk:
    """Satisfies ``Disk``. Makes the directory, readable for its owner alone.

    Raises Problem STATE_CONFLICT while another process has it; the lock ends with the process,
    however it ends. Raises OSError where the directory cannot be made or opened.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._folder)
            raise Problem(
                Code.STATE_CONFLICT, f"Another process uses the journal in {directory}."
            ) from None

    def list(self) -> tuple[str, ...]:
        return tuple(sorted(os.listdir(self._folder)))  # noqa: PTH208 - a descriptor, not a path

    def read(self, name: str) -> bytes:
        file = os.open(name, os.O_RDONLY, dir_fd=self._folder)
        try:
            chunks = []
            while chunk := os.read(file, READ_BYTES):
                chunks.append(chunk)
            return b"".join(chunks)
        finally:
            os.close(file)

    def open(self, name: str) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        return os.open(name, flags, 0o600, dir_fd=self._folder)

    def append(self, file: int, chunk: bytes | bytearray) -> None:
        written = os.write(file, chunk)
        while written < len(chunk):
            written += os.write(file, memoryview(chunk)[written:])

    def sync(self, file: int) -> None:
        os.fdatasync(file)

    def sync_named(self, name: str) -> None:
        file = os.open(name, os.O_RDONLY, dir_fd=self._folder)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def close(self, file: int) -> None:
        os.close(file)

    def remove(self, name: str) -> None:
        os.unlink(name, dir_fd=self._folder)

    def sync_directory(self) -> None:
        os.fsync(self._folder)

    def release(self) -> None:
        os.close(self._folder)
