"""What must hold after an outage of the database, beside the laws of every drill. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tokenbooth.proving.drills.dbdown.plan import STRANGER_NUMBERS
from tokenbooth.proving.drills.laws import (
    BOOK_LAWS,
    Law,
    answers_match_records,
    name_of,
    one_record_each,
)
from tokenbooth.proving.observations import CallSeen, Evidence, Saw

UNAVAILABLE = "billing_unavailable"
# Servers may need a moment to see that the database is back.
RETURN_US_MAX = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DbdownSaw(Saw):
    """``down_us`` is when the database was away for sure, ``up_us`` when it was back."""

    down_us: int
    up_us: int


Seen = Evidence[DbdownSaw]


def is_stranger(call: CallSeen) -> bool:
    return call.plan.number >= STRANGER_NUMBERS


def inside(seen: Seen, call: CallSeen) -> bool:
    """Whether the call began and ended while the database was away."""
    return seen.saw.down_us <= call.began_us and call.ended_us <= seen.saw.up_us


def refusals_are_named(seen: Seen) -> Iterator[str]:
    """Each call gets its whole answer, or a 503 with Retry-After while the database is away."""
    for call in seen.calls:
        if call.complete and not call.broken:
            continue
        shown = f"status {call.status}, {call.closing.value}, {call.error_code}, {call.broken}"
        if call.status != 503 or call.error_code != UNAVAILABLE or call.broken:
            yield f"{name_of(call)}: {shown}"
        elif call.retry_after_s is None:
            yield f"{name_of(call)}: a 503 without Retry-After"
        elif call.ended_us < seen.saw.down_us or call.began_us > seen.saw.up_us + RETURN_US_MAX:
            yield f"{name_of(call)}: refused, and the database was there"


def leased_money_is_served(seen: Seen) -> Iterator[str]:
    """Calls of those for whom money is leased go on being answered during the outage."""
    if not served_inside(seen):
        yield "no call was answered while the database was away"


def nobody_is_served_unmetered(seen: Seen) -> Iterator[str]:
    """Nobody without leased money is answered during the outage."""
    for call in seen.calls:
        if call.complete and is_stranger(call) and inside(seen, call):
            yield f"{name_of(call)}: answered, and nothing was leased for it"


def everybody_is_served_again(seen: Seen) -> Iterator[str]:
    """Afterwards regulars and strangers are answered."""
    after = [c for c in seen.calls if c.complete and c.began_us > seen.saw.up_us]
    if not any(not is_stranger(call) for call in after):
        yield "no regular was answered after the outage"
    answered = {c.plan.key for c in seen.calls if c.complete and is_stranger(c)}
    missed = {c.plan.key for c in seen.calls if is_stranger(c)} - answered
    for name in sorted(missed):
        yield f"{name} was never answered"


def outage_was_felt(seen: Seen) -> Iterator[str]:
    """The database was away while callers called, and somebody was refused."""
    if not any(call.status == 503 for call in seen.calls):
        yield "nobody was refused: the outage was none"
    if not any(inside(seen, call) for call in seen.calls):
        yield "no call fell into the outage"


CHECKS: Sequence[Law[DbdownSaw]] = (
    refusals_are_named,
    leased_money_is_served,
    nobody_is_served_unmetered,
    everybody_is_served_again,
    one_record_each,
    answers_match_records,
    *BOOK_LAWS,
    outage_was_felt,
)


def served_inside(seen: Seen) -> int:
    """Calls answered from their beginning to their end during the outage."""
    return sum(call.complete and inside(seen, call) for call in seen.calls)


def first_stranger_us(seen: Seen) -> int | None:
    """From the end of the outage to the first answer of a stranger; ``None`` without one."""
    ends = [c.ended_us for c in seen.calls if c.complete and is_stranger(c)]
    return max(0, min(ends) - seen.saw.up_us) if ends else None
