"""Signed batches of receipts."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
APPEND_ONLY = {
    "receipt_key": "id",
    "receipt_batch": "id",
    "receipt_leaf": "request_id",
}
# table, name of the trigger, event, condition, the row that it adds. A call with a charge comes
# with that charge, which is booked in the same transaction.
FREE = "NEW.state <> 'open' AND NEW.txn_id IS NULL"
FED_BY = (
    ("ledger_txn", "added", "INSERT", "NEW.kind = 'charge'", "NEW.id, 'charge'"),
    ("call_record", "added", "INSERT", FREE, "NEW.request_id, 'call'"),
    (
        "call_record",
        "closed",
        "UPDATE OF state",
        f"OLD.state = 'open' AND {FREE}",
        "NEW.request_id, 'call'",
    ),
)


def upgrade() -> None:
    _signed()
    _due()
    op.create_index("ix_ledger_txn_org_booked", "ledger_txn", ["org_id", "created_us", "id"])
    charged = sa.text("txn_id IS NOT NULL")
    op.create_index(
        "ix_call_record_txn_id",
        "call_record",
        ["txn_id"],
        sqlite_where=charged,
        postgresql_where=charged,
    )
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
        _feed_sqlite()
    else:
        _guard_postgresql()
        _feed_postgresql()


def _signed() -> None:
    op.create_table(
        "receipt_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("created_us", INT64, nullable=False),
        sa.CheckConstraint("length(public) = 32", name=op.f("ck_receipt_key_public_size")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt_key")),
        sqlite_strict=True,
    )
    op.create_table(
        "receipt_batch",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("format", INT64, nullable=False),
        sa.Column("size", INT64, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("signed_us", INT64, nullable=False),
        sa.CheckConstraint("length(leaves) = 32 * size", name=op.f("ck_receipt_batch_leaves_size")),
        sa.CheckConstraint("length(root) = 32", name=op.f("ck_receipt_batch_root_size")),
        sa.CheckConstraint("length(signature) = 64", name=op.f("ck_receipt_batch_signature_size")),
        sa.CheckConstraint("size > 0", name=op.f("ck_receipt_batch_size_positive")),
        sa.ForeignKeyConstraint(
            ["key_id"], ["receipt_key.id"], name=op.f("fk_receipt_batch_key_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt_batch")),
        sqlite_strict=True,
    )
    op.create_table(
        "receipt_leaf",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("leaf_index", INT64, nullable=False),
        sa.CheckConstraint("leaf_index >= 0", name=op.f("ck_receipt_leaf_index_not_negative")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_receipt_leaf")),
        sqlite_strict=True,
    )


def _due() -> None:
    """Calls that ended before there were receipts get theirs too."""
    op.create_table(
        "receipt_due",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('charge', 'call')", name=op.f("ck_receipt_due_kind_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt_due")),
        sqlite_strict=True,
    )
    op.execute(
        "INSERT INTO receipt_due (id, kind) SELECT id, kind FROM ledger_txn WHERE kind = 'charge'"
    )
    op.execute(
        "INSERT INTO receipt_due (id, kind) SELECT request_id, 'call' FROM call_record"
        " WHERE state <> 'open' AND txn_id IS NULL"
    )


def _guard_sqlite() -> None:
    for table, key in APPEND_ONLY.items():
        taken = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"  # noqa: S608 - constants
        for name, event, when in (
            ("append_only", "UPDATE", ""),
            ("never_deleted", "DELETE", ""),
            ("never_replaced", "INSERT", taken),
        ):
            # The same public key again is no news and no harm.
            quiet = name == "never_replaced" and table == "receipt_key"
            raised = "IGNORE" if quiet else f"ABORT, '{table}_{name}'"
            op.execute(
                f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} FOR EACH ROW {when}"
                f" BEGIN SELECT RAISE({raised}); END"
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


def _feed_sqlite() -> None:
    for table, name, event, when, row in FED_BY:
        op.execute(
            f"CREATE TRIGGER {table}_due_{name} AFTER {event} ON {table} FOR EACH ROW WHEN {when}"  # noqa: S608 - constants
            f" BEGIN INSERT OR IGNORE INTO receipt_due (id, kind) VALUES ({row}); END"
        )


def _feed_postgresql() -> None:
    for kind, column in (("charge", "id"), ("call", "request_id")):
        op.execute(
            f"CREATE FUNCTION tokenbooth_{kind}_due() RETURNS trigger LANGUAGE plpgsql AS"  # noqa: S608 - constants
            f" $$ BEGIN INSERT INTO receipt_due (id, kind) VALUES (NEW.{column}, '{kind}')"
            " ON CONFLICT DO NOTHING; RETURN NULL; END $$"
        )
    for table, name, event, when, _ in FED_BY:
        kind = "charge" if table == "ledger_txn" else "call"
        op.execute(
            f"CREATE TRIGGER {table}_due_{name} AFTER {event} ON {table} FOR EACH ROW"
            f" WHEN ({when}) EXECUTE FUNCTION tokenbooth_{kind}_due()"
        )
