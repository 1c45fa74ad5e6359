"""A portable copy of all rows as JSON lines, the same for every database.

The first line names format and revision, then one line for each row in an order that foreign keys
accept, then a line with the number of rows: a file without it was cut. Tables and columns are those
of the database itself, which may be older than this program.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TextIO

from sqlalchemy import Connection, MetaData, TableClause, column, func, insert, select, table

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.revision import VERSION_TABLE, revision_in

FORMAT = "tokenbooth-rows-1"
# Filled by triggers when the rows that it follows from are put back.
FOLLOWING = frozenset({"receipt_due"})
ROWS_AT_ONCE = 500


def write_rows(connection: Connection, stream: TextIO) -> int:
    """Write every row of the open snapshot; returns how many."""
    head = {"format": FORMAT, "revision": revision_in(connection)}
    stream.write(json.dumps(head) + "\n")
    count = 0
    for known in _tables(connection):
        found = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(select(known))
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
    present = _tables(connection)
    for known in present:
        if connection.execute(select(func.count()).select_from(known)).scalar_one():
            raise Problem(Code.STATE_CONFLICT, f"The database is not empty: {known.name} has rows.")
    lines = (_object(line) for line in stream)
    count, announced = 0, None
    for name, rows in _groups(lines, {known.name for known in present}):
        if name is None:
            announced = rows[0].get("rows")
            break
        connection.execute(insert(_plain(name, rows[0])), rows)
        count += len(rows)
    if announced != count:
        raise Problem(Code.INVALID_VALUE, f"The backup is cut: {count} rows of {announced}.")
    return count


def _tables(connection: Connection) -> list[TableClause]:
    """The tables that are there, parents first."""
    present = MetaData()
    present.reflect(connection)
    return [
        _plain(known.name, known.columns.keys())
        for known in present.sorted_tables
        if known.name != VERSION_TABLE and known.name not in FOLLOWING
    ]


def _plain(name: str, columns: Iterable[str]) -> TableClause:
    """Columns without types: rows are copied as the database holds them."""
    return table(name, *map(column, columns))


def _groups(
    lines: Iterator[Mapping[str, Any]], known: Collection[str]
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
        if name not in known:
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
