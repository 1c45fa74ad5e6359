"""Frozen nouns of the ledger."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from tokenbooth.core.caller import Caller
from tokenbooth.core.delta import Usage
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome
from tokenbooth.money.prices.values import Price

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


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldAsk:
    """``output_tokens_max`` is of one choice, ``input_tokens`` an upper bound of what is billed."""

    request_id: str
    caller: Caller
    model: str
    price: Price
    input_tokens: int
    output_tokens_max: int
    choices: int
    replica_id: str
    stream: bool


@dataclass(frozen=True, slots=True)
class Sized:
    """How large a hold may be; ``clamped_by`` is the level whose money lowered the output."""

    amount_nano: int
    output_tokens_max: int
    clamped_by: LimitScope | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Money set aside at every level; ``limits`` are the states with this hold in them."""

    request_id: str
    amount_nano: int
    input_tokens: int
    output_tokens_max: int
    clamped_by: LimitScope | None
    limits: tuple[LimitState, ...]
    price_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a call ended. Without ``charge`` it costs nothing, whatever ``usage`` says."""

    request_id: str
    outcome: Outcome
    reason: str
    usage: Usage
    charge: bool
    started_us: int
    first_output_us: int | None
    ended_us: int
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Charge:
    """``loss_nano`` is what the usage cost beyond the hold: the operator bears it."""

    cost_nano: int
    loss_nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRow:
    """What the ledger keeps of a call, as far as a settlement needs it."""

    request_id: str
    org_id: str
    project_id: str
    key_id: str
    model: str
    price_version: str
    held_nano: int
    state: CallState
    swept: bool
    cost_nano: int
    loss_nano: int
    outcome: Outcome | None
    reason: str
    usage: Usage

    @property
    def chain(self) -> Chain:
        return (
            (LimitScope.BALANCE, self.org_id),
            (LimitScope.ORGANIZATION, self.org_id),
            (LimitScope.PROJECT, self.project_id),
            (LimitScope.KEY, self.key_id),
        )


@dataclass(frozen=True, slots=True)
class Verification:
    """``difference_nano`` is the sum of all absolute differences; 0 with no problems is sound."""

    accounts: int
    difference_nano: int
    open_holds: int
    problems: tuple[str, ...]
