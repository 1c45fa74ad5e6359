"""Parts of evidence that all is well, to build the evidence of any drill from."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tokenbooth.proving.drills.laws import cost_nano
from tokenbooth.proving.observations import (
    AccountSeen,
    CallSeen,
    Closing,
    LedgerSeen,
    LevelSeen,
    PriceSeen,
    RecordSeen,
    RefusalSeen,
)
from tokenbooth.proving.plans import CallPlan

BALANCE_NANO = 10**12
MODEL = "m"


def answered(plan: CallPlan, price: PriceSeen, tokens: tuple[int, int], **more: Any) -> CallSeen:
    """A whole answer of so many input and output tokens, that names its cost."""
    stream = plan.stream
    return CallSeen(
        plan=plan,
        closing=Closing.DONE if stream else Closing.BODY,
        status=200,
        request_id=f"req_{plan.number}",
        texts=tokens[1] if stream else 0,
        events=tokens[1] + 3 if stream else 0,
        told_nano=cost_nano(price, *tokens) if plan.include_usage or not stream else None,
        **more,
    )


def broken(plan: CallPlan, texts: int = 0, **more: Any) -> CallSeen:
    """A call whose connection broke after so many tokens."""
    return CallSeen(
        plan=plan,
        closing=Closing.BROKEN,
        status=200 if texts else None,
        request_id=f"req_{plan.number}" if texts else None,
        texts=texts,
        events=texts,
        broken="BrokenWire: the connection closed",
        **more,
    )


def refused(plan: CallPlan, refusal: RefusalSeen, **more: Any) -> CallSeen:
    """A 429 with its numbers, that says to wait where only holds are in the way."""
    return CallSeen(
        plan=plan,
        closing=Closing.BODY,
        status=429,
        request_id=f"req_{plan.number}",
        error_code="spend_limit_reached",
        error_type="insufficient_quota",
        retry_after_s=None if refusal.final else 1,
        refusal=refusal,
        **more,
    )


def recorded(
    plan: CallPlan, price: PriceSeen, tokens: tuple[int, int], status: str = "completed"
) -> RecordSeen:
    """What the books say of a call that was charged for so many tokens."""
    paid_nano = cost_nano(price, *tokens) if tokens[1] or status == "completed" else 0
    return RecordSeen(
        id=f"req_{plan.number}",
        status=status,
        model=MODEL,
        end_customer=plan.mark,
        key_id=plan.key,
        cost_nano=paid_nano,
        held_nano=max(paid_nano, 10**9),
        input_tokens=tokens[0],
        cached_tokens=0,
        output_tokens=tokens[1],
        ended_us=0,
    )


def books(records: Iterable[RecordSeen], price: PriceSeen) -> Mapping[str, Any]:
    """The fields of ``Evidence`` beside ``saw``, in which these records add up."""
    kept = tuple(records)
    spent_nano = sum(record.cost_nano for record in kept)
    billed: Counter[str] = Counter()
    for record in kept:
        billed[record.key_id] += record.cost_nano
    return {
        "accounts": (AccountSeen("main", BALANCE_NANO, BALANCE_NANO - spent_nano, kept),),
        "levels": tuple(LevelSeen("key", key, None, nano, 0) for key, nano in billed.items()),
        "ledger": LedgerSeen(0, 0, ()),
        "prices": {MODEL: price},
        "quiet": True,
        "exit_statuses": (0,),
    }
