"""What a database error means: an outage that passes, or a fault of the statement."""

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

FAILURES = (DBAPIError, PoolTimeout, OSError, TimeoutError)
# https://www.sqlite.org/rescode.html: PERM, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR,
# CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB
SQLITE_OUTAGES = frozenset({3, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26})
# https://www.postgresql.org/docs/current/errcodes-appendix.html: connection, authorization,
# catalog, rolled-back transaction, resources, intervention, system; 55P03: a lock not had in time
SQLSTATE_OUTAGES = frozenset({"08", "28", "3D", "40", "53", "57", "58"})
LOCK_NOT_AVAILABLE = "55P03"


def unavailable(detail: str) -> Problem:
    """The one answer when the database cannot do its work now; nothing was written."""
    return Problem(
        Code.LEDGER_UNAVAILABLE,
        "The ledger cannot be reached; nothing is served unmetered. Retry shortly.",
        detail=detail,
        retry_after_s=1,
    )


def sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's five characters, through SQLAlchemy's wrapping."""
    found = getattr(getattr(error, "orig", error), "sqlstate", None)
    return found if isinstance(found, str) else None


def is_outage(error: BaseException) -> bool:
    """Whether the database is at fault, and neither a statement nor a Problem of a verb."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, FAILURES)
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    if isinstance(code, int):
        return code % 256 in SQLITE_OUTAGES  # the low byte of an extended code is the plain one
    state = sqlstate(error)
    return state is not None and (state[:2] in SQLSTATE_OUTAGES or state == LOCK_NOT_AVAILABLE)
