"""Stages, cohorts, evidence and readiness from the command line, and the replays."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.launches import KEY, piece
from tests.unit.cli.conftest import Command
from tokenbooth.proving.launching import season
from tokenbooth.proving.launching.show import Frame, Season

Ask = Callable[..., Any]
OPEN_POLICY = "version = 1\n"
ONE_GATE = """version = 1
[private_preview]
organizations = 4
[[private_preview.gate]]
name = "billing"
title = "Money comes out"
kind = "billing/1"
fresh_hours = 24
lead_days = 5
reproduce = "tokenbooth drill mixed --json"
need = [{ figure = "difference_nano", is = 0 }]
"""


@pytest.fixture
def demo(ask: Ask, home: Path) -> Path:
    """A booth with the model ``demo`` on the waitlist, and a policy of one gate."""
    ask("model", "add", "demo", "--scripted")
    (home / "launch-policy.toml").write_text(ONE_GATE)
    ask("stage", "set", "demo", "waitlist", "--reason", "announced")
    return home


def figures(home: Path, body: dict[str, object]) -> str:
    path = home / "figures.json"
    path.write_text(json.dumps(body))
    return str(path)


def test_a_stage_opens_by_evidence_and_closes_without(
    ask: Ask, command: Command, demo: Path
) -> None:
    refused = command("stage", "set", "demo", "private_preview")
    assert refused.code == 1
    assert "NO-GO: 1 of 1 gates do not pass" in refused.err
    report = command("readiness", "demo", "--to", "private_preview")
    assert report.code == 1
    assert report.out.startswith("NO-GO  demo: waitlist -> private_preview")
    file = figures(demo, {"difference_nano": 0})
    signed = ask("evidence", "sign", file, "--kind", "billing/1", "--model", "demo")
    assert signed["subject"]["model"] == "demo"
    page, kept = demo / "report.html", demo / "report.json"
    more = ("--html", str(page), "--signed", str(kept), "--demand-rpm", "6", "--population", "9")
    found = ask("readiness", "demo", "--to", "private_preview", *more)
    assert (found["verdict"], found["blockers"]) == ("GO", [])
    assert found["room"]["population"] == 9
    assert found["gates"][0]["evidence"] == signed["digest"]
    assert "<h1>demo: waitlist to private preview</h1>" in page.read_text()
    assert json.loads(kept.read_text())["payloadType"] == "application/vnd.in-toto+json"
    moved = ask("stage", "set", "demo", "private_preview")
    assert (moved["stage"], len(moved["report"])) == ("private_preview", 64)
    ask("evidence", "revoke", signed["digest"][:12], "--reason", "wrong")
    assert command("readiness", "demo", "--to", "private_preview").code == 1
    listed = ask("evidence", "list", "--model", "demo")["data"]
    assert {row["kind"] for row in listed} == {"billing/1", "readiness-report/1"}
    assert "wrong" in command("evidence", "list").out
    back = command("stage", "set", "demo", "closed", "--reason", "for now")
    assert back.out.strip() == "Model demo is in closed."
    history = ask("stage", "history", "demo")["data"]
    assert [row["stage"] for row in history] == ["waitlist", "private_preview", "closed"]
    assert "for now" in command("stage", "list").out


def test_a_report_that_cannot_be_written_is_a_refusal_and_no_traceback(
    command: Command, demo: Path
) -> None:
    for option in ("--html", "--signed"):
        said = command("readiness", "demo", "--to", "private_preview", option, str(demo))
        assert (said.code, said.out) == (1, "")
        assert f"{demo} cannot be written" in said.err


def test_no_promise_is_kept_that_no_calendar_shows(ask: Ask, command: Command, demo: Path) -> None:
    """It could not be listed afterwards, and nothing that was promised is ever forgotten."""
    for by in ("9999-06-01T00:00:00Z", "9999-12-31T23:59:59-12:00"):
        said = command("stage", "promise", "demo", "ga", "--by", by, "--reason", "never")
        assert said.code == 1
        assert "by must be a span" in said.err or "before the year 9999" in said.err
    assert ask("stage", "promises")["data"] == []


def test_a_waiver_names_its_owner(ask: Ask, command: Command, demo: Path) -> None:
    nameless = command("stage", "set", "demo", "private_preview", "--waive", "billing")
    assert (nameless.code, "owner" in nameless.err) == (1, True)
    wished = ("--waive", "billing", "--owner", "Ada", "--reason", "by hand", "--waive-until", "2d")
    assert ask("stage", "set", "demo", "private_preview", *wished)["stage"] == "private_preview"
    shown = command("readiness", "demo", "--to", "private_preview").out
    assert "waived   billing by Ada" in shown


def test_a_promise_is_written_down_and_listed(ask: Ask, command: Command, demo: Path) -> None:
    said = command(
        "stage", "promise", "demo", "private_preview", "--by", "30d", "--reason", "said on stage"
    )
    assert "Forecast: early unknown, late unknown." in said.out
    (row,) = ask("stage", "promises")["data"]
    assert (row["reason"], row["forecast_late"]) == ("said on stage", None)
    assert "promised   " in command("readiness", "demo", "--to", "private_preview").out


def test_a_cohort_is_made_filled_and_emptied(ask: Ask, command: Command, demo: Path) -> None:
    ask("org", "create", "acme")
    made = ask("cohort", "create", "c", "--model", "demo", "--max", "1", "--cap", "2", "--rpm", "9")
    assert (made["cap"], made["requests_per_minute"]) == ("2.000000000", 9)
    assert ask("cohort", "wait", "c", "acme")["state"] == "waiting"
    assert ask("cohort", "invite", "c", "acme")["state"] == "invited"
    assert "invited" in command("cohort", "list").out
    assert "2.000000000" in command("org", "list").out
    assert ask("cohort", "remove", "c", "acme")["state"] == "removed"
    ((member,),) = [row["members"] for row in ask("cohort", "list")["data"]]
    assert member["state"] == "removed"


def test_an_attestation_of_somebody_else_is_kept_and_does_not_count(
    ask: Ask, command: Command, demo: Path
) -> None:
    made = piece({"difference_nano": 0}, subject={"model": "demo"}, kind="billing/1")
    path = demo / "other.json"
    path.write_text(json.dumps(made.attestation.to_json()))
    assert ask("evidence", "add", str(path))["key_id"] == KEY.key_id
    said = command("readiness", "demo", "--to", "private_preview")
    assert "nobody trusts the key" in said.out
    for wrong in ("[", "[]"):
        path.write_text(wrong)
        assert command("evidence", "add", str(path)).code == 1
        assert command("evidence", "sign", str(path), "--kind", "a/1", "--model", "demo").code == 1


def test_an_empty_policy_opens_and_the_report_says_that_nothing_was_looked_at(
    ask: Ask, command: Command, demo: Path
) -> None:
    (demo / "launch-policy.toml").write_text(OPEN_POLICY)
    shown = command("readiness", "demo", "--to", "ga")
    assert shown.code == 0
    assert "the policy has no gates" in shown.out
    assert ask("stage", "set", "demo", "ga")["stage"] == "ga"


def test_a_decided_stage_is_not_described_any_more(command: Command, demo: Path) -> None:
    said = command("model", "describe", "demo", "--stage", "ga")
    assert (said.code, "tokenbooth stage set" in said.err) == (1, True)
    assert command("model", "describe", "demo", "--display-name", "Demo").code == 0
    unknown = command("stage", "set", "demo", "open")
    assert (unknown.code, "stage must be one of: closed" in unknown.err) == (1, True)


def test_seeded_builds_are_told_apart(ask: Ask, command: Command) -> None:
    found = ask("replay", "builds", "--count", "2")
    assert (found["passed"], found["ready_go"], found["wrong"]) == (True, 2, [])
    assert found["unready_no_go_with_the_right_first_blocker"] == 2


def test_forecasts_are_counted_against_the_truth(command: Command) -> None:
    said = command("replay", "forecasts", "--count", "20", "--seed", "0", "--json")
    found = said.document
    ends = found["covered"] + found["later_than_forecast"] + found["earlier_than_forecast"]
    assert ends == 20
    assert found["seeds"] == [0, 19 + found["beside_them_without_a_forecast"]]
    assert (said.code == 0) == found["passed"] == (75 <= found["covered"] * 5 <= 85)


def test_a_season_is_told_and_one_that_went_wrong_is_told_so(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good = Frame("2026-04-07", "Announced", ("Said <so>.",), {"n": 1}, "tokenbooth x", passed=True)
    wrong = Frame("2026-05-07", "Stopped", (), {}, "tokenbooth y", passed=False)
    page = tmp_path / "season.html"
    for frames, code in (((good,), 0), ((good, wrong), 1)):
        monkeypatch.setattr(season, "play_season", lambda frames=frames: Season(list(frames)))
        said = command("replay", "launch-season", "--html", str(page))
        assert said.code == code
        assert "$ tokenbooth x" in said.out
        assert ("DID NOT COME OUT" in said.out) == bool(code)
        assert "Said &lt;so&gt;." in page.read_text()
    document = command("replay", "launch-season", "--html", str(page), "--json").document
    assert len(document["digest"]) == 64
    assert [frame["passed"] for frame in document["frames"]] == [True, False]
