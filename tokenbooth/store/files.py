"""SQLite files as a whole: make one, copy one while others use it, put one back."""

import os
import sqlite3
from pathlib import Path

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.options import StoreBounds
from tokenbooth.store.sqlite import connect_file

SQLITE_MAGIC = b"SQLite format 3\x00"
WAIT_MS = StoreBounds().wait_ms


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

    Raises ALREADY_EXISTS, or LEDGER_UNAVAILABLE's cause when the source is no database.
    """
    part = part_of(target)
    _copy(source, part)
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


def check_file(path: Path) -> None:
    """Raise INVALID_VALUE unless the file is a whole SQLite database."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            found = connection.execute("PRAGMA quick_check").fetchall()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise Problem(Code.INVALID_VALUE, f"{path} is no database: {error}.") from error
    if found != [("ok",)]:
        raise Problem(Code.INVALID_VALUE, f"{path} is damaged: {found[0][0]}.")


def _copy(source: Path, target: Path) -> None:
    reader = sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True)
    try:
        writer = connect_file(target, wait_ms=WAIT_MS)
        try:
            reader.backup(writer)
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            writer.close()
    finally:
        reader.close()
