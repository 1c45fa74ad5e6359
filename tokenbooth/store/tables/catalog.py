"""Models on offer and the deployments that answer for them."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from tokenbooth.store.tables.metadata import METADATA, MicroTime, WholeNumber

MODEL = Table(
    "model",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("context_tokens", WholeNumber),
    Column("output_tokens_max", WholeNumber),
    Column("created_us", MicroTime, nullable=False),
    Column("created_by", Text, nullable=False),
    CheckConstraint("context_tokens > 0", name="context_positive"),
    CheckConstraint("output_tokens_max > 0", name="output_positive"),
    sqlite_strict=True,
)

# options: a JSON object of texts · upstream_key_sealed: see catalog/models/sealing.py
DEPLOYMENT = Table(
    "deployment",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("model_id", Text, ForeignKey("model.id"), nullable=False),
    Column("position", WholeNumber, nullable=False),
    Column("engine", Text, nullable=False),
    Column("gguf_path", Text),
    Column("upstream_url", Text),
    Column("upstream_model", Text),
    Column("upstream_key_sealed", LargeBinary),
    Column("concurrency_max", WholeNumber, nullable=False),
    Column("queue_max", WholeNumber, nullable=False),
    Column("queue_wait_max_s", WholeNumber, nullable=False),
    Column("options", Text, nullable=False),
    UniqueConstraint("model_id", "position"),
    CheckConstraint("concurrency_max > 0 AND queue_max >= 0", name="queue_bounded"),
    CheckConstraint("queue_wait_max_s >= 0", name="wait_bounded"),
    sqlite_strict=True,
)

# One row, one writer at a time: rises with every change, so that replicas see what they have not.
CATALOG_REVISION = Table(
    "catalog_revision",
    METADATA,
    Column("singleton", WholeNumber, primary_key=True, autoincrement=False),
    Column("revision", WholeNumber, nullable=False),
    Column("changed_us", MicroTime, nullable=False),
    Column("changed_by", Text, nullable=False),
    CheckConstraint("singleton = 1", name="single_row"),
    sqlite_strict=True,
)
