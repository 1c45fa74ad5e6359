"""What is kept of calls: claims of idempotency keys with their sealed answers, and for how long."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
)

from tokenbooth.store.tables.metadata import METADATA, Flag, MicroTime, WholeNumber

# One row for each key of a project. state: running, then done (the answer was whole) or failed (a
# part of it was charged); a call that cost nothing and failed leaves no row. body_sha256: of path
# and body · replica_id, epoch: the run of the process that has the call · lacks: why there is no
# answer to replay · sealed: see content/sealing; last, because it is long
REPLAY = Table(
    "replay",
    METADATA,
    Column("project_id", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("org_id", Text, nullable=False),
    Column("body_sha256", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("replica_id", Text, nullable=False),
    Column("epoch", WholeNumber, nullable=False),
    Column("created_us", MicroTime, nullable=False),
    Column("expires_us", MicroTime, nullable=False),
    Column("outcome", Text),
    Column("lacks", Text),
    Column("sealed", LargeBinary),
    ForeignKeyConstraint(["org_id", "project_id"], ["project.org_id", "project.id"]),
    CheckConstraint("length(body_sha256) = 32", name="body_length"),
    CheckConstraint("state IN ('running', 'done', 'failed')", name="state_known"),
    CheckConstraint("(state = 'running') = (outcome IS NULL)", name="outcome_when_over"),
    CheckConstraint(
        "(state <> 'running' AND lacks IS NULL) = (sealed IS NOT NULL)", name="answer_or_reason"
    ),
    CheckConstraint("state = 'done' OR sealed IS NULL", name="answer_when_done"),
    sqlite_strict=True,
)
Index("ix_replay_expires_us", REPLAY.c.expires_us)
Index(
    "ix_replay_running",
    REPLAY.c.replica_id,
    sqlite_where=REPLAY.c.state == "running",
    postgresql_where=REPLAY.c.state == "running",
)
Index(
    "ix_replay_sealed",
    REPLAY.c.project_id,
    sqlite_where=REPLAY.c.sealed.is_not(None),
    postgresql_where=REPLAY.c.sealed.is_not(None),
)

# A project without a row keeps its answers.
ANSWER_RETENTION = Table(
    "answer_retention",
    METADATA,
    Column("project_id", Text, ForeignKey("project.id"), primary_key=True),
    Column("kept", Flag, nullable=False),
    Column("set_us", MicroTime, nullable=False),
    Column("set_by", Text, nullable=False),
    CheckConstraint("kept IN (0, 1)", name="kept_flag"),
    sqlite_strict=True,
)
