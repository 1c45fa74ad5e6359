"""Organizations, projects and API keys.

A key's secrets stand in a table of their own: rotation adds a secret to the same key, so that its
caps, its rate limits and its history go on unbroken.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from tokenbooth.store.tables.metadata import METADATA, MicroTime, WholeNumber

ORGANIZATION = Table(
    "organization",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("requests_per_minute", WholeNumber, nullable=False),
    Column("tokens_per_minute", WholeNumber, nullable=False),
    Column("parallel_calls", WholeNumber, nullable=False),
    Column("created_us", MicroTime, nullable=False),
    Column("created_by", Text, nullable=False),
    CheckConstraint(
        "requests_per_minute > 0 AND tokens_per_minute > 0 AND parallel_calls > 0",
        name="limits_positive",
    ),
    sqlite_strict=True,
)

PROJECT = Table(
    "project",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("org_id", Text, ForeignKey("organization.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_us", MicroTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("data_terms", Text, nullable=False, server_default="private"),
    UniqueConstraint("org_id", "name"),
    UniqueConstraint("org_id", "id"),
    CheckConstraint("data_terms IN ('private', 'contributor')", name="data_terms_known"),
    sqlite_strict=True,
)

# scopes: names joined by one blank · models: a JSON array of names, NULL for every model
API_KEY = Table(
    "api_key",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("org_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("models", Text),
    Column("requests_per_minute", WholeNumber),
    Column("tokens_per_minute", WholeNumber),
    Column("parallel_calls", WholeNumber),
    Column("expires_us", MicroTime),
    Column("revoked_us", MicroTime),
    Column("revoked_by", Text),
    Column("created_us", MicroTime, nullable=False),
    Column("created_by", Text, nullable=False),
    ForeignKeyConstraint(["org_id", "project_id"], ["project.org_id", "project.id"]),
    CheckConstraint(
        "(revoked_us IS NULL) = (revoked_by IS NULL)",
        name="revoked_by_somebody",
    ),
    sqlite_strict=True,
)
Index("ix_api_key_org_id_id", API_KEY.c.org_id, API_KEY.c.id)

# secret_hmac: HMAC-SHA256 of the secret under the pepper, 32 bytes; the secret itself is nowhere
KEY_SECRET = Table(
    "key_secret",
    METADATA,
    Column("secret_hmac", LargeBinary, primary_key=True),
    Column("key_id", Text, ForeignKey("api_key.id"), nullable=False),
    Column("prefix", Text, nullable=False),
    Column("last_four", Text, nullable=False),
    Column("expires_us", MicroTime),
    Column("created_us", MicroTime, nullable=False),
    Column("created_by", Text, nullable=False),
    CheckConstraint("length(secret_hmac) = 32", name="hmac_length"),
    sqlite_strict=True,
)
Index("ix_key_secret_key_id", KEY_SECRET.c.key_id)
# At most one secret of a key has no end: the newest.
Index(
    "uq_key_secret_newest",
    KEY_SECRET.c.key_id,
    unique=True,
    sqlite_where=KEY_SECRET.c.expires_us.is_(None),
    postgresql_where=KEY_SECRET.c.expires_us.is_(None),
)
