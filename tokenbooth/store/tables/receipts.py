"""Signed batches of receipts, and the calls that wait for theirs.

Rows of ``receipt_key``, ``receipt_batch`` and ``receipt_leaf`` are never changed or deleted:
triggers of the migration refuse it. Other triggers fill ``receipt_due``, whatever program settles
a call, so that none can be passed over: one row for each charge, which stands for all calls in it,
and one for each call without a charge.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
)

from tokenbooth.store.tables.metadata import METADATA, MicroTime, WholeNumber
from tokenbooth.store.tables.money import CALL_RECORD, LEDGER_TXN

# Public halves only: receipts stay verifiable after their secret key is gone.
RECEIPT_KEY = Table(
    "receipt_key",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("public", LargeBinary, nullable=False),
    Column("created_us", MicroTime, nullable=False),
    CheckConstraint("length(public) = 32", name="public_size"),
    sqlite_strict=True,
)

# leaves: the leaf hashes one after the other, 32 bytes each; every path follows from them
RECEIPT_BATCH = Table(
    "receipt_batch",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("format", WholeNumber, nullable=False),
    Column("size", WholeNumber, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("leaves", LargeBinary, nullable=False),
    Column("key_id", Text, ForeignKey("receipt_key.id"), nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("signed_us", MicroTime, nullable=False),
    CheckConstraint("size > 0", name="size_positive"),
    CheckConstraint("length(root) = 32", name="root_size"),
    CheckConstraint("length(leaves) = 32 * size", name="leaves_size"),
    CheckConstraint("length(signature) = 64", name="signature_size"),
    sqlite_strict=True,
)

# No foreign keys: PostgreSQL would look both up for each of thousands of rows, and lock them.
RECEIPT_LEAF = Table(
    "receipt_leaf",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("batch_id", Text, nullable=False),
    Column("leaf_index", WholeNumber, nullable=False),
    CheckConstraint("leaf_index >= 0", name="index_not_negative"),
    sqlite_strict=True,
)

RECEIPT_DUE = Table(
    "receipt_due",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    CheckConstraint("kind IN ('charge', 'call')", name="kind_known"),
    sqlite_strict=True,
)

# A statement walks the charges of one organization in the order in which they were booked.
Index("ix_ledger_txn_org_booked", LEDGER_TXN.c.org_id, LEDGER_TXN.c.created_us, LEDGER_TXN.c.id)
Index(
    "ix_call_record_txn_id",
    CALL_RECORD.c.txn_id,
    sqlite_where=CALL_RECORD.c.txn_id.is_not(None),
    postgresql_where=CALL_RECORD.c.txn_id.is_not(None),
)
