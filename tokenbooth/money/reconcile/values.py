"""Frozen nouns of the reconciler."""

from dataclasses import dataclass
from enum import StrEnum

from tokenbooth.money.ledger.values import AccountKind, CallState, Verification

PREPAID = AccountKind.PREPAID.value
RUNNING = CallState.OPEN.value
EVERYBODY = ""
"""The replica of counters that several gateway processes share."""


class Subject(StrEnum):
    """What was looked at."""

    LEDGER = "ledger"
    ENGINE = "engine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The counters of one engine, read between ``from_us`` and ``until_us``.

    ``replica_id`` is the gateway process whose calls are in them, in its ``epoch``. ``with_cached``
    is False where cached input is left out, and each count is at most ``rounding_tokens`` off.
    ``call_tokens_max`` is the most output that a running call can have produced.
    """

    deployment_id: str
    model: str
    replica_id: str
    epoch: int
    generation: str
    input_tokens: int
    output_tokens: int
    with_cached: bool
    rounding_tokens: int
    call_tokens_max: int
    from_us: int
    until_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """Calls of one deployment between two readings.

    ``input_tokens`` and ``output_tokens`` are of those that certainly lie between them, and whose
    engine counted and was not cut off. ``unsure`` is the most that all the others can have taken:
    calls in flight at a reading, and those that did not complete.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unsure_calls: int = 0
    unsure_input_tokens: int = 0
    unsure_output_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Between two readings, widened by what clocks may differ: whole calls begin after
    ``inner_from_us`` and end before ``inner_until_us``; what touches neither ``outer`` edge is not
    in it at all."""

    outer_from_us: int
    inner_from_us: int
    inner_until_us: int
    outer_until_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFinding:
    """A difference is what the engine counted beyond what the calls explain, negative where calls
    were charged for more than the engine did; 0 inside what is unsure."""

    deployment_id: str
    replica_id: str
    from_us: int
    until_us: int
    counted_input_tokens: int
    counted_output_tokens: int
    charged: Charged
    input_difference: int
    output_difference: int
    sound: bool

    @property
    def difference_tokens(self) -> int:
        return abs(self.input_difference) + abs(self.output_difference)


@dataclass(frozen=True, slots=True)
class BalanceCheck:
    """What is left of one organization's money: added up from postings, and as it is stored."""

    org_id: str
    computed_nano: int
    stored_nano: int
    checked_us: int

    @property
    def difference_nano(self) -> int:
        return self.stored_nano - self.computed_nano


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFinding:
    """Everything that the ledger was proved by, and each organization's balance."""

    verification: Verification
    balances: tuple[BalanceCheck, ...]
    from_us: int
    until_us: int

    @property
    def difference_nano(self) -> int:
        return self.verification.difference_nano

    @property
    def sound(self) -> bool:
        wrong = any(balance.difference_nano for balance in self.balances)
        return not (wrong or self.verification.difference_nano or self.verification.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A kept finding; ``body`` is one JSON object as text.

    ``difference`` is nano-units for the ledger, tokens for an engine.
    """

    id: str
    subject: Subject
    deployment_id: str
    replica_id: str
    sound: bool
    difference: int
    from_us: int
    until_us: int
    body: str
