"""Frozen nouns of leased money.

Those that every call makes are structs, which cost a tenth of a dataclass to make; ``gc=False``:
they hold nothing that could lead back to them, so the collector has no need to look at them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from msgspec import Struct

from tokenbooth.core.caller import Caller
from tokenbooth.core.delta import Usage
from tokenbooth.core.receipt import LimitScope, LimitState, Outcome
from tokenbooth.money.ledger.values import LimitRow
from tokenbooth.money.prices.values import Price

__all__ = [
    "Advance",
    "Answer",
    "CallFacts",
    "Ending",
    "Giving",
    "Hold",
    "HoldAsk",
    "LeaseLine",
    "LeaseRow",
    "LeasedShare",
    "LevelKey",
    "LimitRow",
    "PoolOptions",
    "Progress",
    "ReplicaLine",
    "RoundAsk",
    "RoundDone",
    "SettledCall",
    "Settlement",
    "Sized",
    "Verdict",
    "Want",
    "Wants",
]


class CallFacts(Struct, frozen=True, kw_only=True, gc=False):
    """What a call was admitted with; none of it changes while the call runs.

    ``chain`` holds the ids of the limits that the call takes money from, outermost first, each
    ``scope:owner`` or ``scope:owner@window``. ``held_nano`` is the first hold; ``input_tokens``
    and ``output_tokens`` are what it was taken for, all choices together.
    """

    request_id: str
    org_id: str
    project_id: str
    key_id: str
    end_customer: str | None
    model: str
    stream: bool
    price_version: str
    tier: str
    data_terms: str
    chain: tuple[str, ...]
    held_nano: int
    input_tokens: int
    output_tokens: int
    created_us: int


class Progress(Struct, frozen=True, kw_only=True, gc=False):
    """What had left towards the caller at ``at_us``, and what that much costs."""

    request_id: str
    usage: Usage
    cost_nano: int
    held_nano: int
    first_output_us: int | None
    at_us: int


class Settlement(Struct, frozen=True, kw_only=True, gc=False):
    """How a call ended; ``cost_nano`` <= ``held_nano``, the most that was held for it.

    ``charged`` is False where it costs nothing whatever ``usage`` says. ``loss_nano`` is what the
    usage costs beyond the hold: the operator bears it. ``deployment_id`` is where the call ran.
    """

    request_id: str
    outcome: Outcome
    reason: str
    usage: Usage
    charged: bool
    cost_nano: int
    loss_nano: int
    held_nano: int
    started_us: int
    first_output_us: int | None
    ended_us: int
    fingerprint: str | None
    deployment_id: str | None


class SettledCall(Struct, frozen=True, gc=False):
    """A call on its way to the ledger; ``epoch`` is that of the process that ran it.

    ``forfeited``: its lease was given back to the customer before it could be charged.
    """

    facts: CallFacts
    settlement: Settlement
    epoch: int
    forfeited: bool = False


@dataclass(frozen=True, slots=True)
class LevelKey:
    """A limit as a call names it; ``window_id`` of ``None`` asks for the window of the moment."""

    scope: LimitScope
    owner_id: str
    window_id: str | None = None

    def __hash__(self) -> int:
        """Quick, as every call looks its levels up; few keys share an owner."""
        return hash(self.owner_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Money that one waiting call asks for, at every level of its chain or at none.

    ``least_nano`` is what it can do with where there is no more. ``runs``: the call runs already,
    so it goes before new ones. ``recalls`` are the recalls, by limit id, that every other replica
    must have answered before the call is refused for the sake of that limit.
    """

    chain: tuple[LevelKey, ...]
    amount_nano: int
    least_nano: int
    runs: bool
    recalls: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Others:
    """The other living replicas with a lease on a limit: the newest recall that all of them have
    ``answered``, and what no call of theirs holds by what they told last."""

    answered: int
    idle_nano: int


@dataclass(frozen=True, slots=True)
class Advance:
    """Free money that a replica would like to have at a level before calls ask for it."""

    level: LevelKey
    block_nano: int


@dataclass(frozen=True, slots=True)
class Wants:
    """Those of waiting calls, running ones first, and what would be good to have in advance."""

    calls: tuple[Want, ...] = ()
    advances: tuple[Advance, ...] = ()


