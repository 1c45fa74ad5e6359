"""Files that projects uploaded, sealed, until they expire."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
)

from tokenbooth.store.tables.metadata import METADATA, MicroTime, WholeNumber

# sealed: see content/sealing; last, because it is long
STORED_FILE = Table(
    "stored_file",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("org_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("size_bytes", WholeNumber, nullable=False),
    Column("created_us", MicroTime, nullable=False),
    Column("expires_us", MicroTime, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    ForeignKeyConstraint(["org_id", "project_id"], ["project.org_id", "project.id"]),
    CheckConstraint("size_bytes >= 0", name="size_not_negative"),
    CheckConstraint("expires_us > created_us", name="expires_later"),
    sqlite_strict=True,
)
Index("ix_stored_file_project_id", STORED_FILE.c.project_id, STORED_FILE.c.id)
Index("ix_stored_file_expires_us", STORED_FILE.c.expires_us)
