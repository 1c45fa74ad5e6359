"""What one call cost and what remains, in the words that answers and reports share."""

from dataclasses import dataclass, field
from enum import StrEnum

from tokenbooth.core.days import day_of, iso_day
from tokenbooth.core.delta import Usage
from tokenbooth.core.noun import noun


class Outcome(StrEnum):
    """How a call ended; the charge table in ``docs/charges.md`` has one row for each."""

    COMPLETED = "completed"
    CLIENT_GONE = "client_gone"
    KEY_REVOKED = "key_revoked"
    ENGINE_FAILED = "engine_failed"
    TIMED_OUT = "timed_out"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"
    CAP_REACHED = "cap_reached"


class LimitScope(StrEnum):
    """Levels at which money is limited, outermost first."""

    BALANCE = "balance"
    ORGANIZATION = "organization"
    PROJECT = "project"
    KEY = "key"


class Period(StrEnum):
    """How often a cap begins anew; days and months are those of UTC."""

    NONE = "none"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class LimitWindow:
    """What a renewing cap counts in: ``2026-11-20`` or ``2026-11``, until ``renews_us``."""

    period: Period
    id: str
    renews_us: int

    @property
    def renews_at(self) -> str:
        """UTC, such as ``2026-11-21T00:00:00Z``."""
        return f"{iso_day(day_of(self.renews_us))}T00:00:00Z"


@noun
class LimitState:
    """One level: ``limit_nano`` is ``None`` when the level is not capped.

    What is spent and held is that of ``window`` alone, where the cap renews. ``said`` keeps what
    writers made of it, by names of theirs: many answers of one moment show the same state.
    """

    scope: LimitScope
    owner_id: str
    limit_nano: int | None
    spent_nano: int
    held_nano: int
    window: LimitWindow | None = None
    said: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def remaining_nano(self) -> int | None:
        if self.limit_nano is None:
            return None
        return self.limit_nano - self.spent_nano - self.held_nano


@noun
class Receipt:
    """The settled price of one call; ``cost_nano`` never exceeds the hold.

    ``limits`` are in the same ``currency``, that of the price.
    """

    request_id: str
    outcome: Outcome
    reason: str
    usage: Usage
    cost_nano: int
    price_version: str
    limits: tuple[LimitState, ...]
    currency: str = "USD"
