"""What is said of models."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    _cards()


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
