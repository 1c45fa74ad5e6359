"""Which schema a database has: cheap to ask, without the migration library."""

from typing import cast

from sqlalchemy import Connection, inspect, text

from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem

HEAD = "0011"
VERSION_TABLE = "alembic_version"


def revision_in(tx: Tx) -> str | None:
    """The revision of an open database; ``None`` when it has no schema yet."""
    connection = cast("Connection", tx)
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant


def require_current(tx: Tx) -> None:
    """Raise STATE_CONFLICT unless the schema is this program's: ``store.read(require_current)``."""
    found = revision_in(tx)
    if found != HEAD:
        raise Problem(
            Code.STATE_CONFLICT,
            f"The database has schema {found or 'none'}, this program needs {HEAD}:"
            " run `tokenbooth migrate`.",
        )
