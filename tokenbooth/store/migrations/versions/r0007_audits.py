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
    _results()
    _readings()


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


def _results() -> None:
    op.create_table(
        "reconcile_result",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("replica_id", sa.Text(), nullable=False),
        sa.Column("sound", INT64, nullable=False),
        sa.Column("difference", INT64, nullable=False),
        sa.Column("from_us", INT64, nullable=False),
        sa.Column("until_us", INT64, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "subject IN ('ledger', 'engine')", name=op.f("ck_reconcile_result_subject_known")
        ),
        sa.CheckConstraint("sound IN (0, 1)", name=op.f("ck_reconcile_result_sound_flag")),
        sa.CheckConstraint(
            "difference >= 0", name=op.f("ck_reconcile_result_difference_not_negative")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconcile_result")),
        sqlite_strict=True,
    )
    op.create_index("ix_reconcile_result_until_us", "reconcile_result", ["until_us"])
    op.create_table(
        "reconcile_balance",
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("computed_nano", INT64, nullable=False),
        sa.Column("stored_nano", INT64, nullable=False),
        sa.Column("checked_us", INT64, nullable=False),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_reconcile_balance")),
        sqlite_strict=True,
    )


def _readings() -> None:
    op.create_table(
        "engine_reading",
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("replica_id", sa.Text(), nullable=False),
        sa.Column("epoch", INT64, nullable=False),
        sa.Column("generation", sa.Text(), nullable=False),
        sa.Column("input_tokens", INT64, nullable=False),
        sa.Column("output_tokens", INT64, nullable=False),
        sa.Column("rounding_tokens", INT64, nullable=False),
        sa.Column("from_us", INT64, nullable=False),
        sa.Column("until_us", INT64, nullable=False),
        sa.CheckConstraint(
            "input_tokens >= 0 AND output_tokens >= 0",
            name=op.f("ck_engine_reading_counts_not_negative"),
        ),
        sa.PrimaryKeyConstraint("deployment_id", "replica_id", name=op.f("pk_engine_reading")),
        sqlite_strict=True,
    )
