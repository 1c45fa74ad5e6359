"""Frozen nouns of the ledger."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from tokenbooth.core.money import NANO_MAX
from tokenbooth.core.receipt import LimitScope, LimitState
from tokenbooth.money.windows import Period, window_named

Chain: TypeAlias = tuple[tuple[LimitScope, str], ...]
"""Levels and their owners at which one call takes money, outermost first."""


class LimitRow(Struct, frozen=True, kw_only=True):
    """One limit as the ledger keeps it; ``limit_nano`` of ``None`` is uncapped.

    A cap that renews has a row without ``window_id``, which only says what its windows are like,
    and one for each window, which counts. ``leased_nano`` is what replicas may still spend,
    ``held_nano`` of it in running calls.
    """

    id: str
    scope: LimitScope
    owner_id: str
    window_id: str
    period: Period
    limit_nano: int | None
    spent_nano: int
    leased_nano: int
    held_nano: int
    recall: int

    @property
    def room_nano(self) -> int:
        """What may still be leased; without a cap, what 64 bits can still count."""
        limit_nano = NANO_MAX if self.limit_nano is None else self.limit_nano
        return max(0, limit_nano - self.spent_nano - self.leased_nano)

    def state(self) -> LimitState:
        """As callers see it."""
        return LimitState(
            self.scope,
            self.owner_id,
            self.limit_nano,
            self.spent_nano,
            self.held_nano,
            window_named(self.period, self.window_id),
        )


class AccountKind(StrEnum):
    """``PREPAID`` is owed to the customer, ``CLEARING`` is where money came from."""

    PREPAID = "prepaid"
    CLEARING = "clearing"
    REVENUE = "revenue"


class TxnKind(StrEnum):
    CREDIT = "credit"
    CHARGE = "charge"


class CallState(StrEnum):
    """A call leaves ``OPEN`` exactly once."""

    OPEN = "open"
    POSTED = "posted"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Verification:
    """``difference_nano`` is the sum of all absolute differences; 0 with no problems is sound."""

    accounts: int
    difference_nano: int
    open_holds: int
    problems: tuple[str, ...]
