"""Frozen nouns of the ledger."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from tokenbooth.core.receipt import LimitScope

Chain: TypeAlias = tuple[tuple[LimitScope, str], ...]
"""Levels and their owners at which one call takes money, outermost first."""


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
