"""The database's own clock, as an expression: windows and silence are judged by it alone."""

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from tokenbooth.store.tables.metadata import MicroTime

SQLITE_FUNCTION = "tokenbooth_now_us"


class NowUs(FunctionElement[int]):
    """Unix time in microseconds. On SQLite every connection of ours registers the function."""

    name = SQLITE_FUNCTION
    type = MicroTime()
    inherit_cache = True


@compiles(NowUs, "sqlite")
def _sqlite(element: NowUs, compiler: Any, **options: Any) -> str:
    return f"{SQLITE_FUNCTION}()"


@compiles(NowUs, "postgresql")
def _postgresql(element: NowUs, compiler: Any, **options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
