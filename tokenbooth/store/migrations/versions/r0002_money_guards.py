"""Triggers that keep booked money as it was booked, whatever program asks."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Neither changed nor deleted, once inserted.
APPEND_ONLY = ("price_version", "price_line", "ledger_txn", "ledger_posting")
NEVER_DELETED = ("spend_limit", "ledger_account", "call_record")
# When a new row would take a present one's place: SQLite's INSERT OR REPLACE deletes that one
# without a word to the triggers on DELETE.
SAME_ROW = {
    "price_version": "id = NEW.id OR (model = NEW.model AND sequence = NEW.sequence)",
    "price_line": "version_id = NEW.version_id AND meter = NEW.meter",
    "ledger_txn": "id = NEW.id",
    "ledger_posting": "txn_id = NEW.txn_id AND line = NEW.line",
    "spend_limit": "id = NEW.id",
    "ledger_account": "id = NEW.id",
    "call_record": "request_id = NEW.request_id",
}
# What a hold was taken for, and at which price.
CALL_FIXED = (
    "request_id",
    "org_id",
    "project_id",
    "key_id",
    "end_customer",
    "model",
    "stream",
    "replica_id",
    "price_version",
    "held_nano",
    "held_input_tokens",
    "held_output_tokens",
    "created_us",
)
# What a resolved call cost, and why. A loss of the operator may still be added.
CALL_FINAL = (
    "state",
    "swept",
    "outcome",
    "reason",
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
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _guard_sqlite() -> None:
    def guard(name: str, event: str, table: str, action: str, when: str) -> None:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {when}"
            f" BEGIN SELECT RAISE({action}); END"
        )

    def refuse(name: str, event: str, table: str, when: str = "") -> None:
        guard(name, event, table, f"ABORT, '{name}'", when)

    for table in APPEND_ONLY:
        refuse(f"{table}_append_only", "UPDATE", table)
    for table in (*APPEND_ONLY, *NEVER_DELETED):
        refuse(f"{table}_never_deleted", "DELETE", table)
    for table, same in SAME_ROW.items():
        # Where a second insert is expected to do nothing, this one does nothing too.
        action = "IGNORE" if table in NEVER_DELETED else f"ABORT, '{table}_never_replaced'"
        when = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 - constants
        guard(f"{table}_never_replaced", "INSERT", table, action, when)
    refuse("call_record_fixed", f"UPDATE OF {', '.join(CALL_FIXED)}", "call_record")
    refuse(
        "call_record_final",
        f"UPDATE OF {', '.join(CALL_FINAL)}",
        "call_record",
        "WHEN OLD.state <> 'open'",
    )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION tokenbooth_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_NAME; END $$"
    )

    def refuse(name: str, event: str, table: str, when: str = "", level: str = "ROW") -> None:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH {level} {when}"
            " EXECUTE FUNCTION tokenbooth_refuse()"
        )

    for table in APPEND_ONLY:
        refuse(f"{table}_append_only", "UPDATE", table)
    for table in (*APPEND_ONLY, *NEVER_DELETED):
        refuse(f"{table}_never_deleted", "DELETE", table)
        refuse(f"{table}_never_emptied", "TRUNCATE", table, level="STATEMENT")
    refuse("call_record_fixed", f"UPDATE OF {', '.join(CALL_FIXED)}", "call_record")
    refuse(
        "call_record_final",
        f"UPDATE OF {', '.join(CALL_FINAL)}",
        "call_record",
        "WHEN (OLD.state <> 'open')",
    )
