"""A list of texts as rows with their positions: one parameter in place of thousands of rows.

The parameter is a JSON array of strings, which both databases unfold by themselves.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import BigInteger, BindParameter, Text, bindparam, column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class _Listing(FunctionElement[str]):
    name = "listing"
    inherit_cache = True


def listing(parameter: str) -> Any:
    """Rows of ``value`` and ``key``, its place from 0 on, of the bound ``listed(...)``."""
    bound: BindParameter[str] = bindparam(parameter, type_=Text())
    return _Listing(bound).table_valued(column("key", BigInteger()), column("value", Text()))


def listed(texts: Iterable[str]) -> str:
    """What to bind: the texts as a JSON array."""
    return msgspec.json.encode(list(texts)).decode()


@compiles(_Listing, "sqlite")
def _sqlite(element: _Listing, compiler: Any, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Listing, "postgresql")
def _postgresql(element: _Listing, compiler: Any, **options: Any) -> str:
    array = compiler.process(element.clauses, **options)
    return (
        "(SELECT place - 1 AS key, value FROM"  # noqa: S608 - constants
        f" jsonb_array_elements_text(CAST({array} AS jsonb)) WITH ORDINALITY AS t(value, place))"
    )
