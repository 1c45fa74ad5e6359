"""The rows of the database as an auditor reads them, by plain statements of our own."""

from dataclasses import dataclass, field
from typing import NamedTuple

from tokenbooth.proving.simulator.database import Database

_LIMITS = (
    "SELECT id, period, window_id, limit_nano, spent_nano, leased_nano, held_nano FROM spend_limit"
)
_RECORDS = "SELECT request_id, state, outcome, cost_nano, held_nano, chain, swept FROM call_record"


class Limit(NamedTuple):
    """One row of a limit; ``period`` without ``window`` only says what its windows are like."""

    period: str
    window: str
    limit_nano: int | None
    spent_nano: int
    leased_nano: int
    held_nano: int


class Record(NamedTuple):
    """One row of a call; ``chain`` are the ids of its limits, outermost first."""

    state: str
    outcome: str | None
    cost_nano: int
    held_nano: int
    chain: str
    forfeited: int

    @property
    def closed(self) -> bool:
        return self.state != "open"

    @property
    def limits(self) -> list[str]:
        return self.chain.split()


@dataclass(slots=True)
class Books:
    """The newest reading of the database, and every final row that was ever seen."""

    limits: dict[str, Limit] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    final: dict[str, Record] = field(default_factory=dict)
    _limits_at: int = -1
    _records_at: int = -1
    _examined_at: int = -1

    def unexamined(self, database: Database) -> bool:
        """Read; False when the laws were asked about all of this before."""
        self.read(database)
        before, self._examined_at = self._examined_at, database.changes
        return before != self._examined_at

    def read(self, database: Database) -> None:
        self.read_limits(database)
        if database.changes != self._records_at:
            self._records_at = database.changes
            self.records = {row[0]: Record._make(row[1:]) for row in database.rows(_RECORDS)}

    def read_limits(self, database: Database) -> None:
        """The limits alone: cheap enough for between two examinations."""
        if database.changes != self._limits_at:
            self._limits_at = database.changes
            self.limits = {row[0]: Limit._make(row[1:]) for row in database.rows(_LIMITS)}
