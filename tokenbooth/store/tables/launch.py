"""Stages of models, cohorts, and the evidence, waivers and promises of launches.

All but the cohort itself is append-only: the highest sequence counts, and the rows are the audit.
Models are named, not referenced: what was decided outlives the offer.
"""

from sqlalchemy import CheckConstraint, Column, Index, Table, Text

from tokenbooth.store.tables.metadata import METADATA, MicroTime, NanoAmount, WholeNumber

# capability: empty for the whole model · report: digest of the readiness report that opened the
# edge, empty where none had to
LAUNCH_STAGE = Table(
    "launch_stage",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("capability", Text, primary_key=True),
    Column("sequence", WholeNumber, primary_key=True, autoincrement=False),
    Column("stage", Text, nullable=False),
    Column("sunset_us", MicroTime),
    Column("successor", Text),
    Column("reason", Text, nullable=False),
    Column("report", Text, nullable=False),
    Column("effective_us", MicroTime, nullable=False),
    Column("author", Text, nullable=False),
    CheckConstraint("sequence > 0", name="sequence_positive"),
    sqlite_strict=True,
)

# The limits hold for each organization of the cohort and for this model alone; cap_nano is put on
# the organization itself.
LAUNCH_COHORT = Table(
    "launch_cohort",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("organizations_max", WholeNumber),
    Column("cap_nano", NanoAmount),
    Column("requests_per_minute", WholeNumber),
    Column("tokens_per_minute", WholeNumber),
    Column("parallel_calls", WholeNumber),
    Column("created_us", MicroTime, nullable=False),
    Column("created_by", Text, nullable=False),
    sqlite_strict=True,
)
Index("ix_launch_cohort_model", LAUNCH_COHORT.c.model)

LAUNCH_MEMBER = Table(
    "launch_member",
    METADATA,
    Column("cohort", Text, primary_key=True),
    Column("org_id", Text, primary_key=True),
    Column("sequence", WholeNumber, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("effective_us", MicroTime, nullable=False),
    Column("author", Text, nullable=False),
    CheckConstraint("sequence > 0", name="sequence_positive"),
    CheckConstraint("state IN ('waiting', 'invited', 'removed')", name="state_known"),
    sqlite_strict=True,
)
Index("ix_launch_member_org_id", LAUNCH_MEMBER.c.org_id)

# document: the whole attestation as JSON, as it was signed
LAUNCH_EVIDENCE = Table(
    "launch_evidence",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("issued_us", MicroTime, nullable=False),
    Column("document", Text, nullable=False),
    Column("added_us", MicroTime, nullable=False),
    Column("added_by", Text, nullable=False),
    sqlite_strict=True,
)
Index("ix_launch_evidence_model", LAUNCH_EVIDENCE.c.model, LAUNCH_EVIDENCE.c.issued_us)

LAUNCH_REVOCATION = Table(
    "launch_revocation",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("revoked_us", MicroTime, nullable=False),
    Column("revoked_by", Text, nullable=False),
    sqlite_strict=True,
)

LAUNCH_WAIVER = Table(
    "launch_waiver",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("gate", Text, primary_key=True),
    Column("sequence", WholeNumber, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("expires_us", MicroTime, nullable=False),
    Column("granted_us", MicroTime, nullable=False),
    Column("granted_by", Text, nullable=False),
    CheckConstraint("sequence > 0", name="sequence_positive"),
    sqlite_strict=True,
)

# early_us and late_us: the forecast that stood when the date was promised, empty where unknown
LAUNCH_SLIP = Table(
    "launch_slip",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("sequence", WholeNumber, primary_key=True, autoincrement=False),
    Column("promised_us", MicroTime, nullable=False),
    Column("early_us", MicroTime),
    Column("late_us", MicroTime),
    Column("reason", Text, nullable=False),
    Column("said_us", MicroTime, nullable=False),
    Column("author", Text, nullable=False),
    CheckConstraint("sequence > 0", name="sequence_positive"),
    sqlite_strict=True,
)
