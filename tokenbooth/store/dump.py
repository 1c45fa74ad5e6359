"""A portable copy of all rows as JSON lines, the same for every database.

The first line names format and revision, then one line for each row in an order that foreign keys
accept, then a line with the number of rows: a file without it was cut.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from sqlalchemy import ColumnClause, Connection, column, func, insert, select, table

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.revision import revision_in
from tokenbooth.store.tables import access, catalog, money
from tokenbooth.store.tables.metadata import METADATA

FORMAT = "tokenbooth-rows-1"
ROWS_AT_ONCE = 500
TABLE_MODULES = (access, catalog, money)


def write_rows(connection: Connection, stream: TextIO) -> int:
    """Write every row of the open snapshot; returns how many."""
    head = {"format": FORMAT, "revision": revision_in(connection)}
    stream.write(json.dumps(head) + "\n")
    count = 0
    for known in METADATA.sorted_tables:
        plain = table(known.name, *(_plain(c.name) for c in known.columns))
        found = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(select(plain))
        for row in found.mappings():
            line = {"table": known.name, "row": {k: _outward(v) for k, v in row.items()}}
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
    stream.write(json.dumps({"rows": count}) + "\n")
    return count


def head_revision(stream: TextIO) -> str:
    """The revision that the rows need. Raises INVALID_VALUE when it is no such file."""
    head = _object(stream.readline())
    if head.get("format") != FORMAT or not isinstance(head.get("revision"), str):
        raise Problem(Code.INVALID_VALUE, f"This is no backup in the format {FORMAT}.")
    return str(head["revision"])


def read_rows(connection: Connection, stream: TextIO) -> int:
    """Insert every row after the head into empty tables; returns how many.

    Raises STATE_CONFLICT when there are rows already, INVALID_VALUE for a cut file. Both leave the
    transaction to be rolled back by the caller.
    """
    for known in METADATA.sorted_tables:
        if connection.execute(select(func.count()).select_from(known)).scalar_one():
            raise Problem(Code.STATE_CONFLICT, f"The database is not empty: {known.name} has rows.")
    lines = (_object(line) for line in stream)
    count, announced = 0, None
    for name, rows in _groups(lines):
        if name is None:
            announced = rows[0].get("rows")
            break
        target = table(name, *map(_plain, rows[0]))
        connection.execute(insert(target), rows)
        count += len(rows)
    if announced != count:
        raise Problem(Code.INVALID_VALUE, f"The backup is cut: {count} rows of {announced}.")
    return count


def _plain(name: str) -> ColumnClause[Any]:
    """A column without a type: rows are copied as the database holds them."""
    return column(name)


def _groups(
    lines: Iterator[Mapping[str, Any]],
) -> Iterator[tuple[str | None, list[dict[str, Any]]]]:
    """Rows of one table together, bounded; the last line comes alone and without a name."""
    pending: list[dict[str, Any]] = []
    name: str | None = None
    for line in lines:
        if pending and (line.get("table") != name or len(pending) == ROWS_AT_ONCE):
            yield name, pending
            pending = []
        name = line.get("table")
        if name is None:
            yield None, [dict(line)]
            return
        if name not in METADATA.tables:
            raise Problem(Code.INVALID_VALUE, f"The backup has rows of an unknown table {name!r}.")
        pending.append({k: _inward(v) for k, v in line["row"].items()})


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Problem(Code.INVALID_VALUE, "The backup has a line that is no JSON object.")
    return found


def _outward(value: object) -> object:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _inward(value: Any) -> object:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
