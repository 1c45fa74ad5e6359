"""Stored responses, and the events of those that run in the background."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    _responses()
    _events()


def _responses() -> None:
    op.create_table(
        "stored_response",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("previous_id", sa.Text(), nullable=True),
        sa.Column("background", INT64, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("replica_id", sa.Text(), nullable=False),
        sa.Column("epoch", INT64, nullable=False),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("expires_us", INT64, nullable=False),
        sa.Column("cancel_us", INT64, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("background IN (0, 1)", name=op.f("ck_stored_response_background_flag")),
        sa.CheckConstraint(
            "state IN ('running', 'over')", name=op.f("ck_stored_response_state_known")
        ),
        sa.CheckConstraint(
            "state = 'over' OR background = 1",
            name=op.f("ck_stored_response_running_in_background"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "project_id"],
            ["project.org_id", "project.id"],
            name=op.f("fk_stored_response_org_id_project_id"),
        ),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_stored_response")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_stored_response_expires_us", "stored_response", ["expires_us"], unique=False
    )
    op.create_index(
        "ix_stored_response_running",
        "stored_response",
        ["replica_id"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )


def _events() -> None:
    op.create_table(
        "response_events",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("response_id", sa.Text(), nullable=False),
        sa.Column("first_number", INT64, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "response_id"],
            ["stored_response.project_id", "stored_response.id"],
            name=op.f("fk_response_events_project_id_response_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "project_id", "response_id", "first_number", name=op.f("pk_response_events")
        ),
        sqlite_strict=True,
    )
