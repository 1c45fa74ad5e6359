"""How a failing database is told to callers."""

from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem


def unavailable(detail: str) -> Problem:
    """The one answer when the database cannot do its work now; nothing was written."""
    return Problem(
        Code.LEDGER_UNAVAILABLE,
        "The ledger cannot be reached; nothing is served unmetered. Retry shortly.",
        detail=detail,
        retry_after_s=1,
    )


def is_outage(error: BaseException) -> bool:
    """Whether the database is the one at fault, and not the statement or a Problem of a verb."""
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeout, OSError)):
        return True
    return type(error) is DatabaseError
