"""What must hold after the mixed drill; each check is a pure function over what was seen.

A check yields one sentence for each violation and nothing when all is well.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from tokenbooth.proving.malformed import MALFORMED
from tokenbooth.proving.observations import (
    RUNNING,
    CallSeen,
    Closing,
    Evidence,
    LevelSeen,
    OutageSeen,
    PriceSeen,
    RecordSeen,
)
from tokenbooth.proving.schedule import CLIENT_FAULTS, CUTS, CallKind

PICO_PER_NANO = 1000
OUT_OF_MONEY = frozenset({"insufficient_quota", "spend_limit_reached"})
ENGINE_DOWN = frozenset({"engine_failed", "engine_not_ready"})
REVOKED = "revoked_api_key"
COMPLETED, GONE, FAILED, KEY_GONE = "completed", "client_gone", "engine_failed", "key_revoked"
REFUSED = "refused"
CHARGED = frozenset({COMPLETED, GONE, KEY_GONE})


@dataclass(frozen=True, slots=True)
class Violation:
    """``check`` is the name of the rule that does not hold."""

    check: str
    text: str


def answers_are_whole(seen: Evidence) -> Iterator[str]:
    """Every call that was not cut got an answer with exactly one end."""
    for call in seen.calls:
        if call.broken:
            yield f"{_name(call)}: {call.broken}"
        elif call.plan.kind not in CUTS and call.status is None:
            yield f"{_name(call)}: no answer"
        elif call.status == 200 and call.plan.stream and call.closing is Closing.BODY:
            yield f"{_name(call)}: a whole body instead of a stream"


def client_faults_are_named(seen: Evidence) -> Iterator[str]:
    """A malformed body, an unknown model and a wrong key get their own 4xx, never a 5xx."""
    for call in seen.calls:
        if call.plan.kind in CLIENT_FAULTS:
            if call.status not in call.plan.statuses:
                wanted = ", ".join(map(str, sorted(call.plan.statuses)))
                yield f"{_name(call)}: status {call.status} instead of {wanted}"
            elif not call.error_code:
                yield f"{_name(call)}: an error without a code"


def paying_calls_are_answered(seen: Evidence) -> Iterator[str]:
    """The others get their answer, or a reason that the drill itself gave them."""
    for call in seen.calls:
        if call.plan.kind in CLIENT_FAULTS or call.complete or call.status is None:
            continue
        if call.status == 200 and call.closing is Closing.CUT and call.plan.kind in CUTS:
            continue
        if call.plan.kind is CallKind.OVER_CAP and call.error_code in OUT_OF_MONEY:
            continue
        if call.plan.kind is CallKind.KEY_REVOKE and call.error_code == REVOKED:
            continue
        if call.error_code in ENGINE_DOWN and _hit(call, seen.outages):
            continue
        yield f"{_name(call)}: status {call.status}, {call.closing.value}, {call.error_code}"


def records_match_calls(seen: Evidence) -> Iterator[str]:
    """One record for each call that got past the hold, with the outcome its client saw."""
    by_mark: defaultdict[str | None, list[RecordSeen]] = defaultdict(list)
    for record in seen.records:
        by_mark[record.end_customer].append(record)
    for call in seen.calls:
        found = by_mark.pop(call.plan.mark, [])
        if len(found) > 1:
            yield f"{_name(call)}: {len(found)} records"
        for record in found[:1]:
            yield from _mismatch(call, record, seen.outages)
        if not found and _must_be_recorded(call):
            yield f"{_name(call)}: no record, though it got past the hold"
    for mark, strays in by_mark.items():
        yield f"{len(strays)} records of a call that nobody made: {mark}"
    for request_id, times in Counter(record.id for record in seen.records).items():
        if times > 1:
            yield f"{request_id}: listed {times} times"


def told_costs_are_booked(seen: Evidence) -> Iterator[str]:
    """What an answer says it cost is what its record says."""
    by_id = {record.id: record for record in seen.records}
    for call in seen.calls:
        record = by_id.get(call.request_id or "")
        if call.complete and call.told_nano is None and _is_told(call):
            yield f"{_name(call)}: complete, and its cost was not told"
        if record is None or call.told_nano is None:
            continue
        if call.told_nano != record.cost_nano:
            yield f"{_name(call)}: told {call.told_nano} nano, booked {record.cost_nano}"


def costs_are_recomputable(seen: Evidence) -> Iterator[str]:
    """A cost is usage times price, rounded once, half to even, and never above the hold."""
    for record in seen.records:
        if record.cost_nano > record.held_nano:
            yield f"{record.id}: cost {record.cost_nano} above its hold {record.held_nano}"
        if record.cost_nano == 0 and record.status != COMPLETED:
            continue
        right = min(_cost_nano(record, seen.prices), record.held_nano)
        if record.cost_nano != right:
            yield f"{record.id}: cost {record.cost_nano} nano, usage and price make {right}"


def cut_calls_pay_for_delivery(seen: Evidence) -> Iterator[str]:
    """A cut call is charged for what it read at least, and for the hold at most."""
    by_id = {record.id: record for record in seen.records}
    for call in seen.calls:
        record = by_id.get(call.request_id or "")
        if record is None or record.status not in (GONE, KEY_GONE):
            continue
        if call.texts and (record.output_tokens or 0) < call.texts:
            yield f"{_name(call)}: read {call.texts} tokens, charged {record.output_tokens}"
        if call.texts and record.cost_nano == 0:
            yield f"{_name(call)}: read {call.texts} tokens for nothing"


def failures_are_free(seen: Evidence) -> Iterator[str]:
    """What the killed engine took down, and whatever else did not serve the caller, is free."""
    for record in seen.records:
        if record.status not in CHARGED and record.cost_nano:
            yield f"{record.id}: {record.status}, and it cost {record.cost_nano} nano"


def money_is_conserved(seen: Evidence) -> Iterator[str]:
    """Records add up to what left the balance, at the organization and at every key."""
    for account in seen.accounts:
        if account.billed_nano != account.spent_nano:
            yield (
                f"organization {account.name}: records add up to {account.billed_nano} nano, "
                f"{account.spent_nano} left the balance"
            )
    billed = _by_key(seen.records)
    for level in seen.levels:
        if level.scope == "key" and billed[level.owner_id] != level.spent_nano:
            yield (
                f"key {level.owner_id}: records add up to {billed[level.owner_id]} nano, "
                f"its limit says {level.spent_nano}"
            )


def caps_hold(seen: Evidence) -> Iterator[str]:
    """No level was ever seen with more spent and held than its limit."""
    for level in _all_levels(seen):
        if level.over_nano:
            yield f"{level.scope} {level.owner_id}: {level.over_nano} nano over its limit"


def nothing_is_left_open(seen: Evidence) -> Iterator[str]:
    """No call runs, no money is held, and the server ended cleanly."""
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
    if seen.exit_status != 0:
        yield f"the server exited with {seen.exit_status} after SIGTERM"


def ledger_is_sound(seen: Evidence) -> Iterator[str]:
    """``ledger verify`` finds no difference."""
    if seen.ledger.difference_nano:
        yield f"the ledger differs by {seen.ledger.difference_nano} nano"
    yield from seen.ledger.problems


def drill_shows_enough(seen: Evidence) -> Iterator[str]:
    """The faults that the drill is about did happen."""
    ups = sum(outage.up_us is not None for outage in seen.outages)
    if ups != seen.kills_planned:
        yield f"{ups} of {seen.kills_planned} kills of the engine with a restart"
    tallies = {
        "a call that the killed engine failed": any(r.status == FAILED for r in seen.records),
        "a cut call": any(r.status == GONE for r in seen.records),
        "a stream that the revocation ended": any(r.status == KEY_GONE for r in seen.records),
        "a refusal at a cap": any(call.error_code in OUT_OF_MONEY for call in seen.calls),
        "a completed call": any(call.complete for call in seen.calls),
        "money that moved": any(account.spent_nano for account in seen.accounts),
    }
    for what, was_seen in tallies.items():
        if not was_seen:
            yield f"not once seen: {what}"


CHECKS: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    answers_are_whole,
    client_faults_are_named,
    paying_calls_are_answered,
    records_match_calls,
    told_costs_are_booked,
    costs_are_recomputable,
    cut_calls_pay_for_delivery,
    failures_are_free,
    money_is_conserved,
    caps_hold,
    nothing_is_left_open,
    ledger_is_sound,
    drill_shows_enough,
)


def violations(seen: Evidence) -> tuple[Violation, ...]:
    """Every violation of every check, in their order."""
    return tuple(Violation(check.__name__, text) for check in CHECKS for text in check(seen))


def overshoot_nano(seen: Evidence) -> int:
    """The most that any level was ever seen over its limit."""
    return max((level.over_nano for level in _all_levels(seen)), default=0)


def _name(call: CallSeen) -> str:
    shown = f"call {call.plan.number} ({call.plan.kind.value}"
    return f"{shown}, {call.request_id})" if call.request_id else f"{shown})"


def _hit(call: CallSeen, outages: Iterable[OutageSeen]) -> bool:
    """Whether the call and an outage of the engine overlap in time."""
    return any(
        call.ended_us >= outage.killed_us
        and (outage.up_us is None or call.began_us <= outage.up_us)
        for outage in outages
    )


def _must_be_recorded(call: CallSeen) -> bool:
    return call.status in (200, 502)


def _mismatch(call: CallSeen, record: RecordSeen, outages: tuple[OutageSeen, ...]) -> Iterator[str]:
    if call.request_id is not None and call.request_id != record.id:
        yield f"{_name(call)}: the record has the id {record.id}"
    allowed = _outcomes(call, outages)
    if record.status not in allowed:
        wanted = " or ".join(sorted(allowed)) or "no record"
        yield f"{_name(call)}: recorded as {record.status} instead of {wanted}"


def _outcomes(call: CallSeen, outages: tuple[OutageSeen, ...]) -> frozenset[str]:
    """What the record of the call may say."""
    if call.complete:
        return frozenset({COMPLETED})
    if call.closing is Closing.CUT:
        # The call may have ended by itself before the server heard of the cut.
        failed = {FAILED} if _hit(call, outages) else set()
        return frozenset({GONE, COMPLETED, *failed})
    if call.error_code == REVOKED and call.status == 200:
        return frozenset({KEY_GONE})
    if call.error_code in ENGINE_DOWN:
        return frozenset({FAILED})
    if call.plan.kind is CallKind.MALFORMED and MALFORMED[call.plan.way].engine_decides:
        return frozenset({REFUSED})
    return frozenset()


def _is_told(call: CallSeen) -> bool:
    return call.plan.include_usage or not call.plan.stream


def _cost_nano(record: RecordSeen, prices: Mapping[str, PriceSeen]) -> int:
    """Independent of the product's own arithmetic: exact fractions, rounded half to even."""
    price = prices[record.model]
    fresh = (record.input_tokens or 0) - record.cached_tokens
    pico = (
        fresh * price.input_pico
        + record.cached_tokens * price.cached_pico
        + (record.output_tokens or 0) * price.output_pico
    )
    return round(Fraction(pico, PICO_PER_NANO))


def _by_key(records: Iterable[RecordSeen]) -> Counter[str]:
    billed: Counter[str] = Counter()
    for record in records:
        billed[record.key_id] += record.cost_nano
    return billed


def _all_levels(seen: Evidence) -> Iterator[LevelSeen]:
    yield from seen.levels
    for call in seen.calls:
        yield from call.levels
