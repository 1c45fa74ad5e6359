import json
from dataclasses import replace

from tests.support.drill_evidence import clean_evidence, swap_record
from tokenbooth.proving.drills import report
from tokenbooth.proving.drills.laws import Violation
from tokenbooth.proving.drills.report import DrillFrame, DrillReport, book_figures
from tokenbooth.proving.observations import LedgerSeen

FRAME = DrillFrame(drill="mixed", seed=1, store="sqlite", replicas=2, duration_ms=1234)
CLEAN = clean_evidence()


def made(*violations: Violation) -> DrillReport:
    return DrillReport(frame=FRAME, figures={"kills": 7}, violations=violations)


def test_the_books_of_a_clean_drill_add_up() -> None:
    figures = book_figures(CLEAN)
    assert figures["calls"] == sum(figures["statuses"].values()) == 60  # type: ignore[attr-defined]
    assert figures["records"] == sum(figures["outcomes"].values())  # type: ignore[attr-defined]
    assert figures["spent_nano"] == figures["ledger_nano"]
    assert figures["spent_nano"] != 0
    for name in ("difference_nano", "open_holds", "overshoot_nano", "duplicate"):
        assert figures[name] == 0


def test_the_document_is_json_and_names_what_a_reader_looks_for() -> None:
    document = json.loads(json.dumps(made().document()))
    assert document["passed"] is True
    assert (document["drill"], document["seed"], document["store"]) == ("mixed", 1, "sqlite")
    assert (document["replicas"], document["duration_ms"], document["kills"]) == (2, 1234, 7)
    assert document["violations"] == []


def test_one_violation_is_enough_to_fail() -> None:
    failed = made(Violation("caps_hold", "1 nano"))
    assert not failed.passed
    assert failed.document()["violations"] == [{"check": "caps_hold", "text": "1 nano"}]


def test_money_that_differs_is_told_with_its_sign() -> None:
    (account,) = CLEAN.accounts
    short = replace(account, after_nano=account.after_nano + 7)
    assert book_figures(replace(CLEAN, accounts=(short,)))["difference_nano"] == 7


def test_a_call_without_an_answer_counts_as_none() -> None:
    unanswered = sum(call.status is None for call in CLEAN.calls)
    assert book_figures(CLEAN)["statuses"]["none"] == unanswered  # type: ignore[index]
    assert unanswered > 0


def test_a_second_record_is_a_duplicate() -> None:
    marks = [record.end_customer for record in CLEAN.records]
    again = swap_record(CLEAN, int(str(marks[0]).rpartition("-")[2]), end_customer=marks[1])
    assert book_figures(again)["duplicate"] == 1


def test_what_the_ledger_says_is_passed_on() -> None:
    figures = book_figures(replace(CLEAN, ledger=LedgerSeen(5, 2, ("odd",))))
    assert (figures["ledger_difference_nano"], figures["open_holds"]) == (5, 2)


def test_a_flood_of_violations_is_cut_and_counted() -> None:
    document = made(*(Violation("x", f"{n}") for n in range(200))).document()
    assert document["violations_total"] == 200
    assert len(document["violations"]) == report.VIOLATIONS_SHOWN  # type: ignore[arg-type]
