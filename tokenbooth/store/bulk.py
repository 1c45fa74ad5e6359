"""Many rows into one table at the price of the driver alone.

The statement is compiled once for each database, and rows go to the driver as they are: this skips
the column types that refuse what a driver would bend, so whole numbers are checked here instead.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import Connection, Table, bindparam, insert

from tokenbooth.core.ports import Tx
from tokenbooth.store.prepared import send_many
from tokenbooth.store.tables.metadata import Flag, WholeNumber

Row = tuple[str | int | None, ...]
_WHOLE = frozenset({int, type(None)})


class BulkInsert:
    """``INSERT`` of ``columns``, in their order; flags are 0 or 1."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self._statement = insert(table).values({name: bindparam(name) for name in columns})
        self._columns = tuple(columns)
        self._whole: Callable[[Row], Row] = itemgetter(
            *(
                place
                for place, name in enumerate(columns)
                if isinstance(table.c[name].type, WholeNumber | Flag)
            )
        )
        self._compiled: dict[str, tuple[str, Callable[[Row], Row]]] = {}

    def run(self, tx: Tx, rows: Sequence[Row]) -> None:
        """Insert them all. Raises TypeError for anything but ``int`` in a whole number's place."""
        if not rows:
            return
        connection = cast("Connection", tx)
        text, order = self._text(connection)
        for row in rows:
            if not _WHOLE.issuperset(map(type, self._whole(row))):
                raise TypeError(f"a whole number takes int alone, not what stands in {row!r}")
        send_many(connection, text, list(map(order, rows)))

    def _text(self, connection: Connection) -> tuple[str, Callable[[Row], Row]]:
        found = self._compiled.get(connection.dialect.name)
        if found is None:
            compiled: Any = self._statement.compile(dialect=connection.dialect)
            places = {name: place for place, name in enumerate(self._columns)}
            order = itemgetter(*(places[name] for name in compiled.positiontup))
            found = self._compiled[connection.dialect.name] = (str(compiled), order)
        return found
