"""Stages, cohorts, evidence, waivers and promises of launches."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
# Each with the columns that say which row of it is the same row.
APPEND_ONLY = {
    "launch_stage": ("model", "capability", "sequence"),
    "launch_member": ("cohort", "org_id", "sequence"),
    "launch_evidence": ("digest",),
    "launch_revocation": ("digest",),
    "launch_waiver": ("model", "stage", "gate", "sequence"),
    "launch_slip": ("model", "stage", "sequence"),
}


def upgrade() -> None:
    _stages()
    _cohorts()
    _evidence()
    _promises()
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, INT64, nullable=False)


def _sequence() -> sa.Column[int]:
    return sa.Column("sequence", INT64, nullable=False, autoincrement=False)


def _positive(table: str) -> sa.CheckConstraint:
    return sa.CheckConstraint("sequence > 0", name=op.f(f"ck_{table}_sequence_positive"))


def _stages() -> None:
    op.create_table(
        "launch_stage",
        _text("model"),
        _text("capability"),
        _sequence(),
        _text("stage"),
        sa.Column("sunset_us", INT64, nullable=True),
        sa.Column("successor", sa.Text(), nullable=True),
        _text("reason"),
        _text("report"),
        _whole("effective_us"),
        _text("author"),
        _positive("launch_stage"),
        sa.PrimaryKeyConstraint("model", "capability", "sequence", name=op.f("pk_launch_stage")),
        sqlite_strict=True,
    )


def _cohorts() -> None:
    op.create_table(
        "launch_cohort",
        _text("name"),
        _text("model"),
        sa.Column("organizations_max", INT64, nullable=True),
        sa.Column("cap_nano", INT64, nullable=True),
        sa.Column("requests_per_minute", INT64, nullable=True),
        sa.Column("tokens_per_minute", INT64, nullable=True),
        sa.Column("parallel_calls", INT64, nullable=True),
        _whole("created_us"),
        _text("created_by"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_launch_cohort")),
        sqlite_strict=True,
    )
    op.create_index("ix_launch_cohort_model", "launch_cohort", ["model"])
    op.create_table(
        "launch_member",
        _text("cohort"),
        _text("org_id"),
        _sequence(),
        _text("state"),
        _whole("effective_us"),
        _text("author"),
        _positive("launch_member"),
        sa.CheckConstraint(
            "state IN ('waiting', 'invited', 'removed')", name=op.f("ck_launch_member_state_known")
        ),
        sa.PrimaryKeyConstraint("cohort", "org_id", "sequence", name=op.f("pk_launch_member")),
        sqlite_strict=True,
    )
    op.create_index("ix_launch_member_org_id", "launch_member", ["org_id"])


def _evidence() -> None:
    op.create_table(
        "launch_evidence",
        _text("digest"),
        _text("model"),
        _text("kind"),
        _whole("issued_us"),
        _text("document"),
        _whole("added_us"),
        _text("added_by"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_launch_evidence")),
        sqlite_strict=True,
    )
    op.create_index("ix_launch_evidence_model", "launch_evidence", ["model", "issued_us"])
    op.create_table(
        "launch_revocation",
        _text("digest"),
        _text("reason"),
        _whole("revoked_us"),
        _text("revoked_by"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_launch_revocation")),
        sqlite_strict=True,
    )


def _promises() -> None:
    op.create_table(
        "launch_waiver",
        _text("model"),
        _text("stage"),
        _text("gate"),
        _sequence(),
        _text("owner"),
        _text("reason"),
        _whole("expires_us"),
        _whole("granted_us"),
        _text("granted_by"),
        _positive("launch_waiver"),
        sa.PrimaryKeyConstraint(
            "model", "stage", "gate", "sequence", name=op.f("pk_launch_waiver")
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "launch_slip",
        _text("model"),
        _text("stage"),
        _sequence(),
        _whole("promised_us"),
        sa.Column("early_us", INT64, nullable=True),
        sa.Column("late_us", INT64, nullable=True),
        _text("reason"),
        _whole("said_us"),
        _text("author"),
        _positive("launch_slip"),
        sa.PrimaryKeyConstraint("model", "stage", "sequence", name=op.f("pk_launch_slip")),
        sqlite_strict=True,
    )


def _guard_sqlite() -> None:
    for table, keys in APPEND_ONLY.items():
        same = " AND ".join(f"{key} = NEW.{key}" for key in keys)
        taken = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 - constants
        for name, event, when in (
            ("append_only", "UPDATE", ""),
            ("never_deleted", "DELETE", ""),
            ("never_replaced", "INSERT", taken),
        ):
            op.execute(
                f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} FOR EACH ROW {when}"
                f" BEGIN SELECT RAISE(ABORT, '{table}_{name}'); END"
            )


def _guard_postgresql() -> None:
    for table in APPEND_ONLY:
        for name, event, level in (
            ("append_only", "UPDATE", "ROW"),
            ("never_deleted", "DELETE", "ROW"),
            ("never_emptied", "TRUNCATE", "STATEMENT"),
        ):
            op.execute(
                f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table}"
                f" FOR EACH {level} EXECUTE FUNCTION tokenbooth_refuse()"
            )
