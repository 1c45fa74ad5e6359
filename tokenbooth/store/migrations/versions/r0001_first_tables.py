"""The first tables: access, catalog, prices, ledger and calls."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    _organizations()
    _keys()
    _catalog()
    _prices()
    _limits()
    _ledger()
    _calls()


def _organizations() -> None:
    op.create_table(
        "organization",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("requests_per_minute", INT64, nullable=False),
        sa.Column("tokens_per_minute", INT64, nullable=False),
        sa.Column("parallel_calls", INT64, nullable=False),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "requests_per_minute > 0 AND tokens_per_minute > 0 AND parallel_calls > 0",
            name=op.f("ck_organization_limits_positive"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organization")),
        sa.UniqueConstraint("name", name=op.f("uq_organization_name")),
        sqlite_strict=True,
    )
    op.create_table(
        "project",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organization.id"], name=op.f("fk_project_org_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("org_id", "id", name=op.f("uq_project_org_id_id")),
        sa.UniqueConstraint("org_id", "name", name=op.f("uq_project_org_id_name")),
        sqlite_strict=True,
    )


def _keys() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("models", sa.Text(), nullable=True),
        sa.Column("requests_per_minute", INT64, nullable=True),
        sa.Column("tokens_per_minute", INT64, nullable=True),
        sa.Column("parallel_calls", INT64, nullable=True),
        sa.Column("expires_us", INT64, nullable=True),
        sa.Column("revoked_us", INT64, nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(revoked_us IS NULL) = (revoked_by IS NULL)",
            name=op.f("ck_api_key_revoked_by_somebody"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "project_id"],
            ["project.org_id", "project.id"],
            name=op.f("fk_api_key_org_id_project_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sqlite_strict=True,
    )
    op.create_index("ix_api_key_org_id_id", "api_key", ["org_id", "id"], unique=False)
    op.create_table(
        "key_secret",
        sa.Column("secret_hmac", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("last_four", sa.Text(), nullable=False),
        sa.Column("expires_us", INT64, nullable=True),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint("length(secret_hmac) = 32", name=op.f("ck_key_secret_hmac_length")),
        sa.ForeignKeyConstraint(["key_id"], ["api_key.id"], name=op.f("fk_key_secret_key_id")),
        sa.PrimaryKeyConstraint("secret_hmac", name=op.f("pk_key_secret")),
        sqlite_strict=True,
    )
    op.create_index("ix_key_secret_key_id", "key_secret", ["key_id"], unique=False)
    op.create_index(
        "uq_key_secret_newest",
        "key_secret",
        ["key_id"],
        unique=True,
        sqlite_where=sa.text("expires_us IS NULL"),
        postgresql_where=sa.text("expires_us IS NULL"),
    )


def _catalog() -> None:
    op.create_table(
        "model",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("context_tokens", INT64, nullable=True),
        sa.Column("output_tokens_max", INT64, nullable=True),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint("context_tokens > 0", name=op.f("ck_model_context_positive")),
        sa.CheckConstraint("output_tokens_max > 0", name=op.f("ck_model_output_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
        sa.UniqueConstraint("name", name=op.f("uq_model_name")),
        sqlite_strict=True,
    )
    op.create_table(
        "deployment",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("position", INT64, nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("gguf_path", sa.Text(), nullable=True),
        sa.Column("upstream_url", sa.Text(), nullable=True),
        sa.Column("upstream_model", sa.Text(), nullable=True),
        sa.Column("upstream_key_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("concurrency_max", INT64, nullable=False),
        sa.Column("queue_max", INT64, nullable=False),
        sa.Column("queue_wait_max_s", INT64, nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "concurrency_max > 0 AND queue_max >= 0", name=op.f("ck_deployment_queue_bounded")
        ),
        sa.CheckConstraint("queue_wait_max_s >= 0", name=op.f("ck_deployment_wait_bounded")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_deployment_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
        sa.UniqueConstraint("model_id", "position", name=op.f("uq_deployment_model_id_position")),
        sqlite_strict=True,
    )
    op.create_table(
        "catalog_revision",
        sa.Column("singleton", INT64, autoincrement=False, nullable=False),
        sa.Column("revision", INT64, nullable=False),
        sa.Column("changed_us", INT64, nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.CheckConstraint("singleton = 1", name=op.f("ck_catalog_revision_single_row")),
        sa.PrimaryKeyConstraint("singleton", name=op.f("pk_catalog_revision")),
        sqlite_strict=True,
    )


def _prices() -> None:
    op.create_table(
        "price_version",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("sequence", INT64, nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("effective_us", INT64, nullable=False),
        sa.CheckConstraint("sequence > 0", name=op.f("ck_price_version_sequence_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_version")),
        sa.UniqueConstraint("model", "sequence", name=op.f("uq_price_version_model_sequence")),
        sqlite_strict=True,
    )
    op.create_table(
        "price_line",
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("meter", sa.Text(), nullable=False),
        sa.Column("unit_pico", INT64, nullable=False),
        sa.CheckConstraint(
            "meter IN ('input', 'cached_input', 'output')", name=op.f("ck_price_line_meter_known")
        ),
        sa.CheckConstraint("unit_pico >= 0", name=op.f("ck_price_line_unit_not_negative")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["price_version.id"], name=op.f("fk_price_line_version_id")
        ),
        sa.PrimaryKeyConstraint("version_id", "meter", name=op.f("pk_price_line")),
        sqlite_strict=True,
    )


def _limits() -> None:
    op.create_table(
        "spend_limit",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("limit_nano", INT64, nullable=True),
        sa.Column("spent_nano", INT64, nullable=False),
        sa.Column("held_nano", INT64, nullable=False),
        sa.CheckConstraint(
            "id = scope || ':' || owner_id", name=op.f("ck_spend_limit_id_of_owner")
        ),
        sa.CheckConstraint(
            "scope <> 'balance' OR limit_nano IS NOT NULL",
            name=op.f("ck_spend_limit_balance_capped"),
        ),
        sa.CheckConstraint(
            "scope IN ('balance', 'organization', 'project', 'key')",
            name=op.f("ck_spend_limit_scope_known"),
        ),
        sa.CheckConstraint("held_nano >= 0", name=op.f("ck_spend_limit_held_not_negative")),
        sa.CheckConstraint(
            "spent_nano + held_nano <= limit_nano", name=op.f("ck_spend_limit_never_over")
        ),
        sa.CheckConstraint("spent_nano >= 0", name=op.f("ck_spend_limit_spent_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spend_limit")),
        sqlite_strict=True,
    )
    op.create_table(
        "replica",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("started_us", INT64, nullable=False),
        sa.Column("seen_us", INT64, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replica")),
        sqlite_strict=True,
    )


def _ledger() -> None:
    op.create_table(
        "ledger_account",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "id = kind || ':' || org_id", name=op.f("ck_ledger_account_id_of_owner")
        ),
        sa.CheckConstraint(
            "kind IN ('prepaid', 'clearing', 'revenue')", name=op.f("ck_ledger_account_kind_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_account")),
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_txn",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_us", INT64, nullable=False),
        sa.CheckConstraint(
            "id = kind || ':' || org_id || ':' || ref", name=op.f("ck_ledger_txn_id_of_ref")
        ),
        sa.CheckConstraint("kind IN ('credit', 'charge')", name=op.f("ck_ledger_txn_kind_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_txn")),
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_posting",
        sa.Column("txn_id", sa.Text(), nullable=False),
        sa.Column("line", INT64, autoincrement=False, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("amount_nano", INT64, nullable=False),
        sa.CheckConstraint("amount_nano <> 0", name=op.f("ck_ledger_posting_amount_not_zero")),
        sa.CheckConstraint("line >= 0", name=op.f("ck_ledger_posting_line_not_negative")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ledger_account.id"], name=op.f("fk_ledger_posting_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["txn_id"], ["ledger_txn.id"], name=op.f("fk_ledger_posting_txn_id")
        ),
        sa.PrimaryKeyConstraint("txn_id", "line", name=op.f("pk_ledger_posting")),
        sqlite_strict=True,
    )
    op.create_index("ix_ledger_posting_account_id", "ledger_posting", ["account_id"], unique=False)


def _call_columns() -> tuple[sa.Column[int] | sa.Column[str], ...]:
    return (
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("end_customer", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("stream", INT64, nullable=False),
        sa.Column("replica_id", sa.Text(), nullable=False),
        sa.Column("price_version", sa.Text(), nullable=False),
        sa.Column("held_nano", INT64, nullable=False),
        sa.Column("held_input_tokens", INT64, nullable=False),
        sa.Column("held_output_tokens", INT64, nullable=False),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("swept", INT64, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("input_tokens", INT64, nullable=True),
        sa.Column("output_tokens", INT64, nullable=True),
        sa.Column("cached_input_tokens", INT64, nullable=True),
        sa.Column("reasoning_tokens", INT64, nullable=True),
        sa.Column("usage_source", sa.Text(), nullable=True),
        sa.Column("cost_nano", INT64, nullable=False),
        sa.Column("operator_loss_nano", INT64, nullable=False),
        sa.Column("started_us", INT64, nullable=True),
        sa.Column("first_output_us", INT64, nullable=True),
        sa.Column("ended_us", INT64, nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
    )


def _call_checks() -> tuple[sa.CheckConstraint, ...]:
    return (
        sa.CheckConstraint(
            "(state = 'open') = (outcome IS NULL) AND (state = 'open') = (reason IS NULL)"
            " AND (state = 'open') = (input_tokens IS NULL)"
            " AND (state = 'open') = (output_tokens IS NULL)"
            " AND (state = 'open') = (reasoning_tokens IS NULL)"
            " AND (state = 'open') = (usage_source IS NULL)"
            " AND (state = 'open') = (ended_us IS NULL)",
            name=op.f("ck_call_record_event_when_resolved"),
        ),
        sa.CheckConstraint(
            "state = 'posted' OR cost_nano = 0", name=op.f("ck_call_record_only_posted_cost")
        ),
        sa.CheckConstraint(
            "state IN ('open', 'posted', 'void')", name=op.f("ck_call_record_state_known")
        ),
        sa.CheckConstraint(
            "cost_nano >= 0 AND cost_nano <= held_nano",
            name=op.f("ck_call_record_cost_within_hold"),
        ),
        sa.CheckConstraint("held_nano >= 0", name=op.f("ck_call_record_held_not_negative")),
        sa.CheckConstraint(
            "input_tokens >= 0 AND output_tokens >= 0 AND cached_input_tokens >= 0"
            " AND reasoning_tokens >= 0",
            name=op.f("ck_call_record_usage_not_negative"),
        ),
        sa.CheckConstraint(
            "operator_loss_nano >= 0", name=op.f("ck_call_record_loss_not_negative")
        ),
        sa.CheckConstraint("stream IN (0, 1)", name=op.f("ck_call_record_stream_flag")),
        sa.CheckConstraint("swept IN (0, 1)", name=op.f("ck_call_record_swept_flag")),
    )


def _calls() -> None:
    op.create_table(
        "call_record",
        *_call_columns(),
        *_call_checks(),
        sa.ForeignKeyConstraint(
            ["price_version"], ["price_version.id"], name=op.f("fk_call_record_price_version")
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_call_record")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_call_record_open",
        "call_record",
        ["replica_id"],
        unique=False,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_call_record_org_day", "call_record", ["org_id", "created_us"], unique=False)
    op.create_index("ix_call_record_org_id", "call_record", ["org_id", "request_id"], unique=False)
