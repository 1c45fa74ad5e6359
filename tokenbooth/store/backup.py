"""Backup and restore of a whole database, while it is in use for the first.

SQLite is copied page by page in one consistent state. PostgreSQL gives all rows of one snapshot as
JSON lines; that file restores into either database.
"""

from pathlib import Path

from sqlalchemy import Connection, text

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.dump import head_revision, read_rows, write_rows
from tokenbooth.store.files import (
    SQLITE_MAGIC,
    check_file,
    copy_file,
    create_file,
    finish,
    part_of,
    replace_content,
)
from tokenbooth.store.migrate import is_known, keep_copy, schema_revision, upgrade
from tokenbooth.store.once import run_once
from tokenbooth.store.options import StoreOptions
from tokenbooth.store.revision import HEAD


def backup(options: StoreOptions, path: Path) -> None:
    """Write everything to a new file that only its owner can read.

    Raises ALREADY_EXISTS for a taken name, STATE_CONFLICT when there is nothing to back up or the
    file cannot be written.
    """
    if schema_revision(options) is None:
        raise Problem(
            Code.STATE_CONFLICT, "There is no database to back up: run `tokenbooth init`."
        )
    if options.is_sqlite:
        copy_file(options.sqlite_path, path)
        return
    part = part_of(path)

    def work(connection: Connection) -> None:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        with part.open("w", encoding="utf-8") as stream:
            write_rows(connection, stream)

    run_once(options, work)
    finish(part, path)


def restore(options: StoreOptions, path: Path) -> str:
    """Put a backup in place and bring it to this program's schema; returns its old revision.

    A page copy replaces a SQLite database as a whole, of which a copy is kept beside it; rows go
    into an empty database only. Holds
    that were open when the backup was made are voided at the next start. Raises INVALID_VALUE for
    a file that is no whole backup, STATE_CONFLICT when the database is in use or not empty.
    """
    options.check()
    try:
        with path.open("rb") as stream:
            is_pages = stream.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    except OSError as error:
        raise Problem(Code.INVALID_VALUE, f"{path} cannot be read: {error.strerror}.") from error
    return _restore_pages(options, path) if is_pages else _restore_rows(options, path)


def _restore_pages(options: StoreOptions, path: Path) -> str:
    if not options.is_sqlite:
        raise Problem(
            Code.INVALID_VALUE, f"{path} is a SQLite database; it restores into SQLite only."
        )
    revision = _known(check_file(path), path)
    if schema_revision(options) is not None:
        keep_copy(options.sqlite_path, "before-restore")
    replace_content(path, options.sqlite_path)
    run_once(options, lambda connection: upgrade(connection, HEAD))
    return revision


def _known(revision: str | None, path: Path) -> str:
    if revision is None or not is_known(revision):
        raise Problem(
            Code.INVALID_VALUE,
            f"{path} has schema {revision or 'none'}; this program knows up to {HEAD}.",
        )
    return revision


def _restore_rows(options: StoreOptions, path: Path) -> str:
    def work(connection: Connection) -> str:
        with path.open(encoding="utf-8", errors="replace") as stream:
            revision = _known(head_revision(stream), path)
            upgrade(connection, revision)
            read_rows(connection, stream)
        upgrade(connection, HEAD)
        return revision

    if options.is_sqlite:
        create_file(options.sqlite_path)
    return run_once(options, work)
