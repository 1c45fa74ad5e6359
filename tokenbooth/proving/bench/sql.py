"""Statements of measurements, which ask about the database itself."""

from sqlalchemy import func, select

from tokenbooth.core.ports import Tx

_BACKEND = select(func.pg_backend_pid())
_SYNCED = select(func.current_setting("fsync"))


def backend_pid(tx: Tx) -> int:
    """The process of PostgreSQL that serves this transaction."""
    return int(tx.execute(_BACKEND).scalar_one())


def synced(tx: Tx) -> bool:
    """Whether PostgreSQL waits for its disk at all; without, a power cut may lose its files."""
    return str(tx.execute(_SYNCED).scalar_one()) == "on"
