"""When to warn of spending, and what the reconciler found."""

from sqlalchemy import CheckConstraint, Column, Index, Table, Text

from tokenbooth.store.tables.metadata import METADATA, Flag, MicroTime, NanoAmount, WholeNumber

# level_id: scope and owner joined, for all windows of that limit · percents: rising, with commas
# between; empty switches the alerts of this limit off
ALERT_RULE = Table(
    "alert_rule",
    METADATA,
    Column("level_id", Text, primary_key=True),
    Column("percents", Text, nullable=False),
    Column("set_us", MicroTime, nullable=False),
    Column("set_by", Text, nullable=False),
    sqlite_strict=True,
)

# Where the counting of a balance began: what was spent when credit made the limit what it is.
ALERT_BASE = Table(
    "alert_base",
    METADATA,
    Column("level_id", Text, primary_key=True),
    Column("limit_nano", NanoAmount, nullable=False),
    Column("spent_nano", NanoAmount, nullable=False),
    CheckConstraint("limit_nano >= 0", name="limit_not_negative"),
    CheckConstraint("spent_nano >= 0", name="spent_not_negative"),
    sqlite_strict=True,
)

# subject: the ledger, or one deployment's engine as one replica has it (empty: all replicas) ·
# difference: nano-units or tokens · body: the whole finding as JSON
RECONCILE_RESULT = Table(
    "reconcile_result",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("deployment_id", Text, nullable=False),
    Column("replica_id", Text, nullable=False),
    Column("sound", Flag, nullable=False),
    Column("difference", WholeNumber, nullable=False),
    Column("from_us", MicroTime, nullable=False),
    Column("until_us", MicroTime, nullable=False),
    Column("body", Text, nullable=False),
    CheckConstraint("subject IN ('ledger', 'engine')", name="subject_known"),
    CheckConstraint("sound IN (0, 1)", name="sound_flag"),
    CheckConstraint("difference >= 0", name="difference_not_negative"),
    sqlite_strict=True,
)
Index("ix_reconcile_result_until_us", RECONCILE_RESULT.c.until_us)

# The newest look at each organization's balance.
RECONCILE_BALANCE = Table(
    "reconcile_balance",
    METADATA,
    Column("org_id", Text, primary_key=True),
    Column("computed_nano", NanoAmount, nullable=False),
    Column("stored_nano", NanoAmount, nullable=False),
    Column("checked_us", MicroTime, nullable=False),
    sqlite_strict=True,
)

# The newest counters of each engine; replica_id is empty where all replicas share the engine.
ENGINE_READING = Table(
    "engine_reading",
    METADATA,
    Column("deployment_id", Text, primary_key=True),
    Column("replica_id", Text, primary_key=True),
    Column("epoch", WholeNumber, nullable=False),
    Column("generation", Text, nullable=False),
    Column("input_tokens", WholeNumber, nullable=False),
    Column("output_tokens", WholeNumber, nullable=False),
    Column("rounding_tokens", WholeNumber, nullable=False),
    Column("from_us", MicroTime, nullable=False),
    Column("until_us", MicroTime, nullable=False),
    CheckConstraint("input_tokens >= 0 AND output_tokens >= 0", name="counts_not_negative"),
    sqlite_strict=True,
)
