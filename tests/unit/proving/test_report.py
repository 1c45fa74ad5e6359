import json
from dataclasses import replace

from tests.support.drill_evidence import clean_evidence, first, swap_call
from tokenbooth.proving import report
from tokenbooth.proving.observations import LedgerSeen
from tokenbooth.proving.report import DrillFrame, report_of
from tokenbooth.proving.schedule import CallKind

FRAME = DrillFrame(seed=1, store="sqlite", parallel=8, duration_ms=1234)


def test_a_clean_drill_passes_and_adds_up() -> None:
    seen = clean_evidence()
    made = report_of(seen, FRAME)
    assert made.passed
    assert made.calls == sum(made.kinds.values()) == sum(made.statuses.values()) == 60
    assert made.records == sum(made.outcomes.values()) == len(seen.records)
    assert made.spent_nano == made.ledger_nano > 0
    assert (made.difference_nano, made.open_holds, made.overshoot_nano) == (0, 0, 0)
    assert (made.engine_kills, made.server_5xx_on_client_fault) == (2, 0)


def test_the_document_is_json_and_names_what_a_reader_looks_for() -> None:
    document = json.loads(json.dumps(report_of(clean_evidence(), FRAME).document()))
    assert document["passed"] is True
    assert document["difference_nano"] == 0
    assert (document["seed"], document["store"], document["duration_ms"]) == (1, "sqlite", 1234)
    assert document["violations"] == []


def test_money_that_differs_is_told_with_its_sign() -> None:
    seen = clean_evidence()
    (account,) = seen.accounts
    short = replace(account, after_nano=account.after_nano + 7)
    made = report_of(replace(seen, accounts=(short,)), FRAME)
    assert made.difference_nano == 7
    assert not made.passed


def test_a_5xx_on_a_client_fault_is_counted_and_a_5xx_on_a_paying_call_is_not() -> None:
    seen = clean_evidence()
    bad = swap_call(seen, first(seen, CallKind.MALFORMED), status=500)
    bad = swap_call(bad, first(seen, CallKind.WHOLE), status=500)
    assert report_of(bad, FRAME).server_5xx_on_client_fault == 1


def test_a_call_without_an_answer_counts_as_none() -> None:
    seen = clean_evidence()
    unanswered = sum(call.status is None for call in seen.calls)
    assert report_of(seen, FRAME).statuses["none"] == unanswered > 0


def test_what_the_ledger_says_is_passed_on() -> None:
    made = report_of(replace(clean_evidence(), ledger=LedgerSeen(5, 2, ("odd",))), FRAME)
    assert (made.ledger_difference_nano, made.open_holds) == (5, 2)
    texts = [row["text"] for row in made.document()["violations"]]  # type: ignore[attr-defined]
    assert "odd" in texts


def test_a_flood_of_violations_is_cut_and_counted() -> None:
    problems = tuple(f"problem {n}" for n in range(200))
    made = report_of(replace(clean_evidence(), ledger=LedgerSeen(0, 0, problems)), FRAME)
    document = made.document()
    assert document["violations_total"] == 200
    assert len(document["violations"]) == report.VIOLATIONS_SHOWN  # type: ignore[arg-type]
