"""Verbs on files; each is one step of one transaction. The only import surface of this noun."""

from tokenbooth.content.files import sql
from tokenbooth.content.files.rules import (
    FILE_BYTES_MAX,
    check_room,
    checked_file,
    expires_us,
)
from tokenbooth.content.files.values import FileAsk, FilesPage, Purpose, StoredFile
from tokenbooth.content.sealing.service import Place, Unreadable, seal, unseal
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Randomness, Tx
from tokenbooth.core.problem import Problem

__all__ = [
    "FILE_BYTES_MAX",
    "FileAsk",
    "FilesPage",
    "Purpose",
    "StoredFile",
    "add",
    "content",
    "drop_expired",
    "file_by",
    "files",
    "new_file",
    "remove",
    "sealed_content",
    "unsealed",
]

BATCH = 50
_PURPOSE = b"tokenbooth stored file 1"


def new_file(op: Op, caller: Caller, ask: FileAsk, file_id: str) -> StoredFile:
    """What will be stored of it. Raises INVALID_VALUE or BODY_TOO_LARGE."""
    checked_file(ask)
    return StoredFile(
        id=file_id,
        org_id=caller.org_id,
        project_id=caller.project_id,
        key_id=caller.key_id,
        file_name=ask.file_name,
        purpose=ask.purpose,
        size_bytes=len(ask.content),
        created_us=op.now(),
        expires_us=expires_us(ask, op.now()),
    )


def add(op: Op, tx: Tx, file: StoredFile, sealed: bytes) -> None:
    """Raises FILES_FULL."""
    sql.lock_project(tx, file.project_id)
    check_room(*sql.room_taken(tx, file.project_id), file.size_bytes)
    sql.insert_file(tx, file, sealed)


def file_by(op: Op, tx: Tx, caller: Caller, file_id: str) -> StoredFile:
    """Raises FILE_NOT_FOUND, for another project's file as for none at all."""
    file = sql.select_file(tx, caller.project_id, _plain(file_id), op.now())
    if file is None:
        raise _not_found()
    return file


def content(op: Op, tx: Tx, caller: Caller, file_id: str) -> bytes:
    """The sealed content. Raises FILE_NOT_FOUND."""
    sealed = sql.select_sealed(tx, caller.project_id, _plain(file_id), op.now())
    if sealed is None:
        raise _not_found()
    return sealed


def files(op: Op, tx: Tx, caller: Caller, page: FilesPage) -> tuple[StoredFile, ...]:
    """One more than the page's limit, where there are more."""
    return sql.select_files(tx, caller.project_id, page, op.now())


def remove(op: Op, tx: Tx, caller: Caller, file_id: str) -> None:
    """Raises FILE_NOT_FOUND."""
    if not sql.delete_file(tx, caller.project_id, _plain(file_id), op.now()):
        raise _not_found()


def drop_expired(op: Op, tx: Tx) -> int:
    """Delete at most ``BATCH`` whose time is over; more may be left while it is ``BATCH``."""
    return sql.delete_expired(tx, op.now(), BATCH)


def sealed_content(file: StoredFile, plain: bytes, key: bytes, noise: Randomness) -> bytes:
    """The form in which content is stored; ``key`` is the instance's sealing key."""
    return seal(plain, key, Place(_PURPOSE, (file.project_id, file.id)), noise)


def unsealed(sealed: bytes, key: bytes, project_id: str, file_id: str) -> bytes:
    """The content as it was uploaded. Raises INTERNAL where it cannot be read."""
    try:
        return unseal(sealed, key, Place(_PURPOSE, (project_id, file_id)))
    except Unreadable as error:
        raise Problem(Code.INTERNAL, "The file cannot be read.", detail=str(error)) from error


def _plain(file_id: str) -> str:
    if not file_id.isprintable():
        raise _not_found()
    return file_id


def _not_found() -> Problem:
    return Problem(Code.FILE_NOT_FOUND, "No file with that id belongs to this project.")
