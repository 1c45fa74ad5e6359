"""What is said of models, and files that projects upload."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    _cards()
    _files()


def _cards() -> None:
    op.create_table(
        "model_card",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("sequence", INT64, nullable=False, autoincrement=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("shutdown_us", INT64, nullable=True),
        sa.Column("effective_us", INT64, nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.CheckConstraint("sequence > 0", name=op.f("ck_model_card_sequence_positive")),
        sa.CheckConstraint(
            "stage IN ('private_preview', 'public_preview', 'ga', 'deprecated')",
            name=op.f("ck_model_card_stage_known"),
        ),
        sa.PrimaryKeyConstraint("model", "sequence", name=op.f("pk_model_card")),
        sqlite_strict=True,
    )


def _files() -> None:
    op.create_table(
        "stored_file",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("size_bytes", INT64, nullable=False),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("expires_us", INT64, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_stored_file_size_not_negative")),
        sa.CheckConstraint("expires_us > created_us", name=op.f("ck_stored_file_expires_later")),
        sa.ForeignKeyConstraint(
            ["org_id", "project_id"],
            ["project.org_id", "project.id"],
            name=op.f("fk_stored_file_org_id_project_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_file")),
        sqlite_strict=True,
    )
    op.create_index("ix_stored_file_project_id", "stored_file", ["project_id", "id"])
    op.create_index("ix_stored_file_expires_us", "stored_file", ["expires_us"])
