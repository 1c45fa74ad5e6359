"""What counters and calls say about each other, on integers alone."""

import json
from hashlib import sha256

from tokenbooth.core.money import format_nano
from tokenbooth.money.reconcile.values import (
    EVERYBODY,
    Charged,
    EngineFinding,
    LedgerFinding,
    Reading,
    Result,
    Span,
    Subject,
)

# Above either of them a difference is worth an alarm.
DIFFERENCE_TOKENS_MAX = 1_000
PARTS_MAX = 1_000
# What an engine may have produced of a call that was cut off, beyond what anybody got.
OVERRUN_TOKENS = 4_096
# By how much the clocks of processes that share an engine may differ.
CLOCK_SLACK_US = 5_000_000
# Processes that share an engine read it one after the other; a look so soon after another says
# nothing new.
SHARED_SPAN_US_MIN = 60_000_000
PROBLEMS_KEPT = 20


def follows(before: Reading, after: Reading) -> bool:
    """Whether the second reading counts on from the first; a restarted engine begins anew."""
    return (
        (before.epoch, before.generation) == (after.epoch, after.generation)
        and after.input_tokens >= before.input_tokens
        and after.output_tokens >= before.output_tokens
    )


def is_fresh(before: Reading, after: Reading) -> bool:
    """Whether the new reading may take the place of the older one."""
    gap_us = after.from_us - before.until_us
    if after.replica_id == EVERYBODY and before.generation == after.generation:
        return gap_us >= SHARED_SPAN_US_MIN
    return gap_us > 0


def beginning(after: Reading, started_us: int) -> Reading:
    """The reading that nobody took when this process, and its engines with it, began at zero."""
    return Reading(
        deployment_id=after.deployment_id,
        model=after.model,
        replica_id=after.replica_id,
        epoch=after.epoch,
        generation=after.generation,
        input_tokens=0,
        output_tokens=0,
        with_cached=after.with_cached,
        rounding_tokens=0,
        call_tokens_max=after.call_tokens_max,
        from_us=started_us,
        until_us=started_us,
    )


def span_of(before: Reading, after: Reading) -> Span:
    slack_us = CLOCK_SLACK_US if after.replica_id == EVERYBODY else 0
    return Span(
        outer_from_us=before.from_us - slack_us,
        inner_from_us=before.until_us + slack_us,
        inner_until_us=after.from_us - slack_us,
        outer_until_us=after.until_us + slack_us,
    )


def compare(before: Reading, after: Reading, charged: Charged) -> EngineFinding:
    """What the engine counted between two readings against what its calls took."""
    rounding = before.rounding_tokens + after.rounding_tokens
    inputs = after.input_tokens - before.input_tokens
    outputs = after.output_tokens - before.output_tokens
    input_difference = outside(
        inputs, charged.input_tokens - rounding, charged.unsure_input_tokens + 2 * rounding
    )
    output_difference = outside(
        outputs, charged.output_tokens - rounding, charged.unsure_output_tokens + 2 * rounding
    )
    return EngineFinding(
        deployment_id=after.deployment_id,
        replica_id=after.replica_id,
        from_us=before.until_us,
        until_us=after.until_us,
        counted_input_tokens=inputs,
        counted_output_tokens=outputs,
        charged=charged,
        input_difference=input_difference,
        output_difference=output_difference,
        sound=not (
            is_alarming(input_difference, max(inputs, charged.input_tokens))
            or is_alarming(output_difference, max(outputs, charged.output_tokens))
        ),
    )


def outside(counted: int, low: int, width: int) -> int:
    """How far ``counted`` lies outside of ``low`` to ``low + width``; negative below."""
    if counted < low:
        return counted - low
    return max(0, counted - low - width)


def is_alarming(difference: int, of_tokens: int) -> bool:
    """Over 0.1 %, or over 1,000 tokens."""
    return abs(difference) > DIFFERENCE_TOKENS_MAX or abs(difference) * PARTS_MAX > of_tokens


def engine_result(finding: EngineFinding) -> Result:
    charged = finding.charged
    body = {
        "counted_input_tokens": finding.counted_input_tokens,
        "counted_output_tokens": finding.counted_output_tokens,
        "charged_input_tokens": charged.input_tokens,
        "charged_output_tokens": charged.output_tokens,
        "unsure_input_tokens": charged.unsure_input_tokens,
        "unsure_output_tokens": charged.unsure_output_tokens,
        "calls": charged.calls,
        "unsure_calls": charged.unsure_calls,
        "input_difference": finding.input_difference,
        "output_difference": finding.output_difference,
    }
    return Result(
        id=result_id(Subject.ENGINE, finding.deployment_id, finding.replica_id, finding.until_us),
        subject=Subject.ENGINE,
        deployment_id=finding.deployment_id,
        replica_id=finding.replica_id,
        sound=finding.sound,
        difference=finding.difference_tokens,
        from_us=finding.from_us,
        until_us=finding.until_us,
        body=json.dumps(body, separators=(",", ":")),
    )


def ledger_result(finding: LedgerFinding, replica_id: str) -> Result:
    """The first of the problems are kept; the rest are counted."""
    verification = finding.verification
    wrong = [balance for balance in finding.balances if balance.difference_nano]
    problems = [
        *verification.problems,
        *(
            f"balance of {b.org_id}: {format_nano(b.stored_nano)},"
            f" expected {format_nano(b.computed_nano)}"
            for b in wrong
        ),
    ]
    body = {
        "accounts": verification.accounts,
        "organizations": len(finding.balances),
        "open_holds": verification.open_holds,
        "difference": format_nano(finding.difference_nano),
        "difference_nano": finding.difference_nano,
        "problems": problems[:PROBLEMS_KEPT],
        "problem_count": len(problems),
    }
    return Result(
        id=result_id(Subject.LEDGER, "", replica_id, finding.until_us),
        subject=Subject.LEDGER,
        deployment_id="",
        replica_id=replica_id,
        sound=finding.sound,
        difference=finding.difference_nano,
        from_us=finding.from_us,
        until_us=finding.until_us,
        body=json.dumps(body, separators=(",", ":")),
    )


def result_id(subject: Subject, deployment_id: str, replica_id: str, until_us: int) -> str:
    """Rises with time, and follows from what was looked at, when, and by whom."""
    name = f"{subject.value}:{deployment_id}:{replica_id}:{until_us}"
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"check_{until_us:014x}{digest[:18]}"
