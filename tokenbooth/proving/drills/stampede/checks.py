"""What must hold after the stampede, beside the laws of every drill. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tokenbooth.proving.drills.laws import (
    BOOK_LAWS,
    Law,
    answers_match_records,
    by_mark,
    name_of,
    one_record_each,
    refusals_add_up,
)
from tokenbooth.proving.drills.probing import (
    ProbedSaw,
    ProbeSeen,
    the_last_nano_is_judged_right,
)
from tokenbooth.proving.drills.stampede.plan import CALL_NANO, CAP_NANO, FITTING, Rush
from tokenbooth.proving.observations import CallSeen, Evidence

USED_PPM_MIN = 999_000
PPM = 1_000_000
OUT_OF_MONEY = "insufficient_quota"


@dataclass(frozen=True, slots=True, kw_only=True)
class RushSeen:
    """One rush: its own calls, those at the quiet end, and whether callers had to be stopped."""

    rush: Rush
    calls: tuple[CallSeen, ...]
    probes: tuple[ProbeSeen, ...] = ()
    endless: bool = False

    @property
    def all_calls(self) -> tuple[CallSeen, ...]:
        return (*self.calls, *(probe.call for probe in self.probes))


@dataclass(frozen=True, slots=True, kw_only=True)
class StampedeSaw(ProbedSaw):
    """``parallel`` is how many calls of an exact rush were connected before the first was sent."""

    rushes: tuple[RushSeen, ...]
    parallel: int


Seen = Evidence[StampedeSaw]


def exactly_what_fits_passes(seen: Seen) -> Iterator[str]:
    """Of equal calls as many pass as the limit pays for, and their sum is spent to the nano."""
    for each in seen.saw.rushes:
        if each.rush.exact:
            passed, spent_nano = passes(each), spent_by(seen, each.calls)
            fitting = min(FITTING, len(each.calls))
            if (passed, spent_nano) != (fitting, fitting * CALL_NANO):
                yield (
                    f"{each.rush.name}: {passed} calls passed for {spent_nano} nano, "
                    f"{fitting} for {fitting * CALL_NANO} fit"
                )


def refusals_are_named(seen: Seen) -> Iterator[str]:
    """Whoever does not pass gets one whole 429 insufficient_quota with the limit's numbers."""
    for call in seen.calls:
        if call.complete:
            continue
        if call.broken:
            yield f"{name_of(call)}: {call.broken}"
        elif call.status != 429 or call.error_type != OUT_OF_MONEY or call.refusal is None:
            yield f"{name_of(call)}: status {call.status}, {call.error_type}, {call.error_code}"


def refusals_are_true(seen: Seen) -> Iterator[str]:
    """A refusal names the limit that the rush is at, and no more as spent than was in the end."""
    for each in seen.saw.rushes:
        spent_nano = spent_by(seen, each.all_calls)
        for call in each.calls:
            told = call.refusal
            if told is not None and told.spent_nano > spent_nano:
                yield f"{name_of(call)}: {told}, and {spent_nano} was spent in the end"
            if told is not None and (told.scope, told.limit_nano) != (each.rush.scope, CAP_NANO):
                yield f"{name_of(call)}: {told}, and the limit is {CAP_NANO} of {each.rush.scope}"


def caps_are_used_up(seen: Seen) -> Iterator[str]:
    """Callers that come back use at least 99.9 % of the limit, and all of them come to an end."""
    for each in seen.saw.rushes:
        if each.endless:
            yield f"{each.rush.name}: its callers were never refused for good"
        if not each.rush.exact and used_ppm(seen, each) < USED_PPM_MIN:
            yield f"{each.rush.name}: {used_ppm(seen, each)} millionths of the limit were used"


def stampede_was_one(seen: Seen) -> Iterator[str]:
    """The calls of an exact rush stood ready together, and more than fit."""
    for each in seen.saw.rushes:
        if each.rush.exact and len(each.calls) <= FITTING:
            yield f"{each.rush.name}: only {len(each.calls)} calls"
        if not each.rush.exact and not each.probes:
            yield f"{each.rush.name}: nothing was asked at the quiet end"
    if seen.saw.parallel <= FITTING:
        yield f"only {seen.saw.parallel} calls at the same time"


CHECKS: Sequence[Law[StampedeSaw]] = (
    exactly_what_fits_passes,
    refusals_are_named,
    refusals_add_up,
    refusals_are_true,
    caps_are_used_up,
    the_last_nano_is_judged_right,
    one_record_each,
    answers_match_records,
    *BOOK_LAWS,
    stampede_was_one,
)


def passes(each: RushSeen) -> int:
    return sum(call.complete for call in each.calls)


def spent_by(seen: Seen, calls: Iterable[CallSeen]) -> int:
    """What the records of these calls add up to, in nano."""
    records = by_mark(seen.records)
    return sum(r.cost_nano for call in calls for r in records.get(call.plan.mark, []))


def used_ppm(seen: Seen, each: RushSeen) -> int:
    """Millionths of the limit that the crowd spent before the quiet end, rounded down."""
    return spent_by(seen, each.calls) * PPM // CAP_NANO


def false_refusals(seen: Seen) -> int:
    """Calls that were refused although they fitted."""
    told = sum(call.refusal is not None and call.refusal.false for call in seen.calls)
    return told + sum(probe.false for probe in seen.saw.probes)
