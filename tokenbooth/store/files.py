"""SQLite files as a whole: make one, copy one while others use it, put one back."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.options import StoreBounds
from tokenbooth.store.revision import VERSION_TABLE
from tokenbooth.store.sqlite import connect_file

SQLITE_MAGIC = b"SQLite format 3\x00"
WAIT_MS = StoreBounds().wait_ms
BUSY_PAUSE_MS = 50


def create_file(path: Path) -> None:
    """Make an empty database that only its owner can read; an existing one stays as it is."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        raise Problem(
            Code.STATE_CONFLICT, f"{path} cannot be written: {error.strerror}."
        ) from error


def part_of(path: Path) -> Path:
    """Where a file is written until it is complete. Raises ALREADY_EXISTS: nothing is replaced."""
    if path.exists():
        raise Problem(Code.ALREADY_EXISTS, f"{path} exists; choose another name.")
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    create_file(part)
    return part


def finish(part: Path, path: Path) -> None:
    """Make the written file durable under its own name."""
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def copy_file(source: Path, target: Path) -> None:
    """Copy a database that may be in use, in one consistent state, to a new file.

    Raises ALREADY_EXISTS for a taken name, STATE_CONFLICT when the source cannot be read.
    """
    part = part_of(target)
    try:
        _copy(source, part)
    except sqlite3.DatabaseError as error:
        part.unlink()
        raise Problem(Code.STATE_CONFLICT, f"{source} cannot be copied: {error}.") from error
    finish(part, target)


def replace_content(source: Path, target: Path) -> None:
    """Put the content of ``source`` in place of everything in ``target``.

    Through SQLite itself, so that a journal beside ``target`` cannot be applied to the new
    content. Raises STATE_CONFLICT when another process is writing.
    """
    create_file(target)
    try:
        _copy(source, target)
    except sqlite3.OperationalError as error:
        raise Problem(
            Code.STATE_CONFLICT, f"{target} is in use ({error}); stop the server first."
        ) from error


def check_file(path: Path) -> str | None:
    """The schema revision of a whole SQLite file that nobody uses; ``None`` without one.

    Raises INVALID_VALUE for anything else. The file is not touched.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            found = connection.execute("PRAGMA quick_check").fetchall()
            if found != [("ok",)]:
                raise Problem(Code.INVALID_VALUE, f"{path} is damaged: {found[0][0]}.")
            known = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = ?", (VERSION_TABLE,)
            ).fetchone()
            if known is None:
                return None
            row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 - a constant
            return None if row is None else str(row[0])
    except sqlite3.DatabaseError as error:
        raise Problem(Code.INVALID_VALUE, f"{path} is no whole database: {error}.") from error


def _patience(tries: int) -> Callable[[int, int, int], None]:
    """Left alone, the copy of a locked database would be tried for ever."""
    left = count(tries, -1)

    def progress(status: int, _remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and next(left) <= 0:
            raise sqlite3.OperationalError("database is locked")

    return progress


def _copy(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reader,
        closing(connect_file(target, wait_ms=WAIT_MS)) as writer,
    ):
        reader.backup(
            writer, progress=_patience(WAIT_MS // BUSY_PAUSE_MS), sleep=0.001 * BUSY_PAUSE_MS
        )
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
