"""``tokenbooth simulate`` with and without a command, and ``tokenbooth bench admission``."""

import json
from pathlib import Path

import pytest

from tokenbooth.cli.app import run
from tokenbooth.proving.serving import study
from tokenbooth.proving.serving.carried import Carried
from tokenbooth.proving.serving.study import GOALS, LOADS_MILLI, POLICIES, ServerRow, Study
from tokenbooth.proving.simulator import fleet


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """With what was to be simulated."""
    asked: list[tuple[int, int]] = []

    def run_study(seed: int, servers: int, told: object) -> Study:
        asked.append((seed, servers))
        goodput = dict.fromkeys(POLICIES, LOADS_MILLI)
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
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    orders: list[fleet.Order] = []

    def play_fleet(order: fleet.Order, told: object) -> fleet.Found:
        orders.append(order)
        return fleet.Found()

    monkeypatch.setattr(fleet, "play_fleet", play_fleet)
    assert run(["simulate", "--seeds", "3", "--operations", "5", "--seed", "9"]) == 0
    assert "every law held" in capsys.readouterr().out
    assert orders == [fleet.Order(9, 3, 5, 2)]


def test_the_cost_of_a_decision_comes_as_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "admission", "--calls", "20", "--windows", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["goals"] == {"decision_us": 50}
    assert all(case["decision_us"] > 0 for case in document["cases"].values())
