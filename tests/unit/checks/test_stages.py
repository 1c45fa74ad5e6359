from collections.abc import Sequence

import pytest

import checks.__main__ as program
from checks.__main__ import CHECK_STAGES, OUTSIDE_STAGE, Stage, main, run_stages


class Runs:
    def __init__(self, failing: str = "") -> None:
        self.commands: list[str] = []
        self.failing = failing

    def __call__(self, command: Sequence[str]) -> int:
        self.commands.append(" ".join(command))
        return int(bool(self.failing) and self.failing in self.commands[-1])


STAGES = (Stage("one", ("run", "one")), Stage("two", ("run", "two")), Stage("three", ("run", "x")))


def test_all_stages_run_whatever_fails(capsys: pytest.CaptureFixture[str]) -> None:
    runs = Runs(failing="two")
    assert run_stages(STAGES, runs) == ["two"]
    assert runs.commands == ["run one", "run two", "run x"]
    assert "== two FAILED" in capsys.readouterr().out


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Runs:
    recorded = Runs()
    monkeypatch.setattr(program, "run_here", recorded)
    monkeypatch.setattr(program, "ROOT", tmp_path)
    return recorded


def test_check_runs_format_lint_types_contracts_tests_and_budgets(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_stages, "__defaults__", (runs,))
    assert main([]) == 0
    marks = ["ruff format --check", "ruff check", "mypy", "lint-imports", "tests/unit", "budgets"]
    assert len(runs.commands) == len(marks)
    assert all(mark in ran for mark, ran in zip(marks, runs.commands, strict=True))


def test_the_tests_outside_come_last(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_stages, "__defaults__", (runs,))
    assert main(["--outside"]) == 0
    assert len(runs.commands) == len(CHECK_STAGES) + 1
    assert runs.commands[-1] == " ".join(OUTSIDE_STAGE.command)


@pytest.mark.parametrize("failing", ["ruff format", "mypy", "tests/unit", "tests/outside"])
def test_the_exit_status_is_honest(
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failing: str,
) -> None:
    monkeypatch.setattr(run_stages, "__defaults__", (runs,))
    runs.failing = failing
    assert main(["--outside"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("FAILED: ")
    assert runs.commands[-1] == " ".join(OUTSIDE_STAGE.command)


def test_a_wrong_argument_runs_nothing(runs: Runs) -> None:
    assert main(["--fast"]) == 2
    assert runs.commands == []
