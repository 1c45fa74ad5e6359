"""Results of the reconciler, and thresholds of spend alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    _alerts()


def _alerts() -> None:
    op.create_table(
        "alert_rule",
        sa.Column("level_id", sa.Text(), nullable=False),
        sa.Column("percents", sa.Text(), nullable=False),
        sa.Column("set_us", INT64, nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("level_id", name=op.f("pk_alert_rule")),
        sqlite_strict=True,
    )
    op.create_table(
        "alert_base",
        sa.Column("level_id", sa.Text(), nullable=False),
        sa.Column("limit_nano", INT64, nullable=False),
        sa.Column("spent_nano", INT64, nullable=False),
        sa.CheckConstraint("limit_nano >= 0", name=op.f("ck_alert_base_limit_not_negative")),
        sa.CheckConstraint("spent_nano >= 0", name=op.f("ck_alert_base_spent_not_negative")),
        sa.PrimaryKeyConstraint("level_id", name=op.f("pk_alert_base")),
        sqlite_strict=True,
    )
