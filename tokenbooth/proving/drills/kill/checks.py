"""What must hold after servers died, beside the laws of every drill. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tokenbooth.proving.drills.kill.plan import INPUT_TOKENS
from tokenbooth.proving.drills.laws import (
    BOOK_LAWS,
    SERVED,
    Law,
    answers_match_records,
    by_mark,
    name_of,
    one_record_each,
    refusals_add_up,
)
from tokenbooth.proving.drills.probing import ProbedSaw, the_last_nano_is_judged_right
from tokenbooth.proving.observations import CallSeen, Closing, Evidence, RecordSeen

INTERRUPTED = "interrupted"
UNAVAILABLE = "billing_unavailable"
RECOVERY_US_MAX = 30_000_000
# A whole answer is booked and then sent; a server that dies in between leaves it booked.
LATE_US_MAX = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSeen:
    """One kill of one server. ``dead_wall_us`` is Unix time when it was dead for sure, the others
    are of the monotonic clock.

    ``looked_at`` counts recorded calls that it broke; ``recovered_us`` is how long after the
    restart the last of them was booked, ``None`` where one never was, or none was looked at.
    """

    replica: int
    killed_us: int
    dead_wall_us: int
    ready_us: int
    looked_at: int = 0
    recovered_us: int | None = None

    def during(self, call: CallSeen) -> bool:
        """Whether the server lay dead while the call ran."""
        return call.began_us <= self.ready_us and call.ended_us >= self.killed_us

    def broke(self, call: CallSeen) -> bool:
        """Whether it can be the reason for how that call ended."""
        return call.replica == self.replica and self.during(call)


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSaw(ProbedSaw):
    """The kills in their order, and how long after the last restart all was quiet."""

    kills: tuple[KillSeen, ...]
    planned: int


Seen = Evidence[KillSaw]


def only_kills_break_answers(seen: Seen) -> Iterator[str]:
    """Each call got its whole answer or a refusal for money, or its own server was killed.

    While any server lies dead, another may also say that it waits for the money that lies there.
    """
    for call in seen.calls:
        if not call.broken and (call.complete or call.refusal is not None):
            continue
        if call.closing is Closing.BROKEN and _killer(call, seen.saw.kills):
            continue
        if is_unavailable(call) and any(kill.during(call) for kill in seen.saw.kills):
            continue
        shown = f"{call.closing.value}, {call.error_code}, {call.broken}"
        yield f"{name_of(call)}: status {call.status}, {shown}"


def usage_is_what_came(seen: Seen) -> Iterator[str]:
    """A whole stream is recorded with the tokens that its client counted."""
    for call, record in _recorded(seen):
        if call.complete and call.plan.stream:
            counted = (INPUT_TOKENS, call.texts)
            if (record.input_tokens, record.output_tokens) != counted:
                yield f"{name_of(call)}: {counted} tokens came, recorded: {record}"


def interrupted_calls_pay_for_delivery(seen: Seen) -> Iterator[str]:
    """Who never saw the end pays for no more tokens than came, and nothing if none came."""
    for call, record in _recorded(seen):
        if call.complete:
            continue
        if record.status not in (INTERRUPTED, *SERVED):
            yield f"{name_of(call)}: recorded as {record.status}"
        if is_overcharged(call, record) and not is_undelivered(call, record, seen.saw.kills):
            yield (
                f"{name_of(call)}: {call.texts} tokens came, {record.output_tokens} are charged "
                f"for {record.cost_nano} nano as {record.status}"
            )


def delivered_calls_are_recorded(seen: Seen) -> Iterator[str]:
    """Of a call whose output was seen there is a record."""
    records = by_mark(seen.records)
    for call in seen.calls:
        if call.texts and call.plan.mark not in records:
            yield f"{name_of(call)}: {call.texts} tokens came, and there is no record"


def leases_are_recovered_in_time(seen: Seen) -> Iterator[str]:
    """What a killed server left is booked within 30 s of its restart."""
    for kill in seen.saw.kills:
        late = kill.recovered_us is not None and kill.recovered_us > RECOVERY_US_MAX
        if late or (kill.looked_at and kill.recovered_us is None):
            yield f"server {kill.replica}: recovered after {kill.recovered_us} us"


def kills_hurt(seen: Seen) -> Iterator[str]:
    """All kills happened, each after the restart before it, and they met what they are about."""
    if len(seen.saw.kills) != seen.saw.planned:
        yield f"{len(seen.saw.kills)} of {seen.saw.planned} kills"
    tallies = {
        "an interrupted call": any(r.status == INTERRUPTED for r in seen.records),
        "a whole answer": any(call.complete for call in seen.calls),
        "a refusal at a limit": any(call.refusal is not None for call in seen.calls),
        "a stream that broke": any(c.texts and not c.complete for c in seen.calls),
        "a probe": bool(seen.saw.probes),
    }
    for what, was_seen in tallies.items():
        if not was_seen:
            yield f"not once seen: {what}"


CHECKS: Sequence[Law[KillSaw]] = (
    only_kills_break_answers,
    one_record_each,
    answers_match_records,
    usage_is_what_came,
    interrupted_calls_pay_for_delivery,
    delivered_calls_are_recorded,
    refusals_add_up,
    the_last_nano_is_judged_right,
    leases_are_recovered_in_time,
    *BOOK_LAWS,
    kills_hurt,
)


def is_unavailable(call: CallSeen) -> bool:
    """Refused for now, because the ledger could not be asked in time; and told to come back."""
    named = call.status == 503 and call.error_code == UNAVAILABLE
    return named and call.retry_after_s is not None


def is_overcharged(call: CallSeen, record: RecordSeen) -> bool:
    """Whether a call that did not end for its client costs more than came."""
    if not record.cost_nano:
        return False
    return not call.texts or (record.output_tokens or 0) > call.texts


def is_undelivered(call: CallSeen, record: RecordSeen, kills: Iterable[KillSeen]) -> bool:
    """Whether a whole answer was booked, and its server died before it was on its way."""
    killer = _killer(call, kills)
    if call.plan.stream or record.status not in SERVED or killer is None:
        return False
    ended_us = record.ended_us or 0
    return killer.dead_wall_us - LATE_US_MAX <= ended_us <= killer.dead_wall_us


def overcharged(seen: Seen) -> int:
    """Calls that broke and cost more than came, those on their way aside."""
    return sum(
        is_overcharged(call, record) and not is_undelivered(call, record, seen.saw.kills)
        for call, record in _recorded(seen)
        if not call.complete
    )


def undelivered(seen: Seen) -> int:
    """Whole answers that were booked and never came, because their server died just then."""
    return sum(
        is_overcharged(call, record) and is_undelivered(call, record, seen.saw.kills)
        for call, record in _recorded(seen)
        if not call.complete
    )


def waived_tokens(seen: Seen) -> int:
    """Output that came and is not charged, in the callers' favour."""
    return sum(
        max(0, call.texts - (record.output_tokens or 0 if record.cost_nano else 0))
        for call, record in _recorded(seen)
        if not call.complete
    )


def _recorded(seen: Seen) -> Iterator[tuple[CallSeen, RecordSeen]]:
    """Each call that has a record, with the first."""
    records = by_mark(seen.records)
    for call in seen.calls:
        for record in records.get(call.plan.mark, [])[:1]:
            yield call, record


def _killer(call: CallSeen, kills: Iterable[KillSeen]) -> KillSeen | None:
    return next((kill for kill in kills if kill.broke(call)), None)
