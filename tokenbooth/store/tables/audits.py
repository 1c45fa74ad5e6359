"""When to warn of spending, and what the reconciler found."""

from sqlalchemy import CheckConstraint, Column, Table, Text

from tokenbooth.store.tables.metadata import METADATA, MicroTime, NanoAmount

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
