"""``tokenbooth bench gateway``, with a run that is written down instead of measured."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.proving.bench.test_gateway_report import report
from tests.unit.proving.bench.test_gateway_rows import window
from tokenbooth.cli.app import run
from tokenbooth.proving.bench.gateway import bench
from tokenbooth.proving.bench.gateway.plan import (
    QUICK,
    GatewayOptions,
    Load,
    Side,
    WindowSeen,
)
from tokenbooth.proving.drills.play import Progress
from tokenbooth.proving.instance import InstanceFault

BAD = window(Side.BOOTH, Load.WHOLE, failed=1, failure="status: status 503")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[GatewayOptions]:
    """With what it was to be measured."""
    return written(monkeypatch)


def written(monkeypatch: pytest.MonkeyPatch, *more: WindowSeen) -> list[GatewayOptions]:
    chosen: list[GatewayOptions] = []

    def measured(options: GatewayOptions, progress: Progress) -> object:
        chosen.append(options)
        return report(*more)

    monkeypatch.setattr(bench, "run_gateway", measured)
    return chosen


def test_the_figures_come_as_one_document(
    asked: list[GatewayOptions], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", "gateway", "--quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["nginx_multiple_request"] == 2.0
    assert asked == [QUICK]


def test_people_get_lines_and_a_chart(
    asked: list[GatewayOptions], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["bench", "gateway", "--plot", str(tmp_path / "plot.svg")]) == 0
    assert "nginx_multiple_chunk " in capsys.readouterr().out
    assert "<svg" in (tmp_path / "plot.svg").read_text()
    assert asked == [GatewayOptions()]


def test_one_failed_answer_is_exit_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(monkeypatch, BAD)
    assert run(["bench", "gateway", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["exact"] is False
    assert "status 503" in found["problems"][0]


def test_a_regression_is_exit_status_1_where_a_gate_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = tuple(
        window(side, Load.WHOLE, answers=answers)
        for _ in range(9)
        for side, answers in ((Side.NGINX, 40_000), (Side.BOOTH, 1_000))
    )

    def measured(options: GatewayOptions, progress: Progress) -> object:
        return replace(report(windows=slow), options=options)

    monkeypatch.setattr(bench, "run_gateway", measured)
    assert run(["bench", "gateway", "--json"]) == 0
    assert run(["bench", "gateway", "--gate", "25"]) == 1
    assert "nginx_multiple_request is 40.0" in capsys.readouterr().out


def test_a_run_that_could_not_be_made_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(options: GatewayOptions, progress: Progress) -> object:
        raise InstanceFault("nginx did not start")

    monkeypatch.setattr(bench, "run_gateway", broken)
    assert run(["bench", "gateway", "--json"]) == 1
    assert "nginx did not start" in capsys.readouterr().out


def test_an_unknown_peer_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "gateway", "--peer", "somebody", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "invalid_value"
