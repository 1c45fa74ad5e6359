"""What a deployment can take, and a call on its way through."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from tokenbooth.admission.entry.spare import Spare
from tokenbooth.core.terms import ServiceTier

NEVER_US = -1
RANKS = 8
# Ranks from here on are served on what the others leave free.
SPARE_RANK = 4
_TIERS = {
    ServiceTier.PRIORITY: 0,
    ServiceTier.STANDARD: 2,
    ServiceTier.FLEX: 4,
    ServiceTier.BATCH: 6,
}


def rank_of(tier: ServiceTier, *, first_party: bool) -> int:
    """0 is served first, 7 last: by tier, and within a tier the operator's own apps last."""
    return _TIERS[tier] + first_party


@dataclass(frozen=True, slots=True)
class Pace:
    """What each call of a deployment is promised, and how far its limit may move to keep it.

    The limit stays within ``floor`` and ``ceiling`` calls at once, which a measurement sets.
    """

    ttft_us: int
    tpot_us: int
    floor: int
    ceiling: int


@dataclass(frozen=True, slots=True)
class Limits:
    """``concurrency_max`` calls inside and ``queue_max`` waiting; without a pace the limit of calls
    inside does not move, and no call is judged by when its first token would come."""

    concurrency_max: int
    queue_max: int
    pace: Pace | None = None


class Reason(Enum):
    """Why a call does not start; the text is for its caller."""

    BUSY = "The model is busy."
    FULL = "The model's queue is full."
    TOO_LATE = "The model is so busy that this call would start too late."
    OUTWAITED = "The model stayed busy for as long as a call may wait."


@dataclass(frozen=True, slots=True)
class Refusal:
    """``retry_after_s`` is when there will be room for this caller, as far as can be foreseen."""

    reason: Reason
    retry_after_s: int


def _nothing_yet() -> int:
    return 0


@dataclass(slots=True, eq=False)
class Visit:
    """One call: what it brings, and where it is. Times are of a monotonic clock, -1 for not yet.

    ``output_tokens`` is what it is expected to write. ``progress`` tells the output tokens so far,
    and is asked now and then while the call runs.
    """

    tenant: str
    rank: int
    input_tokens: int
    output_tokens: int
    wait_max_us: int
    arrived_us: int = 0
    entered_us: int = NEVER_US
    first_us: int = NEVER_US
    waits: bool = False
    promised: bool = False
    charged: bool = False
    spare: Spare | None = None
    refusal: Refusal | None = None
    progress: Callable[[], int] = _nothing_yet
    reading_tokens: int = 0
    sampled_tokens: int = 0
    sampled_us: int = 0
