"""Stored responses with what they were asked, and the events of those in the background."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
)

from tokenbooth.store.tables.metadata import METADATA, Flag, MicroTime, WholeNumber

# state: over, or running, which only a background response is before it is over · previous_id: of
# the response that it went on from · replica_id, epoch: the run of the process that has the call ·
# cancel_us: when its caller asked to end it · sealed: what was asked and what became of it, see
# content/responses/service.py; last, because it is long
STORED_RESPONSE = Table(
    "stored_response",
    METADATA,
    Column("project_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("org_id", Text, nullable=False),
    Column("previous_id", Text),
    Column("background", Flag, nullable=False),
    Column("state", Text, nullable=False),
    Column("replica_id", Text, nullable=False),
    Column("epoch", WholeNumber, nullable=False),
    Column("created_us", MicroTime, nullable=False),
    Column("expires_us", MicroTime, nullable=False),
    Column("cancel_us", MicroTime),
    Column("sealed", LargeBinary, nullable=False),
    ForeignKeyConstraint(["org_id", "project_id"], ["project.org_id", "project.id"]),
    CheckConstraint("background IN (0, 1)", name="background_flag"),
    CheckConstraint("state IN ('running', 'over')", name="state_known"),
    CheckConstraint("state = 'over' OR background = 1", name="running_in_background"),
    sqlite_strict=True,
)
Index("ix_stored_response_expires_us", STORED_RESPONSE.c.expires_us)
Index(
    "ix_stored_response_running",
    STORED_RESPONSE.c.replica_id,
    sqlite_where=STORED_RESPONSE.c.state == "running",
    postgresql_where=STORED_RESPONSE.c.state == "running",
)

# first_number: sequence_number of the first event in sealed
RESPONSE_EVENTS = Table(
    "response_events",
    METADATA,
    Column("project_id", Text, primary_key=True),
    Column("response_id", Text, primary_key=True),
    Column("first_number", WholeNumber, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["project_id", "response_id"],
        ["stored_response.project_id", "stored_response.id"],
        ondelete="CASCADE",
    ),
    sqlite_strict=True,
)
