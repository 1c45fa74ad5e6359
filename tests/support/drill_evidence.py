"""Evidence of a drill in which all is well, made without any server, to plant faults in."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction

from tokenbooth.proving.drills.mixed.checks import MixedSaw, OutageSeen, Seen
from tokenbooth.proving.drills.mixed.schedule import PRICE, schedule_of
from tokenbooth.proving.malformed import MALFORMED
from tokenbooth.proving.observations import (
    AccountSeen,
    CallSeen,
    Closing,
    Evidence,
    LedgerSeen,
    LevelSeen,
    RecordSeen,
)
from tokenbooth.proving.plans import CallKind, CallPlan

MODEL = "drill-model"
BALANCE_NANO = 10**12
STEP_US = 1000


def clean_evidence() -> Seen:
    """Sixty calls, each with the answer and the record that it should have."""
    schedule = schedule_of(1, 60)
    outages = tuple(OutageSeen(kill * STEP_US + 1, kill * STEP_US + 500) for kill in schedule.kills)
    calls = tuple(map(_call, schedule.calls))
    records = tuple(record for call in calls if (record := _record(call)) is not None)
    spent_nano = sum(record.cost_nano for record in records)
    billed: Counter[str] = Counter()
    for record in records:
        billed[record.key_id] += record.cost_nano
    levels = (
        LevelSeen("balance", "org", BALANCE_NANO, spent_nano, 0),
        *(LevelSeen("key", key, None, nano, 0) for key, nano in billed.items()),
    )
    return Evidence(
        saw=MixedSaw(calls=calls, outages=outages, kills_planned=2),
        accounts=(AccountSeen("main", BALANCE_NANO, BALANCE_NANO - spent_nano, records),),
        levels=levels,
        ledger=LedgerSeen(0, 0, ()),
        prices={MODEL: PRICE},
        quiet=True,
        exit_statuses=(0,),
    )


def cost_nano(input_tokens: int, output_tokens: int) -> int:
    pico = input_tokens * PRICE.input_pico + output_tokens * PRICE.output_pico
    return round(Fraction(pico, 1000))


def swap_saw(seen: Seen, **changed: object) -> Seen:
    """The same evidence with another part of what the attack saw."""
    return replace(seen, saw=replace(seen.saw, **changed))  # type: ignore[arg-type]


def swap_call(seen: Seen, number: int, **changed: object) -> Seen:
    """The same evidence with one call changed."""
    calls = tuple(
        replace(call, **changed) if call.plan.number == number else call  # type: ignore[arg-type]
        for call in seen.calls
    )
    return swap_saw(seen, calls=calls)


def swap_record(seen: Seen, number: int, **changed: object) -> Seen:
    """The same evidence with the record of one call changed; balances stay as they were."""
    (account,) = seen.accounts
    mark = seen.calls[number].plan.mark
    records = tuple(
        replace(record, **changed) if record.end_customer == mark else record  # type: ignore[arg-type]
        for record in account.records
    )
    return replace(seen, accounts=(replace(account, records=records),))


def record_of(seen: Seen, number: int) -> RecordSeen:
    mark = seen.calls[number].plan.mark
    (found,) = (record for record in seen.records if record.end_customer == mark)
    return found


def without_record(seen: Seen, number: int) -> Seen:
    """The record is lost, and its money stays in the balance and off the key."""
    (account,) = seen.accounts
    lost = record_of(seen, number)
    records = tuple(record for record in account.records if record is not lost)
    levels = tuple(
        replace(level, spent_nano=level.spent_nano - lost.cost_nano)
        if level.owner_id == lost.key_id
        else level
        for level in seen.levels
    )
    account = replace(account, records=records, after_nano=account.after_nano + lost.cost_nano)
    return replace(seen, accounts=(account,), levels=levels)


def first(seen: Seen, kind: CallKind) -> int:
    """The number of the first call of this kind, streamed if there is one."""
    return next(call.plan.number for call in seen.calls if call.plan.kind is kind)


def _call(plan: CallPlan) -> CallSeen:
    began_us = plan.number * STEP_US
    request_id = f"req_{plan.number}"
    told = cost_nano(10, 5)
    base = CallSeen(
        plan=plan,
        closing=Closing.BODY,
        status=200,
        request_id=request_id,
        began_us=began_us,
        ended_us=began_us + 10,
    )
    match plan.kind:
        case CallKind.WHOLE:
            level = LevelSeen("balance", "org", BALANCE_NANO, told, 0)
            return replace(base, told_nano=told, levels=(level,))
        case CallKind.STREAMED:
            told_nano = told if plan.include_usage else None
            return replace(base, closing=Closing.DONE, texts=5, told_nano=told_nano)
        case CallKind.STREAM_CUT if plan.cut_after_events:
            return replace(base, closing=Closing.CUT, texts=3)
        case CallKind.STREAM_CUT | CallKind.WHOLE_CUT:
            return replace(base, closing=Closing.CUT, status=None, request_id=None)
        case CallKind.OVER_CAP:
            return replace(base, status=429, error_code="spend_limit_reached")
        case CallKind.ENGINE_KILL:
            return replace(base, closing=Closing.ERROR, error_code="engine_failed", texts=3)
        case CallKind.KEY_REVOKE:
            return replace(base, closing=Closing.ERROR, error_code="revoked_api_key", texts=3)
        case _:
            (status,) = plan.statuses
            return replace(base, status=status, error_code="some_code")


def _record(call: CallSeen) -> RecordSeen | None:
    outcome = {
        CallKind.WHOLE: "completed",
        CallKind.STREAMED: "completed",
        CallKind.STREAM_CUT: "client_gone",
        CallKind.ENGINE_KILL: "engine_failed",
        CallKind.KEY_REVOKE: "key_revoked",
    }.get(call.plan.kind)
    if call.plan.kind is CallKind.MALFORMED and MALFORMED[call.plan.way].engine_decides:
        outcome = "refused"
    if outcome is None:
        return None
    output_tokens = 5 if outcome == "completed" else call.texts
    charged = outcome == "completed" or (outcome != "engine_failed" and output_tokens > 0)
    return RecordSeen(
        id=call.request_id or f"req_unseen_{call.plan.number}",
        status=outcome,
        model=MODEL,
        end_customer=call.plan.mark,
        key_id=call.plan.key,
        cost_nano=cost_nano(10, output_tokens) if charged else 0,
        held_nano=10**7,
        input_tokens=10,
        cached_tokens=0,
        output_tokens=output_tokens,
    )
