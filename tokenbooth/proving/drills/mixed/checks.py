"""What must hold after the mixed drill, beside the laws of every drill. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tokenbooth.proving.drills.laws import (
    BOOK_LAWS,
    COMPLETED,
    SERVED,
    by_mark,
    name_of,
    one_record_each,
)
from tokenbooth.proving.malformed import MALFORMED
from tokenbooth.proving.observations import CallSeen, Closing, Evidence, Saw
from tokenbooth.proving.plans import CLIENT_FAULTS, CUTS, CallKind

OUT_OF_MONEY = frozenset({"insufficient_quota", "spend_limit_reached"})
ENGINE_DOWN = frozenset({"engine_failed", "engine_not_ready"})
REVOKED = "revoked_api_key"
GONE, FAILED, KEY_GONE, REFUSED = "client_gone", "engine_failed", "key_revoked", "refused"
CHARGED = SERVED | {GONE, KEY_GONE}


@dataclass(frozen=True, slots=True)
class OutageSeen:
    """A kill of the engine; ``up_us`` is when it answered again, ``None`` when it never did."""

    killed_us: int
    up_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedSaw(Saw):
    """The calls, and the outages of the engine that they lived through."""

    outages: tuple[OutageSeen, ...]
    kills_planned: int


Seen = Evidence[MixedSaw]


def answers_are_whole(seen: Seen) -> Iterator[str]:
    """Every call that was not cut got an answer with exactly one end."""
    for call in seen.calls:
        if call.broken:
            yield f"{name_of(call)}: {call.broken}"
        elif call.plan.kind not in CUTS and call.status is None:
            yield f"{name_of(call)}: no answer"
        elif call.status == 200 and call.plan.stream and call.closing is Closing.BODY:
            yield f"{name_of(call)}: a whole body instead of a stream"


def client_faults_are_named(seen: Seen) -> Iterator[str]:
    """A malformed body, an unknown model and a wrong key get their own 4xx, never a 5xx."""
    for call in seen.calls:
        if call.plan.kind in CLIENT_FAULTS:
            if call.status not in call.plan.statuses:
                wanted = ", ".join(map(str, sorted(call.plan.statuses)))
                yield f"{name_of(call)}: status {call.status} instead of {wanted}"
            elif not call.error_code:
                yield f"{name_of(call)}: an error without a code"


def paying_calls_are_answered(seen: Seen) -> Iterator[str]:
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
        if call.error_code in ENGINE_DOWN and _hit(call, seen.saw.outages):
            continue
        yield f"{name_of(call)}: status {call.status}, {call.closing.value}, {call.error_code}"


def records_match_calls(seen: Seen) -> Iterator[str]:
    """A record for each call that got past the hold, with the outcome that its client saw."""
    records = by_mark(seen.records)
    for call in seen.calls:
        found = records.get(call.plan.mark, [])
        for record in found[:1]:
            allowed = _outcomes(call, seen.saw.outages)
            if record.status not in allowed:
                wanted = " or ".join(sorted(allowed)) or "no record"
                yield f"{name_of(call)}: recorded as {record.status} instead of {wanted}"
        if not found and call.status in (200, 502):
            yield f"{name_of(call)}: no record, though it got past the hold"


def cut_calls_pay_for_delivery(seen: Seen) -> Iterator[str]:
    """A cut call is charged for what it read at least, and for the hold at most."""
    by_id = {record.id: record for record in seen.records}
    for call in seen.calls:
        record = by_id.get(call.request_id or "")
        if record is None or record.status not in (GONE, KEY_GONE):
            continue
        if call.texts and (record.output_tokens or 0) < call.texts:
            yield f"{name_of(call)}: read {call.texts} tokens, charged {record.output_tokens}"
        if call.texts and record.cost_nano == 0:
            yield f"{name_of(call)}: read {call.texts} tokens for nothing"


def failures_are_free(seen: Seen) -> Iterator[str]:
    """What the killed engine took down, and whatever else did not serve the caller, is free."""
    for record in seen.records:
        if record.status not in CHARGED and record.cost_nano:
            yield f"{record.id}: {record.status}, and it cost {record.cost_nano} nano"


def drill_shows_enough(seen: Seen) -> Iterator[str]:
    """The faults that the drill is about did happen."""
    ups = sum(outage.up_us is not None for outage in seen.saw.outages)
    if ups != seen.saw.kills_planned:
        yield f"{ups} of {seen.saw.kills_planned} kills of the engine with a restart"
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


CHECKS = (
    answers_are_whole,
    client_faults_are_named,
    paying_calls_are_answered,
    one_record_each,
    records_match_calls,
    cut_calls_pay_for_delivery,
    failures_are_free,
    *BOOK_LAWS,
    drill_shows_enough,
)


def _hit(call: CallSeen, outages: Iterable[OutageSeen]) -> bool:
    """Whether the call and an outage of the engine overlap in time."""
    return any(
        call.ended_us >= outage.killed_us
        and (outage.up_us is None or call.began_us <= outage.up_us)
        for outage in outages
    )


def _outcomes(call: CallSeen, outages: tuple[OutageSeen, ...]) -> frozenset[str]:
    """What the record of the call may say."""
    if call.complete:
        # Only a call without a stated limit is let in before all of its money is there.
        return SERVED if call.plan.output_tokens_max is None else frozenset({COMPLETED})
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
