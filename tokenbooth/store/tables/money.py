"""Limits, the double-entry ledger, and one row for every call that held money.

Rows of ``ledger_txn`` and ``ledger_posting`` are never changed or deleted, and a resolved
``call_record`` keeps its price: triggers of the migrations refuse it.
"""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, Text, UniqueConstraint

from tokenbooth.store.tables.metadata import (
    METADATA,
    Flag,
    MicroTime,
    NanoAmount,
    WholeNumber,
)
from tokenbooth.store.tables.prices import PRICE_VERSION

# id: scope, owner and window joined, so that a whole chain is one IN list · limit_nano: NULL is
# uncapped · period: a row without window that renews is only the pattern of its windows; what was
# leased of it before may still be spent · leased: what replicas may still spend, of which held is
# in running calls · recall: counted up when somebody finds too little and asks all replicas for
# what they do not use
SPEND_LIMIT = Table(
    "spend_limit",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("window_id", Text, nullable=False, server_default=""),
    Column("period", Text, nullable=False, server_default="none"),
    Column("limit_nano", NanoAmount),
    Column("spent_nano", NanoAmount, nullable=False),
    Column("leased_nano", NanoAmount, nullable=False, server_default="0"),
    Column("held_nano", NanoAmount, nullable=False),
    Column("recall", WholeNumber, nullable=False, server_default="0"),
    CheckConstraint(
        "id = scope || ':' || owner_id ||"
        " CASE WHEN window_id = '' THEN '' ELSE '@' || window_id END",
        name="id_of_owner",
    ),
    CheckConstraint(
        "scope IN ('balance', 'organization', 'project', 'key', 'end_customer', 'plan')",
        name="scope_known",
    ),
    CheckConstraint("period IN ('none', 'day', 'month')", name="period_known"),
    CheckConstraint("window_id = '' OR period <> 'none'", name="window_of_period"),
    CheckConstraint("scope <> 'balance' OR limit_nano IS NOT NULL", name="balance_capped"),
    CheckConstraint("spent_nano >= 0", name="spent_not_negative"),
    CheckConstraint("held_nano >= 0", name="held_not_negative"),
    CheckConstraint("held_nano <= leased_nano", name="held_within_lease"),
    CheckConstraint(
        "spent_nano + leased_nano <= limit_nano OR (period <> 'none' AND window_id = '')",
        name="never_over",
    ),
    sqlite_strict=True,
)

LEDGER_ACCOUNT = Table(
    "ledger_account",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("org_id", Text, nullable=False),
    CheckConstraint("id = kind || ':' || org_id", name="id_of_owner"),
    CheckConstraint("kind IN ('prepaid', 'clearing', 'revenue')", name="kind_known"),
    sqlite_strict=True,
)

# id: kind, organization and ref joined, so that the same ref cannot be booked twice
LEDGER_TXN = Table(
    "ledger_txn",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("org_id", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_us", MicroTime, nullable=False),
    CheckConstraint("id = kind || ':' || org_id || ':' || ref", name="id_of_ref"),
    CheckConstraint("kind IN ('credit', 'charge')", name="kind_known"),
    sqlite_strict=True,
)

LEDGER_POSTING = Table(
    "ledger_posting",
    METADATA,
    Column("txn_id", Text, ForeignKey("ledger_txn.id"), primary_key=True),
    Column("line", WholeNumber, primary_key=True, autoincrement=False),
    Column("account_id", Text, ForeignKey("ledger_account.id"), nullable=False),
    Column("amount_nano", NanoAmount, nullable=False),
    CheckConstraint("amount_nano <> 0", name="amount_not_zero"),
    CheckConstraint("line >= 0", name="line_not_negative"),
    sqlite_strict=True,
)
Index("ix_ledger_posting_account_id", LEDGER_POSTING.c.account_id)

# epoch: counted up at each start, the fencing token · rounds: the last round of that epoch that was
# booked · journal_id: whose records may settle the leases · forfeited_epoch: charges of that epoch
# and before are the operator's loss, because their money went back to the customers
REPLICA = Table(
    "replica",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("epoch", WholeNumber, nullable=False),
    Column("rounds", WholeNumber, nullable=False),
    Column("journal_id", Text, nullable=False),
    Column("forfeited_epoch", WholeNumber, nullable=False),
    Column("started_us", MicroTime, nullable=False),
    Column("seen_us", MicroTime, nullable=False),
    sqlite_strict=True,
)

# granted: what the replica may still spend of that limit, the holds of its running calls included
LEASE = Table(
    "lease",
    METADATA,
    Column("replica_id", Text, ForeignKey("replica.id"), primary_key=True),
    Column("limit_id", Text, ForeignKey("spend_limit.id"), primary_key=True),
    Column("granted_nano", NanoAmount, nullable=False),
    Column("held_nano", NanoAmount, nullable=False),
    Column("recall_seen", WholeNumber, nullable=False),
    CheckConstraint("held_nano >= 0", name="held_not_negative"),
    CheckConstraint("held_nano <= granted_nano", name="held_within_lease"),
    sqlite_strict=True,
)
Index("ix_lease_limit_id", LEASE.c.limit_id)

# What others should hear of, written in the transaction that made it true.
OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("org_id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_us", MicroTime, nullable=False),
    Column("sent_us", MicroTime),
    UniqueConstraint("key"),
    sqlite_strict=True,
)
Index("ix_outbox_org_id", OUTBOX.c.org_id, OUTBOX.c.id)

