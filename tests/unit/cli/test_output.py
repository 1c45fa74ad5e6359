"""What is printed: JSON alone on standard output, nothing that moves a terminal's cursor."""

import io
import json
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenbooth.cli import output
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

Capture = pytest.CaptureFixture[str]


def test_a_document_is_the_whole_output(capsys: Capture) -> None:
    output.emit({"a": "é"}, as_json=True, text=output.lines("never"))
    assert json.loads(capsys.readouterr().out) == {"a": "é"}


def test_text_is_shown_as_it_is(capsys: Capture) -> None:
    output.emit({}, as_json=False, text=output.lines("[bold]x[/bold]", "http://a:1/b"))
    assert capsys.readouterr().out == "[bold]x[/bold]\nhttp://a:1/b\n"


def test_columns_are_aligned_and_never_folded(capsys: Capture) -> None:
    long = "x" * 300
    show = output.table(("ID", "CAP"), [(long, None), ("b", 3)])
    output.emit({}, as_json=False, text=show)
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.index("CAP") == first.index("-") == second.index("3") == 302


def test_an_empty_table_says_so(capsys: Capture) -> None:
    output.emit({}, as_json=False, text=output.table(("A",), []))
    assert capsys.readouterr().out == "None.\n"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_a_cell_never_holds_control_characters(text: str) -> None:
    assert output.cell_text(text).isprintable()


def test_a_refusal_is_one_line_and_a_cure(capsys: Capture) -> None:
    problem = Problem(Code.BALANCE_EXHAUSTED, "Nothing\nleft.", facts={"needed": 5})
    assert output.refuse(problem, as_json=False) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0] == "error: Nothing?left."
    assert said.err.splitlines()[1].startswith("cure: Add credit")


def test_a_refusal_in_json_holds_the_facts(capsys: Capture) -> None:
    problem = Problem(Code.BALANCE_EXHAUSTED, "Nothing left.", param="usd", facts={"needed": 5})
    output.refuse(problem, as_json=True)
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["param"], error["needed"]) == ("insufficient_quota", "usd", 5)


def test_a_refusal_tells_the_operator_what_lies_behind_it(capsys: Capture) -> None:
    problem = Problem(Code.LEDGER_UNAVAILABLE, "Away.", detail="disk is full\n")
    assert output.refuse(problem, as_json=True) == output.EXIT_REFUSED
    told = capsys.readouterr()
    assert json.loads(told.out)["error"]["detail"] == "disk is full\n"
    assert told.err.splitlines()[1].startswith("detail: disk is full")


def test_a_conflict_names_its_own_cure(capsys: Capture) -> None:
    output.refuse(Problem(Code.STATE_CONFLICT, "Stop it first."), as_json=False)
    assert capsys.readouterr().err == "error: Stop it first.\n"


def test_progress_is_silent_without_a_terminal(capsys: Capture) -> None:
    with output.byte_progress("Pulling") as heard:
        heard(5, 10)
    with output.step_progress() as stepped:
        stepped("calls", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_progress_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with output.byte_progress("Pulling") as heard:
        heard(5, 10)
        heard(10, 0)
    with output.step_progress() as stepped:
        stepped("calls", 1, 2)
    assert "Pulling" in screen.getvalue()
    assert "calls" in screen.getvalue()
