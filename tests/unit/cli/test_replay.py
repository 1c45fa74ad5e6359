"""Replays from the command line: what they count, when they fail, and what they refuse."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command
from tokenbooth.launch.readiness.service import Forecast, Verdict
from tokenbooth.launch.stages.service import Stage
from tokenbooth.proving.launching import builds, programmes, season
from tokenbooth.proving.launching.builds import Build, Fault
from tokenbooth.proving.launching.programmes import Trial
from tokenbooth.proving.launching.show import Frame, Season

READY = Build(1, Stage.GA, {}, None, Verdict.GO, None)
HELD = replace(READY, verdict=Verdict.NO_GO, named="quality")
STOPPED = Build(1, Stage.GA, {"billing": Fault.OLD}, "billing", Verdict.NO_GO, "billing")
PASSED = replace(STOPPED, verdict=Verdict.GO, named=None)
MISNAMED = replace(STOPPED, named="quality")
HIT, LATE, EARLY = (Trial(1, 0, true_us, Forecast(5, 6, 10)) for true_us in (7, 11, 4))
FRAME = Frame("2026-04-07", "Announced", (), {}, "tokenbooth x", passed=True)


@pytest.mark.parametrize(
    ("unready", "ready", "code"),
    [
        ([STOPPED] * 20, [READY] * 20, 0),
        ([STOPPED] * 20, [READY] * 19 + [HELD], 0),
        ([STOPPED] * 20, [READY] * 18 + [HELD] * 2, 1),
        ([STOPPED] * 19 + [PASSED], [READY] * 20, 1),
        ([STOPPED] * 19 + [MISNAMED], [READY] * 20, 1),
        ([STOPPED], [HELD], 1),
    ],
)
def test_one_ready_build_in_twenty_may_be_held_back_and_no_fault_may_pass(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    unready: list[Build],
    ready: list[Build],
    code: int,
) -> None:
    asked: list[range] = []

    def play(seeds: range, *, ready: bool) -> list[Build]:
        asked.append(seeds)
        return played[ready]

    played = {False: unready, True: ready}
    monkeypatch.setattr(builds, "play_builds", play)
    count = len(ready)
    said = command("replay", "builds", "--seed", "7", "--count", str(count), "--json")
    found = said.document
    assert (said.code, found["passed"]) == (code, code == 0)
    assert asked == [range(7, 7 + count)] * 2
    assert found["seeds"] == [7, 6 + count]
    wrong = [each for each in (*unready, *ready) if not each.right]
    assert len(found["wrong"]) == len(wrong)
    assert found["ready_go"] == sum(each.right for each in ready)


def test_a_build_that_came_out_wrong_is_shown_with_what_was_planted(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        builds, "play_builds", lambda seeds, *, ready: [READY if ready else MISNAMED]
    )
    (wrong,) = command("replay", "builds", "--count", "1", "--json").document["wrong"]
    assert wrong["planted"] == {"billing": "old"}
    assert (wrong["verdict"], wrong["named"], wrong["stage"]) == ("NO-GO", "quality", "ga")
    assert "0 of 1 unready builds" in command("replay", "builds", "--count", "1").out


@pytest.mark.parametrize(
    ("covered", "code"), [(0, 1), (74, 1), (75, 0), (80, 0), (85, 0), (86, 1), (100, 1)]
)
def test_intervals_are_wrong_that_hold_too_little_and_also_that_hold_too_much(
    command: Command, monkeypatch: pytest.MonkeyPatch, covered: int, code: int
) -> None:
    late = (100 - covered) // 2
    trials = [HIT] * covered + [LATE] * late + [EARLY] * (100 - covered - late)
    monkeypatch.setattr(programmes, "coverage", lambda seed, count: (tuple(trials), 8))
    said = command("replay", "forecasts", "--json")
    found = said.document
    assert (said.code, found["passed"]) == (code, code == 0)
    assert (found["covered"], found["later_than_forecast"]) == (covered, late)
    assert found["earlier_than_forecast"] == 100 - covered - late
    assert (found["beside_them_without_a_forecast"], found["seeds"]) == (8, [1000, 1107])


def test_a_forecast_without_an_upper_end_holds_every_later_date_and_is_counted(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_end = replace(LATE, found=Forecast(5, 6, None))
    monkeypatch.setattr(programmes, "coverage", lambda seed, count: ((open_end,) * count, 0))
    found = command("replay", "forecasts", "--count", "3", "--json").document
    assert (found["covered"], found["no_upper_end_within_two_years"]) == (3, 3)
    assert "3 of 3 intervals" in command("replay", "forecasts", "--count", "3").out


@pytest.mark.parametrize(
    "arguments",
    [
        ("builds", "--count", "0"),
        ("builds", "--count", "1001"),
        ("builds", "--seed", "-1"),
        ("builds", "--count", "many"),
        ("forecasts", "--count", "0"),
        ("forecasts", "--count", "10001"),
        ("forecasts", "--seed", "-1"),
        ("launch-season", "--seed", "1"),
        ("no-such-replay",),
    ],
)
def test_wrong_usage_plays_nothing(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was played")

    for place, name in (
        (builds, "play_builds"),
        (programmes, "coverage"),
        (season, "play_season"),
    ):
        monkeypatch.setattr(place, name, never)
    said = command("replay", *arguments)
    assert said.code == 2
    assert said.err
    assert not said.out


def test_a_page_that_cannot_be_written_is_a_refusal_and_no_traceback(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(season, "play_season", lambda: Season([FRAME]))
    for wrong in (tmp_path, tmp_path / "no-such-folder" / "page.html"):
        said = command("replay", "launch-season", "--html", str(wrong))
        assert said.code == 1
        assert f"{wrong} cannot be written" in said.err
        assert "Traceback" not in said.err


def test_a_page_in_the_way_is_written_again_as_a_whole(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(season, "play_season", lambda: Season([FRAME]))
    page = tmp_path / "Größe & so.html"
    page.write_text("x" * 100_000)
    said = command("replay", "launch-season", "--html", str(page))
    assert said.code == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "x" * 100 not in page.read_text(encoding="utf-8")
    assert str(page) in said.out
