"""Leased budget blocks: limits with windows, replicas with epochs, leases, the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
WINDOWED_ID = (
    "id = scope || ':' || owner_id || CASE WHEN window_id = '' THEN '' ELSE '@' || window_id END"
)
SCOPES = "scope IN ('balance', 'organization', 'project', 'key', 'end_customer', 'plan')"
CALL_FIXED = (
    "request_id",
    "org_id",
    "project_id",
    "key_id",
    "end_customer",
    "model",
    "stream",
    "replica_id",
    "epoch",
    "chain",
    "price_version",
    "created_us",
)
CALL_FINAL = (
    "state",
    "swept",
    "txn_id",
    "deployment_id",
    "outcome",
    "reason",
    "held_nano",
    "held_input_tokens",
    "held_output_tokens",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "reasoning_tokens",
    "usage_source",
    "cost_nano",
    "started_us",
    "first_output_us",
    "ended_us",
    "fingerprint",
)


def upgrade() -> None:
    _resolve_open_calls()
    _drop_call_guards()
    _limits()
    _replicas()
    _outbox()
    _calls()
    _guard()


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _resolve_open_calls() -> None:
    """No server runs during a migration, so whatever is still open never ended."""
    op.execute(
        "UPDATE call_record SET state = 'void', swept = 1, outcome = 'interrupted', reason ="
        " 'The server stopped while the call ran; nothing is charged.', input_tokens = 0,"
        " output_tokens = 0, reasoning_tokens = 0, usage_source = 'bound', ended_us = created_us"
        " WHERE state = 'open'"
    )
    op.execute("UPDATE spend_limit SET held_nano = 0")


def _drop_call_guards() -> None:
    for name in ("call_record_fixed", "call_record_final"):
        op.execute(f"DROP TRIGGER {name}" + ("" if _is_sqlite() else " ON call_record"))


def _limits() -> None:
    with op.batch_alter_table("spend_limit", table_kwargs={"sqlite_strict": True}) as table:
        table.add_column(sa.Column("window_id", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("period", sa.Text(), nullable=False, server_default="none"))
        table.add_column(sa.Column("leased_nano", INT64, nullable=False, server_default="0"))
        table.add_column(sa.Column("recall", INT64, nullable=False, server_default="0"))
        for name in ("id_of_owner", "scope_known", "never_over"):
            table.drop_constraint(op.f(f"ck_spend_limit_{name}"), type_="check")
        for name, rule in (
            ("id_of_owner", WINDOWED_ID),
            ("scope_known", SCOPES),
            ("period_known", "period IN ('none', 'day', 'month')"),
            ("window_of_period", "window_id = '' OR period <> 'none'"),
            ("held_within_lease", "held_nano <= leased_nano"),
            (
                "never_over",
                "spent_nano + leased_nano <= limit_nano OR (period <> 'none' AND window_id = '')",
            ),
        ):
            table.create_check_constraint(op.f(f"ck_spend_limit_{name}"), rule)


def _replicas() -> None:
    op.drop_table("replica")
    op.create_table(
        "replica",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("epoch", INT64, nullable=False),
        sa.Column("rounds", INT64, nullable=False),
        sa.Column("journal_id", sa.Text(), nullable=False),
        sa.Column("forfeited_epoch", INT64, nullable=False),
        sa.Column("started_us", INT64, nullable=False),
        sa.Column("seen_us", INT64, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replica")),
        sqlite_strict=True,
    )
    op.create_table(
        "lease",
        sa.Column("replica_id", sa.Text(), nullable=False),
        sa.Column("limit_id", sa.Text(), nullable=False),
        sa.Column("granted_nano", INT64, nullable=False),
        sa.Column("held_nano", INT64, nullable=False),
        sa.Column("recall_seen", INT64, nullable=False),
        sa.CheckConstraint("held_nano >= 0", name=op.f("ck_lease_held_not_negative")),
        sa.CheckConstraint("held_nano <= granted_nano", name=op.f("ck_lease_held_within_lease")),
        sa.ForeignKeyConstraint(["replica_id"], ["replica.id"], name=op.f("fk_lease_replica_id")),
        sa.ForeignKeyConstraint(["limit_id"], ["spend_limit.id"], name=op.f("fk_lease_limit_id")),
        sa.PrimaryKeyConstraint("replica_id", "limit_id", name=op.f("pk_lease")),
        sqlite_strict=True,
    )
    op.create_index("ix_lease_limit_id", "lease", ["limit_id"])


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("sent_us", INT64),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("key", name=op.f("uq_outbox_key")),
        sqlite_strict=True,
    )
    op.create_index("ix_outbox_org_id", "outbox", ["org_id", "id"])


def _calls() -> None:
    with op.batch_alter_table("call_record", table_kwargs={"sqlite_strict": True}) as table:
        table.add_column(sa.Column("epoch", INT64, nullable=False, server_default="0"))
        table.add_column(sa.Column("chain", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("deployment_id", sa.Text()))
        table.add_column(sa.Column("txn_id", sa.Text()))
        table.create_foreign_key(op.f("fk_call_record_txn_id"), "ledger_txn", ["txn_id"], ["id"])
    op.execute(
        "UPDATE call_record SET chain = 'balance:' || org_id || ' organization:' || org_id ||"
        " ' project:' || project_id || ' key:' || key_id"
    )
    op.execute(
        "UPDATE call_record SET txn_id = 'charge:' || org_id || ':' || request_id"
        " WHERE cost_nano > 0"
    )


def _guard() -> None:
    """The batches above made the tables anew on SQLite, without their triggers."""
    closed = "OLD.state <> 'open'"
    if not _is_sqlite():
        refuse = "EXECUTE FUNCTION tokenbooth_refuse()"
        on = "ON call_record FOR EACH ROW"
        op.execute(
            f"CREATE TRIGGER call_record_fixed BEFORE UPDATE OF {', '.join(CALL_FIXED)}"
            f" {on} {refuse}"
        )
        op.execute(
            f"CREATE TRIGGER call_record_final BEFORE UPDATE OF {', '.join(CALL_FINAL)}"
            f" {on} WHEN ({closed}) {refuse}"
        )
        return
    for table, key in (("spend_limit", "id"), ("call_record", "request_id")):
        _sqlite_trigger(f"{table}_never_deleted", f"DELETE ON {table}", "ABORT")
        same = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"  # noqa: S608 - constants
        _sqlite_trigger(f"{table}_never_replaced", f"INSERT ON {table}", "IGNORE", same)
    fixed, final = ", ".join(CALL_FIXED), ", ".join(CALL_FINAL)
    _sqlite_trigger("call_record_fixed", f"UPDATE OF {fixed} ON call_record", "ABORT")
    _sqlite_trigger(
        "call_record_final", f"UPDATE OF {final} ON call_record", "ABORT", f"WHEN {closed}"
    )


def _sqlite_trigger(name: str, event: str, action: str, when: str = "") -> None:
    raised = action if action == "IGNORE" else f"{action}, '{name}'"
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {event} FOR EACH ROW {when}"
        f" BEGIN SELECT RAISE({raised}); END"
    )
