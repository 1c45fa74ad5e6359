import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import checks.__main__ as program
from checks.__main__ import (
    BESIDE,
    BUDGETS,
    MEASURED,
    OUTSIDE,
    PLAIN,
    UNIT,
    UNTRACED,
    Programs,
    Stage,
    Wait,
    main,
)
from checks.budgets import ROOT


class Recorder(Programs):
    """Remembers what was started and run; commands that hold ``failing`` fail."""

    def __init__(self, failing: str = "") -> None:
        self.started: list[str] = []
        self.ran: list[str] = []
        self.failing = failing

    def run(self, command: Sequence[str]) -> int:
        self.ran.append(" ".join(command))
        return self._status(self.ran[-1])

    def start(self, command: Sequence[str]) -> Wait:
        text = " ".join(command)
        self.started.append(text)
        assert not self.ran
        return lambda: (self._status(text), f"output of {text}\n")

    def _status(self, text: str) -> int:
        return int(bool(self.failing) and self.failing in text)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(program, "ROOT", tmp_path)
    return tmp_path


def commands(*stages: Stage) -> list[str]:
    return [" ".join(stage.command) for stage in stages]


def test_check_runs_everything_but_the_outside_tests(capsys: pytest.CaptureFixture[str]) -> None:
    programs = Recorder()
    assert main([], programs) == 0
    marks = ["ruff format --check", "ruff check", "mypy", "lint-imports"]
    assert all(mark in ran for mark, ran in zip(marks, programs.started, strict=True))
    assert programs.ran == commands(UNIT, BUDGETS)
    said = capsys.readouterr().out
    assert all(f"output of {command}" in said for command in commands(*BESIDE))
    assert "== checks: all passed" in said.splitlines()[-1]


def test_the_outside_tests_come_last_and_end_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    programs = Recorder()
    assert main(["--outside"], programs) == 0
    assert programs.ran == commands(MEASURED, PLAIN, BUDGETS, OUTSIDE)
    assert capsys.readouterr().out.splitlines()[-1] == "== outside tests"


@pytest.mark.parametrize(
    "stage", [*BESIDE, MEASURED, PLAIN, BUDGETS, OUTSIDE], ids=lambda stage: stage.name
)
def test_whatever_fails_everything_runs_and_the_exit_status_is_honest(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = Recorder(failing=" ".join(stage.command))
    assert main(["--outside"], programs) == 1
    assert programs.ran == commands(MEASURED, PLAIN, BUDGETS, OUTSIDE)
    assert capsys.readouterr().out.splitlines()[-1] == f"FAILED: {stage.name}"


def test_only_the_long_run_pays_for_coverage() -> None:
    assert "--cov" not in UNIT.command
    assert "--cov" in MEASURED.command


def test_coverage_of_an_earlier_run_is_not_taken_for_this_one(root: Path) -> None:
    old = root / program.COVERAGE_FILE
    old.write_text("{}")
    main([], Recorder())
    assert not old.exists()


def test_a_wrong_argument_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    programs = Recorder()
    assert main(["--fast"], programs) == 2
    assert programs.ran == programs.started == []
    assert capsys.readouterr().err.startswith("usage:")


def test_programs_run_in_the_checkout_with_their_status(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = "import os, sys; print(os.getcwd()); sys.exit(3)"
    assert Programs().run([sys.executable, "-c", code]) == 3
    assert capfd.readouterr().out == f"{root.resolve()}\n"


def test_programs_beside_others_keep_their_output_until_it_is_asked_for(root: Path) -> None:
    code = "import os, sys; print('x' * 200_000); print('err', file=sys.stderr); sys.exit(4)"
    wait = Programs().start([sys.executable, "-c", code])
    status, output = wait()
    assert status == 4
    assert output.count("x") == 200_000
    assert "err" in output


def test_every_room_of_unit_tests_is_run_once() -> None:
    rooms = {each.name for each in (ROOT / "tests/unit").iterdir() if each.is_dir()}
    run = [
        word.removeprefix("tests/unit/")
        for stage in (MEASURED, PLAIN)
        for word in stage.command
        if word.startswith("tests/unit/")
    ]
    assert sorted(run) == sorted(name for name in rooms if not name.startswith("_"))
    assert set(UNTRACED) <= rooms
