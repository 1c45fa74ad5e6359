"""Drills hand on what was typed and say what came of it; they are played outside."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tokenbooth.proving.drills import play
from tokenbooth.proving.drills.laws import Violation
from tokenbooth.proving.drills.play import DrillOptions
from tokenbooth.proving.instance import InstanceFault

NAMES = ("mixed", "stampede", "kill", "powercut", "disconnect", "dbdown")


class Report:
    """Stands for the report of a drill."""

    def __init__(self, *violations: Violation, **figures: object) -> None:
        self.violations = violations
        self._figures = figures

    @property
    def passed(self) -> bool:
        return not self.violations

    def document(self) -> dict[str, object]:
        return {"passed": self.passed, **self._figures, "violations": []}


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The drills and options that were played, one after the other."""
    seen: list[Any] = []

    def run_drill(drill: Any, options: Any, progress: Callable[[str, int, int], None]) -> Report:
        progress("calls", 1, 2)
        seen.extend((drill, options))
        return Report()

    monkeypatch.setattr(play, "run_drill", run_drill)
    return seen


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        (("mixed", "--calls", "70", "--parallel", "5"), {"_calls": 70, "_parallel": 5}),
        (("stampede", "--calls", "80", "--callers", "9"), {"_calls": 80, "_callers": 9}),
        (("kill", "--kills", "3", "--parallel", "5"), {"_kills": 3, "_parallel": 5}),
        (("powercut", "--kills", "3", "--parallel", "5"), {"_kills": 3, "_parallel": 5}),
        (("disconnect",), {}),
        (("dbdown", "--seconds", "3"), {"_seconds": 3}),
    ],
)
def test_a_drill_gets_what_was_typed(
    typed: tuple[str, ...], asked: dict[str, int], command: Command, played: list[Any]
) -> None:
    said = command("drill", *typed, "--json")
    assert said.document == {"passed": True, "violations": []}
    drill, _options = played
    assert drill.name == typed[0]
    assert {name: getattr(drill, name) for name in asked} == asked


@pytest.mark.parametrize("name", NAMES)
def test_every_drill_has_the_common_options(
    name: str, command: Command, played: list[Any], tmp_path: Path
) -> None:
    keep = str(tmp_path / "new")
    typed = ("--seed", "9", "--replicas", "3", "--store", "postgresql://x", "--keep", keep)
    assert command("drill", name, *typed).code == 0
    assert played[1] == DrillOptions(
        seed=9, replicas=3, store_url="postgresql://x", keep=Path(keep)
    )


def test_servers_die_in_pairs_unless_told_otherwise(command: Command, played: list[Any]) -> None:
    for name in NAMES:
        command("drill", name)
    replicas = dict(zip(NAMES, (options.replicas for options in played[1::2]), strict=True))
    assert replicas == {**dict.fromkeys(NAMES, 1), "kill": 2, "powercut": 2}


@pytest.mark.parametrize(
    ("typed", "limits"),
    [
        ((), {"balance", "organization", "project", "key"}),
        (("--limit", "key"), {"key"}),
        (("--limit", "key", "--limit", "balance", "--limit", "key"), {"key", "balance"}),
    ],
)
def test_a_stampede_runs_at_the_limits_that_are_named(
    typed: tuple[str, ...], limits: set[str], command: Command, played: list[Any]
) -> None:
    command("drill", "stampede", *typed)
    assert {rush.scope for rush in played[0]._rushes} == limits
    assert len(played[0]._rushes) == 2 * len(limits)


def test_a_drill_that_fails_is_exit_code_one(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = Report(Violation("books", "one nano is missing"), kills=7, rushes={"a": {"b": True}})
    monkeypatch.setattr(play, "run_drill", lambda drill, options, progress: report)
    said = command("drill", "mixed")
    assert said.code == 1
    assert "violated: books: one nano is missing" in said.out
    shown = [line.split() for line in said.out.splitlines()]
    assert ["kills", "7"] in shown
    assert ["rushes", "a", "b", "yes"] in shown
    assert "the books or the answers are wrong" in said.out


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("error", [InstanceFault("no port"), TimeoutError("no port")])
def test_a_drill_that_cannot_be_played_says_why(
    name: str, error: Exception, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_drill(drill: Any, options: Any, progress: Any) -> None:
        raise error

    monkeypatch.setattr(play, "run_drill", run_drill)
    said = command("drill", name)
    assert said.code == 1
    assert "no port" in said.err


@pytest.mark.parametrize(
    "typed",
    [
        ("mixed", "--calls", "1"),
        ("stampede", "--calls", "1"),
        ("stampede", "--limit", "moon"),
        ("kill", "--kills", "1000000"),
        ("powercut", "--parallel", "1"),
        ("disconnect", "--replicas", "99"),
        ("dbdown", "--seconds", "100000"),
    ],
)
def test_impossible_options_are_refused_by_name(
    typed: tuple[str, ...], command: Command, played: list[Any]
) -> None:
    said = command("drill", *typed)
    assert said.code == 1
    assert said.err.startswith("error: ")
    assert played == []


def test_a_directory_that_is_not_empty_is_not_played_in(
    command: Command, played: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("precious")
    said = command("drill", "mixed", "--keep", str(tmp_path))
    assert said.code == 1
    assert "is not empty" in said.err
    assert played == []
