"""Statements on files; the project stands in every WHERE but the worker's."""

from typing import Any

from sqlalchemy import delete, func, insert, select

from tokenbooth.content.files.values import FilesPage, Purpose, StoredFile
from tokenbooth.core.ports import Tx
from tokenbooth.store.tables.access import PROJECT
from tokenbooth.store.tables.files import STORED_FILE

_C = STORED_FILE.c
_FACTS = [column for column in _C if column is not _C.sealed]


def lock_project(tx: Tx, project_id: str) -> None:
    """Of two uploads at once, the second counts the first."""
    tx.execute(select(PROJECT.c.id).where(PROJECT.c.id == project_id).with_for_update())


def room_taken(tx: Tx, project_id: str) -> tuple[int, int]:
    """Files of a project, and their bytes; those that expired and still lie there count too."""
    wanted = select(func.count(), func.coalesce(func.sum(_C.size_bytes), 0))
    files, size_bytes = tx.execute(wanted.where(_C.project_id == project_id)).one()
    return int(files), int(size_bytes)


def insert_file(tx: Tx, file: StoredFile, sealed: bytes) -> None:
    tx.execute(
        insert(STORED_FILE).values(
            id=file.id,
            org_id=file.org_id,
            project_id=file.project_id,
            key_id=file.key_id,
            file_name=file.file_name,
            purpose=file.purpose.value,
            size_bytes=file.size_bytes,
            created_us=file.created_us,
            expires_us=file.expires_us,
            sealed=sealed,
        )
    )


def select_file(tx: Tx, project_id: str, file_id: str, now_us: int) -> StoredFile | None:
    row = tx.execute(select(*_FACTS).where(*_is(project_id, file_id, now_us))).first()
    return None if row is None else _file(row)


def select_sealed(tx: Tx, project_id: str, file_id: str, now_us: int) -> bytes | None:
    sealed = tx.execute(select(_C.sealed).where(*_is(project_id, file_id, now_us))).scalar()
    return None if sealed is None else bytes(sealed)


def select_files(tx: Tx, project_id: str, page: FilesPage, now_us: int) -> tuple[StoredFile, ...]:
    """One more than the page's limit, where there are more. Ids rise with time."""
    wanted = select(*_FACTS).where(_C.project_id == project_id, _C.expires_us > now_us)
    if page.purpose is not None:
        wanted = wanted.where(_C.purpose == page.purpose.value)
    if page.after is not None:
        beyond = _C.id > page.after if page.oldest_first else _C.id < page.after
        wanted = wanted.where(beyond)
    order = _C.id.asc() if page.oldest_first else _C.id.desc()
    return tuple(_file(row) for row in tx.execute(wanted.order_by(order).limit(page.limit + 1)))


def delete_file(tx: Tx, project_id: str, file_id: str, now_us: int) -> bool:
    """False when there was none."""
    gone: int = tx.execute(delete(STORED_FILE).where(*_is(project_id, file_id, now_us))).rowcount
    return gone > 0


def delete_expired(tx: Tx, now_us: int, count: int) -> int:
    """At most ``count``, whose files they may be; how many."""
    old = (
        select(_C.id)
        .where(_C.expires_us <= now_us)
        .order_by(_C.expires_us)
        .limit(count)
        .with_for_update(skip_locked=True)
    )
    gone: int = tx.execute(delete(STORED_FILE).where(_C.id.in_(old))).rowcount
    return gone


def _is(project_id: str, file_id: str, now_us: int) -> tuple[Any, ...]:
    return (_C.project_id == project_id, _C.id == file_id, _C.expires_us > now_us)


def _file(row: Any) -> StoredFile:
    return StoredFile(
        id=row.id,
        org_id=row.org_id,
        project_id=row.project_id,
        key_id=row.key_id,
        file_name=row.file_name,
        purpose=Purpose(row.purpose),
        size_bytes=row.size_bytes,
        created_us=row.created_us,
        expires_us=row.expires_us,
    )