class Verdict(Enum):
    """What a waiting call can be told."""

    FITS = "fits"
    SHORT = "short"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a round decided about one want, with the recalls that it waits for.

    ``bought_nano`` is leased for it at every level: with SHORT less than it asked for, at least
    its ``least_nano``, or 0.
    """

    verdict: Verdict
    bought_nano: int
    recalls: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Giving:
    """``returned_nano`` goes back; ``held_nano`` is in running calls after it."""

    returned_nano: int
    held_nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundAsk:
    """Everything that one replica tells and asks the ledger in one transaction.

    ``number`` rises by one; the same number again is the same round and changes nothing twice.
    ``givings`` are by limit id. ``seen`` are the recalls that are answered: everything that no call
    holds is given back there, and all of it where ``givings`` does not name the limit.
    ``recovers``: a journal tells of calls whose leases the ledger may have lost, as in a database
    that was restored to before them.
    """

    replica_id: str
    epoch: int
    number: int
    settled: tuple[SettledCall, ...] = ()
    announced: tuple[CallFacts, ...] = ()
    wants: Wants = Wants()
    givings: Mapping[str, Giving] = field(default_factory=dict)
    seen: Mapping[str, int] = field(default_factory=dict)
    recovers: bool = False

    @property
    def empty(self) -> bool:
        wants = self.wants.calls or self.wants.advances
        return not (self.settled or self.announced or wants or self.givings or self.seen)


class LeaseRow(Struct, frozen=True, kw_only=True):
    """What one replica may spend of one limit."""

    limit_id: str
    granted_nano: int
    held_nano: int
    recall_seen: int


@dataclass(frozen=True, slots=True)
class LeaseLine:
    """A limit after a round, with the replica's own lease in it.

    ``left_us`` is the time until its window ends, ``None`` for one that never does. ``current`` is
    False where new calls count somewhere else, because the cap begins anew in another rhythm now.
    """

    row: LimitRow
    granted_nano: int
    left_us: int | None
    current: bool


@dataclass(frozen=True, slots=True)
class RoundDone:
    """The touched limits after the round, by id, and the ids that the named levels stand for.

    ``answers`` are to the wants, in their order; none when the round had been booked before.
    """

    number: int
    lines: Mapping[str, LeaseLine]
    wanted: Mapping[LevelKey, str]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaLine:
    """One gateway process, what it has leased of all balances, and how many leases it has."""

    id: str
    epoch: int
    rounds: int
    journal_id: str
    forfeited_epoch: int
    started_us: int
    seen_us: int
    granted_nano: int
    held_nano: int
    leases: int


@dataclass(frozen=True, slots=True)
class LeasedShare:
    """What one replica has leased of the balance of one organization, in its currency."""

    replica_id: str
    org_id: str
    granted_nano: int
    held_nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """``block_nano_max`` bounds what is leased in advance, and so what an operator can lose with
    the disk of one replica; free money unused for ``idle_us`` goes back."""

    block_nano_max: int = 20 * 10**9
    idle_us: int = 2_000_000
    announce_after_us: int = 1_000_000
    round_calls_max: int = 1024


class HoldAsk(Struct, frozen=True, kw_only=True, gc=False):
    """``output_tokens_max`` is of one choice, ``input_tokens`` an upper bound of what is billed.

    ``stated``: the caller named the output limit, so it is held whole; otherwise ``step_tokens``
    of each choice are held first. ``strict``: refuse instead of lowering a stated limit.
    """

    request_id: str
    caller: Caller
    model: str
    price: Price
    input_tokens: int
    output_tokens_max: int
    choices: int
    stream: bool
    stated: bool
    strict: bool
    step_tokens: int


class Sized(Struct, frozen=True, gc=False):
    """``held_output_tokens`` of all choices are paid for; ``output_tokens_max`` is the limit of
    one choice that the engine is given, ``lowered`` when the money lowered it."""

    amount_nano: int
    held_output_tokens: int
    output_tokens_max: int
    lowered: bool


class Hold(Struct, frozen=True, kw_only=True, gc=False):
    """Money set aside at every level; ``limits`` are the states with this hold in them.

    ``clamped_by`` is the level whose money lowered the output limit.
    """

    request_id: str
    amount_nano: int
    input_tokens: int
    output_tokens_max: int
    held_output_tokens: int
    clamped_by: LimitScope | None
    limits: tuple[LimitState, ...]
    price: Price


class Ending(Struct, frozen=True, kw_only=True, gc=False):
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
    deployment_id: str | None
