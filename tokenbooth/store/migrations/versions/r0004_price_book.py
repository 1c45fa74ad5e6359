"""Price books in any currency, with tiers, data terms, context steps and locks."""

import sqlalchemy as sa
from alembic import op

from tokenbooth.store.migrations.versions import r0003_leases

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
METERS = (
    "meter IN ('input', 'cached_input', 'cache_write', 'output', 'reasoning', 'image',"
    " 'audio_s', 'video_s', 'search', 'call')"
)
LINE_KEY = ("version_id", "tier", "data_terms", "context_min_tokens", "meter")
COUNTS = ("cache_write_tokens", "images", "audio_s", "video_s", "searches")
CALL_FIXED = (*r0003_leases.CALL_FIXED, "tier", "data_terms")
CALL_FINAL = (*r0003_leases.CALL_FINAL, *COUNTS)


def upgrade() -> None:
    _books()
    _versions()
    _lines()
    _locks()
    _calls()
    _projects()
    _guard()


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _books() -> None:
    op.create_table(
        "price_book",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint("length(currency) = 3", name=op.f("ck_price_book_currency_code")),
        sa.CheckConstraint("name <> 'default'", name=op.f("ck_price_book_not_the_default")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_book")),
        sa.UniqueConstraint("name", name=op.f("uq_price_book_name")),
        sqlite_strict=True,
    )
    op.create_table(
        "org_book",
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("book_id", sa.Text(), nullable=False),
        sa.Column("set_us", INT64, nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["book_id"], ["price_book.id"], name=op.f("fk_org_book_book_id")),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_org_book")),
        sqlite_strict=True,
    )


def _versions() -> None:
    """Added in place: calls refer to this table, which SQLite therefore cannot make anew."""
    for name, default in (("book_id", "default"), ("currency", "USD")):
        op.add_column(
            "price_version", sa.Column(name, sa.Text(), nullable=False, server_default=default)
        )


def _lines() -> None:
    """Made anew on SQLite, where nothing refers to it; the lines that are there stay readable."""
    with op.batch_alter_table("price_line", table_kwargs={"sqlite_strict": True}) as table:
        table.add_column(sa.Column("tier", sa.Text(), nullable=False, server_default="standard"))
        table.add_column(
            sa.Column("data_terms", sa.Text(), nullable=False, server_default="private")
        )
        table.add_column(sa.Column("context_min_tokens", INT64, nullable=False, server_default="0"))
        table.drop_constraint(op.f("pk_price_line"), type_="primary")
        table.create_primary_key(op.f("pk_price_line"), list(LINE_KEY))
        table.drop_constraint(op.f("ck_price_line_meter_known"), type_="check")
        for name, rule in (
            ("meter_known", METERS),
            ("tier_known", "tier IN ('standard', 'priority', 'flex', 'batch')"),
            ("data_terms_known", "data_terms IN ('private', 'contributor')"),
            ("context_not_negative", "context_min_tokens >= 0"),
        ):
            table.create_check_constraint(op.f(f"ck_price_line_{name}"), rule)


def _locks() -> None:
    op.create_table(
        "price_lock",
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("sequence", INT64, nullable=False),
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("from_us", INT64, nullable=False),
        sa.Column("until_us", INT64),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("ended_by", sa.Text()),
        sa.CheckConstraint("sequence > 0", name=op.f("ck_price_lock_sequence_positive")),
        sa.CheckConstraint("from_us <= until_us", name=op.f("ck_price_lock_from_before_until")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["price_version.id"], name=op.f("fk_price_lock_version_id")
        ),
        sa.PrimaryKeyConstraint("org_id", "model", "sequence", name=op.f("pk_price_lock")),
        sqlite_strict=True,
    )


def _calls() -> None:
    _drop_trigger("call_record_fixed")
    _drop_trigger("call_record_final")
    with op.batch_alter_table("call_record", table_kwargs={"sqlite_strict": True}) as table:
        table.add_column(sa.Column("tier", sa.Text(), nullable=False, server_default="standard"))
        table.add_column(
            sa.Column("data_terms", sa.Text(), nullable=False, server_default="private")
        )
        for name in COUNTS:
            table.add_column(sa.Column(name, INT64, nullable=False, server_default="0"))
        table.create_check_constraint(
            op.f("ck_call_record_uses_not_negative"),
            " AND ".join(f"{name} >= 0" for name in COUNTS),
        )


def _projects() -> None:
    """In one statement, because SQLite cannot make a table anew to which others refer."""
    op.execute(
        "ALTER TABLE project ADD COLUMN data_terms TEXT DEFAULT 'private' NOT NULL"
        " CONSTRAINT ck_project_data_terms_known CHECK (data_terms IN ('private', 'contributor'))"
    )


def _guard() -> None:
    """The batches above made their tables anew on SQLite, without their triggers."""
    closed = "OLD.state <> 'open'"
    if not _is_sqlite():
        refuse = "EXECUTE FUNCTION tokenbooth_refuse()"
        for name, event, level in (
            ("append_only", "UPDATE", "ROW"),
            ("never_deleted", "DELETE", "ROW"),
            ("never_emptied", "TRUNCATE", "STATEMENT"),
        ):
            op.execute(
                f"CREATE TRIGGER price_book_{name} BEFORE {event} ON price_book"
                f" FOR EACH {level} {refuse}"
            )
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
    same_line = " AND ".join(f"{name} = NEW.{name}" for name in LINE_KEY)
    for table, same in (
        ("price_book", "id = NEW.id OR name = NEW.name"),
        ("price_line", same_line),
        ("call_record", "request_id = NEW.request_id"),
    ):
        action = "IGNORE" if table == "call_record" else "ABORT"
        _sqlite_trigger(f"{table}_never_deleted", f"DELETE ON {table}", "ABORT")
        when = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 - constants
        _sqlite_trigger(f"{table}_never_replaced", f"INSERT ON {table}", action, when)
    for table in ("price_book", "price_line"):
        _sqlite_trigger(f"{table}_append_only", f"UPDATE ON {table}", "ABORT")
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


def _drop_trigger(name: str) -> None:
    op.execute(f"DROP TRIGGER {name}" + ("" if _is_sqlite() else " ON call_record"))
