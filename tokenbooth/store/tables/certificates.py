"""Capacity certificates in force: one row for each time that one was applied."""

from sqlalchemy import CheckConstraint, Column, Table, Text

from tokenbooth.store.tables.metadata import METADATA, MicroTime, WholeNumber

# The highest sequence of a model counts. document: the signed envelope, without its samples.
CERTIFICATE = Table(
    "capacity_certificate",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("sequence", WholeNumber, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("concurrency", WholeNumber, nullable=False),
    Column("calls_per_ks", WholeNumber, nullable=False),
    Column("ttft_us", WholeNumber, nullable=False),
    Column("tpot_us", WholeNumber, nullable=False),
    Column("attainment_ppm", WholeNumber, nullable=False),
    Column("issued_us", MicroTime, nullable=False),
    Column("expires_us", MicroTime, nullable=False),
    Column("document", Text, nullable=False),
    Column("effective_us", MicroTime, nullable=False),
    Column("author", Text, nullable=False),
    CheckConstraint("sequence > 0", name="sequence_positive"),
    CheckConstraint("concurrency > 0 AND calls_per_ks > 0", name="capacity_positive"),
    CheckConstraint("expires_us > issued_us", name="expires_later"),
    sqlite_strict=True,
)
