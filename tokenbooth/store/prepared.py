"""Statements that run all the time, at the price of the driver.

Each is compiled once for each database and handed to the driver with its parameters in order. This
skips the column types that refuse what a driver would bend, so whole numbers are checked here.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import Connection, Executable
from sqlalchemy.exc import DBAPIError

from tokenbooth.core.ports import Tx
from tokenbooth.store.tables.metadata import Flag, WholeNumber

Value = str | int | None
Values = Mapping[str, Value]
_WHOLE = frozenset({int, type(None)})
_NOTHING: Values = {}


class _Compiled:
    """One statement for one database."""

    def __init__(self, statement: Executable, connection: Connection) -> None:
        compiled: Any = statement.compile(dialect=connection.dialect)  # type: ignore[attr-defined]
        assert not compiled.post_compile_params, "a list is bound as one text: see listing"
        self.text = str(compiled)
        names = tuple(compiled.positiontup)
        self.fixed: Values = {
            name: bind.value for name, bind in compiled.binds.items() if not bind.required
        }
        self.order = _picker(names)
        whole = [n for n in names if isinstance(compiled.binds[n].type, WholeNumber | Flag)]
        self.whole = _picker(tuple(whole))

    def parameters(self, values: Values) -> tuple[Value, ...]:
        """In the order of the text. Raises TypeError for anything but ``int`` in a whole number's
        place, and KeyError for a value that is missing."""
        given = {**self.fixed, **values} if self.fixed else values
        if not _WHOLE.issuperset(map(type, self.whole(given))):
            raise TypeError(f"a whole number takes int alone, not what stands in {values!r}")
        return self.order(given)


def _picker(names: tuple[str, ...]) -> Callable[[Values], tuple[Value, ...]]:
    """Always a tuple, which ``itemgetter`` gives for two names and more only."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)


class Prepared:
    """One statement. Flags are 0 or 1, both ways; rows are plain tuples in the order of the
    statement's columns."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, tx: Tx, values: Values = _NOTHING) -> Sequence[Any]:
        """All rows that a query finds, or a change returns."""
        connection = cast("Connection", tx)
        compiled = self._for(connection)
        parameters = compiled.parameters(values)
        cursor = _sqlite(connection)
        if cursor is None:
            return connection.exec_driver_sql(compiled.text, parameters).fetchall()
        try:
            return cursor.execute(compiled.text, parameters).fetchall()
        except sqlite3.Error as error:
            raise _wrapped(error, compiled.text, connection) from error

    def many(self, tx: Tx, rows: Sequence[Values]) -> None:
        """Change something for each of ``rows``; nothing where there are none."""
        if not rows:
            return
        connection = cast("Connection", tx)
        compiled = self._for(connection)
        send_many(connection, compiled.text, list(map(compiled.parameters, rows)))

    def _for(self, connection: Connection) -> _Compiled:
        found = self._compiled.get(connection.dialect.name)
        if found is None:
            found = self._compiled[connection.dialect.name] = _Compiled(self._statement, connection)
        return found


def send_many(connection: Connection, text: str, rows: Sequence[tuple[Value, ...]]) -> None:
    """Run a statement of the driver for each of ``rows``, of which there is one at least."""
    cursor = _sqlite(connection)
    if cursor is None:
        connection.exec_driver_sql(text, list(rows))
        return
    try:
        cursor.executemany(text, rows)
    except sqlite3.Error as error:
        raise _wrapped(error, text, connection) from error


def _sqlite(connection: Connection) -> sqlite3.Cursor | None:
    """The driver's own cursor, where that is known to be sqlite3's."""
    driver = connection.connection.driver_connection
    return driver.cursor() if isinstance(driver, sqlite3.Connection) else None


def _wrapped(error: sqlite3.Error, text: str, connection: Connection) -> BaseException:
    """As SQLAlchemy tells it, so that everybody reads failures in one way."""
    return DBAPIError.instance(
        text, None, error, sqlite3.Error, hide_parameters=True, dialect=connection.dialect
    )
