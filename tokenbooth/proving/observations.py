"""What was seen from outside: the answers, the account reports, the ledger. Nothing is judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from tokenbooth.proving.plans import CallPlan

RUNNING = "running"


class Closing(StrEnum):
    """How an answer ended: the caller's cut, one whole body, ``[DONE]``, or an in-band error."""

    CUT = "cut"
    BODY = "body"
    DONE = "done"
    ERROR = "error"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class LevelSeen:
    """One level of spending; ``limit_nano`` is ``None`` where it is not capped."""

    scope: str
    owner_id: str
    limit_nano: int | None
    spent_nano: int
    held_nano: int

    @property
    def over_nano(self) -> int:
        """By how much spent and held together pass the limit."""
        if self.limit_nano is None:
            return 0
        return max(0, self.spent_nano + self.held_nano - self.limit_nano)


@dataclass(frozen=True, slots=True)
class RefusalSeen:
    """What a refusal for lack of money says: the level that is in the way, and what would fit.

    ``needed_nano`` is the least that the call could have started with.
    """

    scope: str
    limit_nano: int
    spent_nano: int
    held_nano: int
    needed_nano: int

    @property
    def level(self) -> LevelSeen:
        """The level that is in the way; a refusal does not say whose it is."""
        return LevelSeen(self.scope, "", self.limit_nano, self.spent_nano, self.held_nano)

    @property
    def false(self) -> bool:
        """Whether the call would have fitted by the refusal's own numbers."""
        return self.needed_nano <= self.limit_nano - self.spent_nano - self.held_nano

    @property
    def final(self) -> bool:
        """Whether it would not fit even without the calls that run now."""
        return self.needed_nano > self.limit_nano - self.spent_nano


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSeen:
    """One call as its client saw it; what was never seen is ``None``.

    ``events`` counts all events of a stream, ``texts`` those with output. ``broken`` says what was
    wrong with the answer itself. ``told_nano`` is the cost that the answer named, ``levels`` the
    limits that it named. ``replica`` is the number of the server process that was asked.
    """

    plan: CallPlan
    closing: Closing
    status: int | None = None
    request_id: str | None = None
    error_code: str | None = None
    error_type: str | None = None
    retry_after_s: int | None = None
    refusal: RefusalSeen | None = None
    events: int = 0
    texts: int = 0
    told_nano: int | None = None
    levels: tuple[LevelSeen, ...] = ()
    broken: str = ""
    began_us: int = 0
    ended_us: int = 0
    replica: int = 0

    @property
    def complete(self) -> bool:
        """The caller has the whole answer."""
        return self.status == 200 and self.closing in (Closing.BODY, Closing.DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSeen:
    """A row of ``GET /v1/requests``; tokens and ``ended_us`` (Unix time) are ``None`` while it
    runs."""

    id: str
    status: str
    model: str
    end_customer: str | None
    key_id: str
    cost_nano: int
    held_nano: int
    input_tokens: int | None
    cached_tokens: int
    output_tokens: int | None
    ended_us: int | None = None


@dataclass(frozen=True, slots=True)
class AccountSeen:
    """An organization: its balance before and after, and all its call records."""

    name: str
    before_nano: int
    after_nano: int
    records: tuple[RecordSeen, ...]

    @property
    def spent_nano(self) -> int:
        """What left the balance."""
        return self.before_nano - self.after_nano

    @property
    def billed_nano(self) -> int:
        """What its records add up to."""
        return sum(record.cost_nano for record in self.records)


@dataclass(frozen=True, slots=True)
class LedgerSeen:
    """What ``ledger verify`` said."""

    difference_nano: int
    open_holds: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PriceSeen:
    """Pico-USD for each token, as published."""

    input_pico: int
    cached_pico: int
    output_pico: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Saw:
    """What an attack saw while the instance served; drills add their own to it."""

    calls: tuple[CallSeen, ...]


S_co = TypeVar("S_co", bound=Saw, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(Generic[S_co]):
    """Everything the checks may look at: what the attack saw, and the books after it.

    ``levels`` is the final state of every key's chain, ``quiet`` whether nothing was held any more
    before the wait was over, ``exit_statuses`` those of the servers after SIGTERM.
    """

    saw: S_co
    accounts: tuple[AccountSeen, ...]
    levels: tuple[LevelSeen, ...]
    ledger: LedgerSeen
    prices: Mapping[str, PriceSeen]
    quiet: bool
    exit_statuses: tuple[int | None, ...]

    @property
    def calls(self) -> tuple[CallSeen, ...]:
        return self.saw.calls

    @property
    def records(self) -> tuple[RecordSeen, ...]:
        return tuple(record for account in self.accounts for record in account.records)
