"""Brings a database to a schema revision. The migration library is imported here only."""

from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.files import copy_file, create_file
from tokenbooth.store.once import run_once
from tokenbooth.store.options import StoreOptions
from tokenbooth.store.revision import HEAD, revision_in

SCRIPTS = Path(__file__).parent / "migrations"
# Any fixed number: replicas that start together migrate one after the other.
POSTGRES_LOCK = 0x746F6B656E


def schema_revision(options: StoreOptions) -> str | None:
    """The revision in use; ``None`` for a database without schema, or none at all."""
    if options.is_sqlite and not options.sqlite_path.exists():
        return None
    return run_once(options, revision_in, reading=True)


def migrate(options: StoreOptions) -> Path | None:
    """Bring the schema to this program's revision; running it again changes nothing.

    An existing SQLite database is copied first; the copy's path is returned. All or nothing: a
    failing revision leaves the schema as it was. Raises STATE_CONFLICT for a schema that a newer
    program made, LEDGER_UNAVAILABLE when the database cannot be reached.
    """
    options.check()
    before = schema_revision(options)
    if before == HEAD:
        return None
    saved = None
    if options.is_sqlite:
        path = options.sqlite_path
        if before is None:
            create_file(path)
        else:
            saved = keep_copy(path, f"schema-{before}")
    run_once(options, lambda connection: upgrade(connection, HEAD))
    return saved


def keep_copy(path: Path, label: str) -> Path:
    """Copy a SQLite database beside itself, under a name that tells what came after."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    saved = path.with_name(f"{path.name}.{label}.{stamp}.backup")
    copy_file(path, saved)
    return saved


def is_known(revision: str) -> bool:
    """Whether this program can bring that schema up to its own."""
    script = ScriptDirectory(str(SCRIPTS))
    return any(known.revision == revision for known in script.walk_revisions())


def upgrade(connection: Connection, revision: str) -> None:
    """Apply every revision up to ``revision`` inside the open transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": POSTGRES_LOCK})
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise Problem(
            Code.STATE_CONFLICT,
            f"The database has a schema that this program does not know: {error}.",
        ) from error
