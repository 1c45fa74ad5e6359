"""Idempotency claims and the sealed answers that they replay."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    _replays()
    _retention()


def _replays() -> None:
    op.create_table(
        "replay",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("replica_id", sa.Text(), nullable=False),
        sa.Column("epoch", INT64, nullable=False),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("expires_us", INT64, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("lacks", sa.Text(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("length(body_sha256) = 32", name=op.f("ck_replay_body_length")),
        sa.CheckConstraint(
            "state IN ('running', 'done', 'failed')", name=op.f("ck_replay_state_known")
        ),
        sa.CheckConstraint(
            "(state = 'running') = (outcome IS NULL)", name=op.f("ck_replay_outcome_when_over")
        ),
        sa.CheckConstraint(
            "(state <> 'running' AND lacks IS NULL) = (sealed IS NOT NULL)",
            name=op.f("ck_replay_answer_or_reason"),
        ),
        sa.CheckConstraint(
            "state = 'done' OR sealed IS NULL", name=op.f("ck_replay_answer_when_done")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "project_id"],
            ["project.org_id", "project.id"],
            name=op.f("fk_replay_org_id_project_id"),
        ),
        sa.PrimaryKeyConstraint("project_id", "idempotency_key", name=op.f("pk_replay")),
        sqlite_strict=True,
    )
    op.create_index("ix_replay_expires_us", "replay", ["expires_us"], unique=False)
    op.create_index(
        "ix_replay_running",
        "replay",
        ["replica_id"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_replay_sealed",
        "replay",
        ["project_id"],
        unique=False,
        sqlite_where=sa.text("sealed IS NOT NULL"),
        postgresql_where=sa.text("sealed IS NOT NULL"),
    )


def _retention() -> None:
    op.create_table(
        "answer_retention",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("kept", INT64, nullable=False),
        sa.Column("set_us", INT64, nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.CheckConstraint("kept IN (0, 1)", name=op.f("ck_answer_retention_kept_flag")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_answer_retention_project_id")
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_answer_retention")),
        sqlite_strict=True,
    )
