"""The explicit context of one operation: first argument of every verb."""

from collections.abc import Callable
from typing import Protocol

from tokenbooth.core.caller import Caller
from tokenbooth.core.noun import noun


class Log(Protocol):
    """A sink of structured events; never given prompt or answer content by default."""

    def event(self, name: str, **fields: str | int | bool | None) -> None:
        """Record what happened in the normal course."""

    def fault(
        self, name: str, error: BaseException | None = None, **fields: str | int | bool | None
    ) -> None:
        """Record what an operator should look at."""


@noun
class Op:
    """``now`` gives Unix time in microseconds; ``deadline_us`` is on the same clock.

    ``caller`` is ``None`` for the operator's own commands and the worker loops; ``actor`` names
    who acts for the audit columns.
    """

    request_id: str
    now: Callable[[], int]
    log: Log
    caller: Caller | None = None
    deadline_us: int | None = None
    actor: str = "operator"

    def by(self, caller: Caller) -> "Op":
        """The same operation, of this caller."""
        return Op(self.request_id, self.now, self.log, caller, self.deadline_us, self.actor)