# state: open while a call that was announced runs, then exactly once posted (charged) or void
# (nothing charged). swept: resolved without the replica that ran the call. chain: the ids of the
# limits that paid, outermost first, with blanks between. txn_id: the charge that this call is in.
# The columns from outcome to fingerprint make the meter event; they are final with the state.
CALL_RECORD = Table(
    "call_record",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("org_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("end_customer", Text),
    Column("model", Text, nullable=False),
    Column("stream", Flag, nullable=False),
    Column("replica_id", Text, nullable=False),
    Column("epoch", WholeNumber, nullable=False, server_default="0"),
    Column("chain", Text, nullable=False, server_default=""),
    Column("deployment_id", Text),
    Column("txn_id", Text, ForeignKey("ledger_txn.id")),
    Column("price_version", Text, ForeignKey(PRICE_VERSION.c.id), nullable=False),
    Column("tier", Text, nullable=False, server_default="standard"),
    Column("data_terms", Text, nullable=False, server_default="private"),
    Column("held_nano", NanoAmount, nullable=False),
    Column("held_input_tokens", WholeNumber, nullable=False),
    Column("held_output_tokens", WholeNumber, nullable=False),
    Column("created_us", MicroTime, nullable=False),
    Column("state", Text, nullable=False),
    Column("swept", Flag, nullable=False),
    Column("outcome", Text),
    Column("reason", Text),
    Column("input_tokens", WholeNumber),
    Column("output_tokens", WholeNumber),
    Column("cached_input_tokens", WholeNumber),
    Column("reasoning_tokens", WholeNumber),
    Column("cache_write_tokens", WholeNumber, nullable=False, server_default="0"),
    Column("images", WholeNumber, nullable=False, server_default="0"),
    Column("audio_s", WholeNumber, nullable=False, server_default="0"),
    Column("video_s", WholeNumber, nullable=False, server_default="0"),
    Column("searches", WholeNumber, nullable=False, server_default="0"),
    Column("usage_source", Text),
    Column("cost_nano", NanoAmount, nullable=False),
    Column("operator_loss_nano", NanoAmount, nullable=False),
    Column("started_us", MicroTime),
    Column("first_output_us", MicroTime),
    Column("ended_us", MicroTime),
    Column("fingerprint", Text),
    CheckConstraint("state IN ('open', 'posted', 'void')", name="state_known"),
    CheckConstraint("swept IN (0, 1)", name="swept_flag"),
    CheckConstraint("stream IN (0, 1)", name="stream_flag"),
    CheckConstraint("held_nano >= 0", name="held_not_negative"),
    CheckConstraint("cost_nano >= 0 AND cost_nano <= held_nano", name="cost_within_hold"),
    CheckConstraint("state = 'posted' OR cost_nano = 0", name="only_posted_cost"),
    CheckConstraint("operator_loss_nano >= 0", name="loss_not_negative"),
    CheckConstraint(
        "(state = 'open') = (outcome IS NULL) AND (state = 'open') = (reason IS NULL)"
        " AND (state = 'open') = (input_tokens IS NULL)"
        " AND (state = 'open') = (output_tokens IS NULL)"
        " AND (state = 'open') = (reasoning_tokens IS NULL)"
        " AND (state = 'open') = (usage_source IS NULL)"
        " AND (state = 'open') = (ended_us IS NULL)",
        name="event_when_resolved",
    ),
    CheckConstraint(
        "input_tokens >= 0 AND output_tokens >= 0 AND cached_input_tokens >= 0"
        " AND reasoning_tokens >= 0",
        name="usage_not_negative",
    ),
    CheckConstraint(
        "cache_write_tokens >= 0 AND images >= 0 AND audio_s >= 0 AND video_s >= 0"
        " AND searches >= 0",
        name="uses_not_negative",
    ),
    sqlite_strict=True,
)
Index("ix_call_record_org_id", CALL_RECORD.c.org_id, CALL_RECORD.c.request_id)
Index("ix_call_record_org_day", CALL_RECORD.c.org_id, CALL_RECORD.c.created_us)
Index(
    "ix_call_record_open",
    CALL_RECORD.c.replica_id,
    sqlite_where=CALL_RECORD.c.state == "open",
    postgresql_where=CALL_RECORD.c.state == "open",
)
