"""``tokenbooth simulate`` with and without a command, and ``tokenbooth bench admission``."""

import json
from pathlib import Path

import pytest

from tokenbooth.cli.app import run
from tokenbooth.proving.serving import study
from tokenbooth.proving.serving.carried import Carried
from tokenbooth.proving.serving.study import GOALS, LOADS_MILLI, POLICIES, ServerRow, Study


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """With what was to be simulated."""
    asked: list[tuple[int, int]] = []

    def run_study(seed: int, servers: int, told: object) -> Study:
        asked.append((seed, servers))
        goodput = {name: LOADS_MILLI for name in POLICIES}
        goals = {goal.name: 500 for goal in GOALS}
        return Study((ServerRow(seed, Carried(1000, 8), goodput, goals),))

    monkeypatch.setattr(study, "run_study", run_study)
    return asked


def test_servers_are_simulated_and_drawn(
    played: list[tuple[int, int]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plot = tmp_path / "plot.svg"
    assert run(["simulate", "serving", "--servers", "3", "--seed", "7", "--plot", str(plot)]) == 0
    assert "engine default" in capsys.readouterr().out
    assert "<svg" in plot.read_text()
    assert run(["simulate", "serving", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["simulation"] == "serving"
    assert played == [(7, 3), (1000, 20)]


def test_without_a_command_lives_of_gateways_are_played(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["simulate", "--seeds", "1", "--operations", "5", "--workers", "1", "--json"]
    assert run(asked) == 0
    assert json.loads(capsys.readouterr().out)["seeds"] == 1


def test_the_cost_of_a_decision_comes_as_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "admission", "--calls", "20", "--windows", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["goals"] == {"decision_us": 50}
    assert all(case["decision_us"] > 0 for case in document["cases"].values())
