"""Price books, the versions in them, and who is bound to which.

Rows of ``price_book``, ``price_version`` and ``price_line`` are never changed or deleted: triggers
of the migrations refuse it. The book ``default``, in USD, exists without a row.
"""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Table, Text, UniqueConstraint

from tokenbooth.store.tables.metadata import METADATA, MicroTime, PicoPrice, WholeNumber

PRICE_BOOK = Table(
    "price_book",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("currency", Text, nullable=False),
    Column("created_us", MicroTime, nullable=False),
    Column("created_by", Text, nullable=False),
    CheckConstraint("length(currency) = 3", name="currency_code"),
    CheckConstraint("name <> 'default'", name="not_the_default"),
    sqlite_strict=True,
)

# An organization without a row buys from the default book.
ORG_BOOK = Table(
    "org_book",
    METADATA,
    Column("org_id", Text, primary_key=True),
    Column("book_id", Text, ForeignKey("price_book.id"), nullable=False),
    Column("set_us", MicroTime, nullable=False),
    Column("set_by", Text, nullable=False),
    sqlite_strict=True,
)

# sequence counts the versions of a model in all books; currency is that of the book for ever
PRICE_VERSION = Table(
    "price_version",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("sequence", WholeNumber, nullable=False),
    Column("author", Text, nullable=False),
    Column("effective_us", MicroTime, nullable=False),
    Column("book_id", Text, nullable=False, server_default="default"),
    Column("currency", Text, nullable=False, server_default="USD"),
    UniqueConstraint("model", "sequence"),
    CheckConstraint("sequence > 0", name="sequence_positive"),
    sqlite_strict=True,
)

PRICE_LINE = Table(
    "price_line",
    METADATA,
    Column("version_id", Text, ForeignKey("price_version.id"), primary_key=True),
    Column("tier", Text, primary_key=True, server_default="standard"),
    Column("data_terms", Text, primary_key=True, server_default="private"),
    Column(
        "context_min_tokens",
        WholeNumber,
        primary_key=True,
        autoincrement=False,
        server_default="0",
    ),
    Column("meter", Text, primary_key=True),
    Column("unit_pico", PicoPrice, nullable=False),
    CheckConstraint("tier IN ('standard', 'priority', 'flex', 'batch')", name="tier_known"),
    CheckConstraint("data_terms IN ('private', 'contributor')", name="data_terms_known"),
    CheckConstraint("context_min_tokens >= 0", name="context_not_negative"),
    CheckConstraint(
        "meter IN ('input', 'cached_input', 'cache_write', 'output', 'reasoning', 'image',"
        " 'audio_s', 'video_s', 'search', 'call')",
        name="meter_known",
    ),
    CheckConstraint("unit_pico >= 0", name="unit_not_negative"),
    sqlite_strict=True,
)

# sequence counts the locks of one organization on one model · from_us inclusive, until_us
# exclusive, NULL without end
PRICE_LOCK = Table(
    "price_lock",
    METADATA,
    Column("org_id", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("sequence", WholeNumber, primary_key=True, autoincrement=False),
    Column("version_id", Text, ForeignKey("price_version.id"), nullable=False),
    Column("from_us", MicroTime, nullable=False),
    Column("until_us", MicroTime),
    Column("created_us", MicroTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("ended_by", Text),
    CheckConstraint("sequence > 0", name="sequence_positive"),
    CheckConstraint("from_us <= until_us", name="from_before_until"),
    sqlite_strict=True,
)
