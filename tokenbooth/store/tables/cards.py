"""What is said of a model beyond its contract: one row for each time that it was said."""

from sqlalchemy import CheckConstraint, Column, Table, Text

from tokenbooth.store.tables.metadata import METADATA, MicroTime, WholeNumber

# The highest sequence of a model counts. Named, not referenced: what was said outlives the offer.
MODEL_CARD = Table(
    "model_card",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("sequence", WholeNumber, primary_key=True, autoincrement=False),
    Column("display_name", Text),
    Column("stage", Text),
    Column("shutdown_us", MicroTime),
    Column("effective_us", MicroTime, nullable=False),
    Column("author", Text, nullable=False),
    CheckConstraint("sequence > 0", name="sequence_positive"),
    CheckConstraint(
        "stage IN ('private_preview', 'public_preview', 'ga', 'deprecated')", name="stage_known"
    ),
    sqlite_strict=True,
)
