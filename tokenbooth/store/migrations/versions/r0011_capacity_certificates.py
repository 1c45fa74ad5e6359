"""Capacity certificates in force."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "capacity_certificate",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("sequence", INT64, nullable=False, autoincrement=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("concurrency", INT64, nullable=False),
        sa.Column("calls_per_ks", INT64, nullable=False),
        sa.Column("ttft_us", INT64, nullable=False),
        sa.Column("tpot_us", INT64, nullable=False),
        sa.Column("attainment_ppm", INT64, nullable=False),
        sa.Column("issued_us", INT64, nullable=False),
        sa.Column("expires_us", INT64, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("effective_us", INT64, nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.CheckConstraint("sequence > 0", name=op.f("ck_capacity_certificate_sequence_positive")),
        sa.CheckConstraint(
            "concurrency > 0 AND calls_per_ks > 0",
            name=op.f("ck_capacity_certificate_capacity_positive"),
        ),
        sa.CheckConstraint(
            "expires_us > issued_us", name=op.f("ck_capacity_certificate_expires_later")
        ),
        sa.PrimaryKeyConstraint("model", "sequence", name=op.f("pk_capacity_certificate")),
        sqlite_strict=True,
    )
