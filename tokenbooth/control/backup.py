"""Copies of the database: before each migration, on demand, and back again."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tokenbooth.control.serving import serving_lock
from tokenbooth.store import backup as store_backup
from tokenbooth.store.migrate import migrate, schema_revision
from tokenbooth.store.options import StoreOptions
from tokenbooth.store.revision import HEAD

US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """``backup`` is the copy from before; ``None`` when there was nothing to change or to copy."""

    before: str | None
    after: str | None
    backup: Path | None


def migrate_safely(data_dir: Path, store: StoreOptions, now_us: int) -> MigrationReport:
    """Bring the schema up to date, after a copy of what was there.

    Raises STATE_CONFLICT while the directory is served.
    """
    with serving_lock(data_dir):
        before = schema_revision(store)
        copy = None
        if not store.is_sqlite and before not in {None, HEAD}:
            copy = _fresh_path(data_dir, now_us)
            store_backup.backup(store, copy)
        copy = migrate(store) or copy
        return MigrationReport(before, schema_revision(store), copy)


def back_up(store: StoreOptions, path: Path) -> Path:
    """Write a consistent copy, also while the booth serves.

    Raises ALREADY_EXISTS for a taken name, STATE_CONFLICT for a place that cannot be written.
    """
    target = path.expanduser().absolute()
    store_backup.backup(store, target)
    return target


def restore(data_dir: Path, store: StoreOptions, path: Path) -> Path:
    """Replace the database by a copy and bring its schema up to date.

    Raises STATE_CONFLICT while the directory is served, INVALID_VALUE for a file that is no copy.
    """
    source = path.expanduser().absolute()
    with serving_lock(data_dir):
        store_backup.restore(store, source)
    return source


def _fresh_path(data_dir: Path, now_us: int) -> Path:
    folder = data_dir / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    moment = datetime.fromtimestamp(now_us // US_PER_S, UTC).strftime("%Y%m%dT%H%M%SZ")
    return folder / f"{moment}-{now_us % US_PER_S:06d}.backup"
