"""One MetaData and the column types of every table, the same on SQLite and PostgreSQL.

SQLite tables are STRICT: they know TEXT, INTEGER and BLOB only, so each type has that variant.
Whole numbers accept only ``int``: a driver was seen truncating 1.9 to 1 without a word.
"""

from sqlalchemy import BigInteger, Dialect, Integer, MetaData, TypeDecorator

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


class WholeNumber(TypeDecorator[int]):
    """A 64-bit integer; raises TypeError for bool, float and Decimal, OverflowError beyond."""

    impl = BigInteger().with_variant(Integer(), "sqlite")
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if type(value) is not int:
            raise TypeError(f"a whole number is needed, not {type(value).__name__}")
        if not INT64_MIN <= value <= INT64_MAX:
            raise OverflowError("the number does not fit into 64 bits")
        return value


class NanoAmount(WholeNumber):
    """An amount of money in nano-units of the account's currency."""

    cache_ok = True


class PicoPrice(WholeNumber):
    """A price in pico-units per metered unit."""

    cache_ok = True


class MicroTime(WholeNumber):
    """Unix time in microseconds."""

    cache_ok = True
