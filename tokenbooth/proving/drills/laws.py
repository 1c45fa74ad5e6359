"""What must hold after every drill; each law is a pure function over what was seen.

A law yields one sentence for each violation and nothing when all is well.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from tokenbooth.proving.observations import (
    RUNNING,
    CallSeen,
    Evidence,
    LevelSeen,
    PriceSeen,
    RecordSeen,
    Saw,
)

PICO_PER_NANO = 1000
COMPLETED = "completed"
# How the record of a whole answer may end: the second is one whose money ran out on the way.
SERVED = frozenset({COMPLETED, "cap_reached"})

S = TypeVar("S", bound=Saw)
Seen = Evidence[Saw]
Law = Callable[[Evidence[S]], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Violation:
    """``check`` is the name of the rule that does not hold."""

    check: str
    text: str


def violations(seen: Evidence[S], laws: Iterable[Law[S]]) -> tuple[Violation, ...]:
    """Every violation of every law, in their order."""
    return tuple(Violation(law.__name__, text) for law in laws for text in law(seen))


def told_costs_are_booked(seen: Seen) -> Iterator[str]:
    """What an answer says it cost is what its record says."""
    by_id = {record.id: record for record in seen.records}
    for call in seen.calls:
        record = by_id.get(call.request_id or "")
        if call.complete and call.told_nano is None and is_told(call):
            yield f"{name_of(call)}: complete, and its cost was not told"
        if record is None or call.told_nano is None:
            continue
        if call.told_nano != record.cost_nano:
            yield f"{name_of(call)}: told {call.told_nano} nano, booked {record.cost_nano}"


def costs_are_recomputable(seen: Seen) -> Iterator[str]:
    """A cost is usage times price, rounded once, half to even, and never above the hold."""
    for record in seen.records:
        if record.cost_nano > record.held_nano:
            yield f"{record.id}: cost {record.cost_nano} above its hold {record.held_nano}"
        if record.cost_nano == 0 and record.status != COMPLETED:
            continue
        right = min(record_cost_nano(record, seen.prices), record.held_nano)
        if record.cost_nano != right:
            yield f"{record.id}: cost {record.cost_nano} nano, usage and price make {right}"


def money_is_conserved(seen: Seen) -> Iterator[str]:
    """Records add up to what left the balance, at the organization and at every key."""
    for account in seen.accounts:
        if account.billed_nano != account.spent_nano:
            yield (
                f"organization {account.name}: records add up to {account.billed_nano} nano, "
                f"{account.spent_nano} left the balance"
            )
    billed: Counter[str] = Counter()
    for record in seen.records:
        billed[record.key_id] += record.cost_nano
    for level in seen.levels:
        if level.scope == "key" and billed[level.owner_id] != level.spent_nano:
            yield (
                f"key {level.owner_id}: records add up to {billed[level.owner_id]} nano, "
                f"its limit says {level.spent_nano}"
            )


def caps_hold(seen: Seen) -> Iterator[str]:
    """No level was ever seen with more spent and held than its limit."""
    for level in all_levels(seen):
        if level.over_nano:
            yield f"{level.scope} {level.owner_id}: {level.over_nano} nano over its limit"


def nothing_is_left_open(seen: Seen) -> Iterator[str]:
    """No call runs, no money is held, and every server ended cleanly."""
    if not seen.quiet:
        yield "calls were still running when the wait was over"
    for record in seen.records:
        if record.status == RUNNING:
            yield f"{record.id}: still running"
    for level in seen.levels:
        if level.held_nano:
            yield f"{level.scope} {level.owner_id}: {level.held_nano} nano still held"
    if seen.ledger.open_holds:
        yield f"{seen.ledger.open_holds} holds are open"
    for status in seen.exit_statuses:
        if status != 0:
            yield f"a server exited with {status} after SIGTERM"


def ledger_is_sound(seen: Seen) -> Iterator[str]:
    """``ledger verify`` finds no difference."""
    if seen.ledger.difference_nano:
        yield f"the ledger differs by {seen.ledger.difference_nano} nano"
    yield from seen.ledger.problems


def one_record_each(seen: Seen) -> Iterator[str]:
    """No call has two records, no record is listed twice, and none is of a call nobody made."""
    made = {call.plan.mark: call for call in seen.calls}
    for mark, records in by_mark(seen.records).items():
        call = made.get(mark or "")
        if call is None:
            yield f"{len(records)} records of a call that nobody made: {mark}"
        elif len(records) > 1:
            yield f"{name_of(call)}: {len(records)} records"
        elif call.request_id not in (None, records[0].id):
            yield f"{name_of(call)}: the record has the id {records[0].id}"
    for request_id, times in Counter(record.id for record in seen.records).items():
        if times > 1:
            yield f"{request_id}: listed {times} times"


def answers_match_records(seen: Seen) -> Iterator[str]:
    """A whole answer has a record that ended well; a call refused at the door has none."""
    records = by_mark(seen.records)
    for call in seen.calls:
        found = records.get(call.plan.mark, [])
        if call.complete and not found:
            yield f"{name_of(call)}: answered, and there is no record"
        for record in found[:1]:
            if call.complete and record.status not in SERVED:
                yield f"{name_of(call)}: answered, and recorded as {record.status}"
            elif 400 <= (call.status or 0) < 500:
                yield f"{name_of(call)}: refused, and recorded as {record.status}"


def refusals_add_up(seen: Seen) -> Iterator[str]:
    """By its own numbers a call refused for money does not fit, and it is told to wait exactly
    where only the holds of running calls are in the way."""
    for call in seen.calls:
        if call.refusal is None:
            continue
        if call.refusal.false:
            yield f"{name_of(call)}: refused, and it would have fitted: {call.refusal}"
        if call.refusal.final != (call.retry_after_s is None):
            yield f"{name_of(call)}: retry-after {call.retry_after_s} beside {call.refusal}"


# Of the books alone; every drill holds them, whatever it does.
BOOK_LAWS: tuple[Callable[[Seen], Iterator[str]], ...] = (
    told_costs_are_booked,
    costs_are_recomputable,
    money_is_conserved,
    caps_hold,
    nothing_is_left_open,
    ledger_is_sound,
)


def overshoot_nano(seen: Seen) -> int:
    """The most that any level was ever seen over its limit."""
    return max((level.over_nano for level in all_levels(seen)), default=0)


def lost(seen: Seen) -> int:
    """Whole answers without a record, or whose record costs less than the answer said."""
    records = by_mark(seen.records)
    missing = 0
    for call in seen.calls:
        booked_nano = sum(record.cost_nano for record in records.get(call.plan.mark, []))
        found = call.plan.mark in records and booked_nano >= (call.told_nano or 0)
        missing += call.complete and not found
    return missing


def duplicates(seen: Seen) -> int:
    """Records beyond the first of each call."""
    return sum(len(records) - 1 for records in by_mark(seen.records).values())


def by_mark(records: Iterable[RecordSeen]) -> dict[str | None, list[RecordSeen]]:
    """Records by the end customer that their calls named."""
    found: defaultdict[str | None, list[RecordSeen]] = defaultdict(list)
    for record in records:
        found[record.end_customer].append(record)
    return found


def name_of(call: CallSeen) -> str:
    """How a violation speaks of a call."""
    shown = f"call {call.plan.number} ({call.plan.kind.value}"
    return f"{shown}, {call.request_id})" if call.request_id else f"{shown})"


def is_told(call: CallSeen) -> bool:
    """Whether the answer, once complete, must name its cost."""
    return call.plan.include_usage or not call.plan.stream


def cost_nano(
    price: PriceSeen, input_tokens: int, output_tokens: int, cached_tokens: int = 0
) -> int:
    """Independent of the product's own arithmetic: exact fractions, rounded half to even."""
    pico = (
        (input_tokens - cached_tokens) * price.input_pico
        + cached_tokens * price.cached_pico
        + output_tokens * price.output_pico
    )
    return round(Fraction(pico, PICO_PER_NANO))


def record_cost_nano(record: RecordSeen, prices: Mapping[str, PriceSeen]) -> int:
    """What the record's own usage costs."""
    tokens = (record.input_tokens or 0, record.output_tokens or 0, record.cached_tokens)
    return cost_nano(prices[record.model], *tokens)


def all_levels(seen: Seen) -> Iterator[LevelSeen]:
    """Every sight of a level: at the end, in answers, and in refusals."""
    yield from seen.levels
    for call in seen.calls:
        yield from call.levels
        if call.refusal is not None:
            yield call.refusal.level
