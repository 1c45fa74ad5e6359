"""The one MetaData, and column types that refuse what a driver would silently bend.

STRICT tables of SQLite know INTEGER, REAL, TEXT and BLOB only; PostgreSQL's INTEGER has 32 bits.
So every whole number is INTEGER there and BIGINT here. A driver was seen storing 1.9 as 1 and True
as 1: these types accept exactly ``int``.
"""

from typing import Any

from sqlalchemy import BIGINT, INTEGER, BigInteger, Dialect, MetaData
from sqlalchemy.types import TypeDecorator, TypeEngine

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


class WholeNumber(TypeDecorator[int]):
    """A signed 64-bit integer; anything but ``int`` raises TypeError, ``bool`` included.

    Both errors reach the caller wrapped in SQLAlchemy's StatementError.
    """

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[int]:
        return INTEGER() if dialect.name == "sqlite" else BIGINT()

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if type(value) is not int:
            raise TypeError(f"{type(self).__name__} takes int, not {type(value).__name__}")
        if not INT64_MIN <= value <= INT64_MAX:
            raise OverflowError(f"{type(self).__name__} is 64 bits wide")
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """``sum()`` of PostgreSQL is a Decimal without a fraction, wider than 64 bits."""
        return None if value is None else int(value)


class NanoAmount(WholeNumber):
    """10**-9 of the account's currency."""

    cache_ok = True


class PicoPrice(WholeNumber):
    """10**-12 of the currency for one metered unit."""

    cache_ok = True


class MicroTime(WholeNumber):
    """Unix time in microseconds."""

    cache_ok = True


class Flag(TypeDecorator[bool]):
    """True or False, stored as 1 or 0."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[int]:
        return INTEGER() if dialect.name == "sqlite" else BIGINT()

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if type(value) is not bool:
            raise TypeError(f"Flag takes bool, not {type(value).__name__}")
        return int(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)
