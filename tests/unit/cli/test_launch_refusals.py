"""What an operator types wrongly about a launch is refused in words, and changes nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.launches import piece
from tests.unit.cli.conftest import Command, Said
from tokenbooth.cli.app import run

Ask = Callable[..., Any]
TWO_GATES = """version = 1
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
[[private_preview.gate]]
name = "capacity"
title = "Enough for those who are expected"
kind = "capacity/1"
fresh_hours = 24
lead_days = 9
reproduce = "tokenbooth certify {model}"
need = [{ figure = "calls_per_ks", at_least = 1000 }]
"""


@pytest.fixture(scope="module")
def made_booth(made_booth: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A booth with the model ``demo`` on the waitlist, and a policy of two gates, made once."""
    home = tmp_path_factory.mktemp("launches") / "booth"
    shutil.copytree(made_booth, home)
    (home / "launch-policy.toml").write_text(TWO_GATES)
    for words in (("model", "add", "demo", "--scripted"), ("stage", "set", "demo", "waitlist")):
        assert run([*words, "--json", "--data-dir", str(home)]) == 0
    return home


@pytest.fixture
def demo(home: Path) -> Path:
    """The test's own copy of that booth."""
    return home


@pytest.fixture
def sign(ask: Ask, demo: Path) -> Ask:
    """Sign a measurement of ``demo``; gives the JSON of the piece."""

    def call(kind: str, body: object, *more: str) -> Any:
        path = demo / "figures.json"
        path.write_text(json.dumps(body))
        return ask("evidence", "sign", str(path), "--kind", kind, "--model", "demo", *more)

    return call


def refused(said: Said, *words: str) -> None:
    """Words on standard error that say why, and nothing on standard output."""
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: ")
    for each in words:
        assert each in said.err


def stage_now(ask: Ask) -> str:
    (row,) = ask("stage", "list")["data"]
    return str(row["stage"])


MOVES = (
    (("nowhere", "closed"), "No model of that name"),
    (("demo", "opened"), "stage must be one of: closed, waitlist"),
    (("demo", "closed", "--sunset", "9d"), "Only a deprecated model has a date"),
    (("demo", "deprecated", "--sunset", "someday"), "sunset must be a span such as 30d"),
    (("demo", "deprecated", "--sunset", "9999-12-31T23:59:59-12:00"), "sunset must be"),
    (("demo", "deprecated", "--sunset", "0001-01-01T00:00:00+12:00"), "sunset must be"),
    (("demo", "closed", "--successor", "other"), "A successor is another model"),
    (("demo", "retired", "--successor", "demo"), "A successor is another model"),
    (("demo", "retired", "--successor", "x" * 65), "up to 64 characters"),
    (("demo", "retired", "--successor", "a\x1b[2J"), "up to 64 characters"),
    (("demo", "closed", "--reason", "x" * 501), "up to 500 characters"),
    (("demo", "closed", "--reason", "two\nlines"), "none of them a control character"),
    (("demo", "closed", "--capability", "flying"), "capability must be one of: tools"),
    (("demo", "closed", "--waive", "billing"), "No gate up to closed has the name 'billing'"),
)


def test_a_stage_that_makes_no_sense_is_refused_and_the_model_stays(
    ask: Ask, command: Command, demo: Path
) -> None:
    for arguments, words in MOVES:
        refused(command("stage", "set", *arguments), words)
    assert stage_now(ask) == "waitlist"


WAIVERS = (
    (("--owner", "Ada", "--reason", "so", "--waive-until", "91d"), "waive"),
    (("--owner", "Ada", "--reason", "so", "--waive-until", "2001-01-01"), "waive"),
    (("--owner", "Ada", "--reason", "so", "--waive-until", "soon"), "waive-until must be"),
    (("--owner", "Ada"), "reason"),
    (("--reason", "so"), "owner"),
)


def test_a_waiver_that_says_too_little_lets_nothing_through(
    ask: Ask, command: Command, demo: Path
) -> None:
    for wished, words in WAIVERS:
        refused(
            command("stage", "set", "demo", "private_preview", "--waive", "billing", *wished), words
        )
    report = command("readiness", "demo", "--to", "private_preview", "--json").document
    assert (stage_now(ask), report["waivers"]) == ("waitlist", [])


def test_one_waiver_of_two_that_are_needed_is_taken_back_with_the_refused_move(
    command: Command, demo: Path
) -> None:
    wished = ("--waive", "billing", "--owner", "Ada", "--reason", "by hand")
    refused(command("stage", "set", "demo", "private_preview", *wished), "1 of 2 gates", "capacity")
    report = command("readiness", "demo", "--to", "private_preview", "--json").document
    assert report["waivers"] == []


def test_a_refusal_names_the_longest_way_first_and_the_command_for_this_model(
    command: Command, demo: Path
) -> None:
    said = command("stage", "set", "demo", "private_preview", "--json")
    assert said.code == 1
    assert "First capacity (missing): there is no evidence. Run: tokenbooth certify demo" in (
        said.err + said.out
    )


def test_a_capability_has_a_stage_of_its_own_beside_that_of_the_model(
    ask: Ask, command: Command, demo: Path
) -> None:
    closed = command("stage", "set", "demo", "closed", "--capability", "tools")
    assert closed.out.strip() == "tools of demo is in closed."
    rows = {row["capability"]: row["stage"] for row in ask("stage", "list")["data"]}
    assert rows == {None: "waitlist", "tools": "closed"}
    refused(command("stage", "set", "demo", "private_preview", "--capability", "tools"), "NO-GO")
    opened = ask("stage", "set", "demo", "waitlist", "--capability", "tools")
    assert (opened["capability"], opened["report"]) == ("tools", None)


def test_what_ends_says_when_and_what_to_use_instead(ask: Ask, demo: Path) -> None:
    (demo / "launch-policy.toml").write_text("version = 1\n")
    made = ask(
        "stage", "set", "demo", "deprecated", "--sunset", "2999-01-31", "--successor", "next"
    )
    assert (made["sunset_at"], made["successor"]) == ("2999-01-31T00:00:00Z", "next")
    gone = ask("stage", "set", "demo", "retired")
    assert (gone["stage"], gone["sunset_at"], gone["successor"]) == ("retired", None, None)
    stages = [row["stage"] for row in ask("stage", "history", "demo")["data"]]
    assert stages == ["waitlist", "deprecated", "retired"]


def test_nothing_decided_is_an_empty_list_and_no_failure(ask: Ask, command: Command) -> None:
    for words in (("stage", "promises"), ("cohort", "list"), ("evidence", "list")):
        assert ask(*words) == {"object": "list", "data": []}
    assert ask("stage", "history", "nobody")["data"] == []
    assert command("evidence", "list", "--model", "nobody").out.strip() == "None."


PROMISES = (
    (("demo", "ga", "--by", "2001-01-01", "--reason", "x"), "promised for later"),
    (("demo", "ga", "--by", "9999-12-31T23:59:59-12:00", "--reason", "x"), "by must be"),
    (("demo", "ga", "--by", "", "--reason", "x"), "by must be a span such as 30d"),
    (("demo", "ga", "--by", "3d", "--reason", " "), "Say why"),
    (("demo", "ga", "--by", "3d", "--reason", "a\tb"), "printable"),
    (("demo", "ga", "--by", "3d", "--reason", "x" * 501), "up to 500"),
    (("demo", "open", "--by", "3d", "--reason", "x"), "stage must be one of"),
    (("nobody", "ga", "--by", "3d", "--reason", "x"), "No model of that name"),
)


def test_a_promise_that_nobody_could_keep_or_read_is_not_written_down(
    ask: Ask, command: Command, demo: Path
) -> None:
    for wished, words in PROMISES:
        refused(command("stage", "promise", *wished), words)
    assert ask("stage", "promises")["data"] == []


def test_a_promise_that_moved_is_told_in_days_beside_the_first(
    ask: Ask, command: Command, demo: Path
) -> None:
    for by, why in (("2999-01-01", "the plan"), ("2999-01-15T12:00:00Z", "it slipped")):
        ask("stage", "promise", "demo", "private_preview", "--by", by, "--reason", why)
    report = command("readiness", "demo", "--to", "private_preview", "--json").document
    assert (report["promised"], report["slipped_days"]) == ("2999-01-15T12:00:00Z", 14)
    assert [row["reason"] for row in ask("stage", "promises")["data"]] == ["the plan", "it slipped"]
    other = command("readiness", "demo", "--to", "public_preview", "--json").document
    assert (other["promised"], other["slipped_days"]) == (None, 0)


NO_EVIDENCE = (
    b"",
    b"[",
    b"\xff\xfe{",
    b"[" * 100_000,
    b'{"a": ' + b"9" * 5_000 + b"}",
    b'{"payload": "", "payloadType": "x", "signatures": []}',
    b"null",
    b"[]",
    b'"text"',
    b"1.5",
)


def test_a_file_that_is_no_evidence_is_refused_in_words(
    ask: Ask, command: Command, demo: Path
) -> None:
    path = demo / "written.json"
    for written in NO_EVIDENCE:
        path.write_bytes(written)
        refused(command("evidence", "add", str(path)))
    assert ask("evidence", "list")["data"] == []


NO_FIGURES = (
    '{"share": 0.5}',
    '{"share": NaN}',
    '{"share": 1e400}',
    '{"count": 9007199254740992}',
    '{"text": "\\ud800"}',
    "[]",
    "7",
    "[" * 100_000,
)


def test_figures_that_have_no_one_form_are_not_signed(
    ask: Ask, command: Command, demo: Path
) -> None:
    path = demo / "written.json"
    for written in NO_FIGURES:
        path.write_text(written)
        refused(command("evidence", "sign", str(path), "--kind", "billing/1", "--model", "demo"))
    assert ask("evidence", "list")["data"] == []


MEASUREMENTS = (
    (("--kind", "", "--model", "demo"), "is no kind"),
    (("--kind", "<b>/1", "--model", "demo"), "is no kind"),
    (("--kind", "billing/0", "--model", "demo"), "is no kind"),
    (("--kind", "billing/1", "--model", "nobody"), "No model of that name"),
    (("--kind", "a/1", "--model", "demo", "--valid", "0s"), "expire after it is issued"),
    (("--kind", "a/1", "--model", "demo", "--valid", "-1d"), "valid must be a span"),
    (("--kind", "a/1", "--model", "demo", "--valid", "99999999d"), "valid must be a span"),
    (("--kind", "a/1", "--model", "demo", "--capability", "flying"), "capability must be"),
    (("--kind", "a/1", "--model", "demo", "--capability", "\n"), "capability must be"),
)


def test_a_measurement_of_nothing_that_is_offered_is_not_signed(
    ask: Ask, command: Command, demo: Path
) -> None:
    for wished, words in MEASUREMENTS:
        path = demo / "figures.json"
        path.write_text('{"difference_nano": 0}')
        refused(command("evidence", "sign", str(path), *wished), words)
    assert ask("evidence", "list")["data"] == []


def test_a_file_that_cannot_be_read_or_is_too_long_is_refused(
    command: Command, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(command("evidence", "add", str(demo / "none.json")), "cannot be read")
    refused(command("evidence", "add", str(demo)), "cannot be read: Is a directory")
    monkeypatch.setattr("tokenbooth.cli.evidence.FILE_BYTES_MAX", 20)
    long = demo / "long.json"
    long.write_text(json.dumps({"payload": "x" * 20}))
    refused(command("evidence", "add", str(long)), "no attestation")


def test_the_same_evidence_is_kept_once(ask: Ask, command: Command, demo: Path) -> None:
    path = demo / "piece.json"
    path.write_text(json.dumps(piece(subject={"model": "demo"}).attestation.to_json()))
    kept = ask("evidence", "add", str(path))
    refused(command("evidence", "add", str(path)), "is there")
    assert [row["digest"] for row in ask("evidence", "list")["data"]] == [kept["digest"]]


def test_evidence_of_a_capability_says_so(sign: Ask, command: Command) -> None:
    made = sign("capacity/1", {"calls_per_ks": 5000}, "--capability", "tools")
    assert made["subject"]["capability"] == "tools"
    report = command("readiness", "demo", "--to", "private_preview", "--json").document
    assert report["room"]["certified_calls_per_ks"] is None
    of_tools = ("--to", "private_preview", "--capability", "tools", "--json")
    report = command("readiness", "demo", *of_tools).document
    assert report["room"]["certified_calls_per_ks"] == 5000


def test_revoked_evidence_stays_in_the_list_with_its_reason(
    ask: Ask, command: Command, sign: Ask
) -> None:
    made = sign("billing/1", {"difference_nano": 0})
    for digest, why, words in (
        ("", "x", "No single piece"),
        (made["digest"][:7], "x", "No single piece"),
        (made["digest"].upper(), "x", "No single piece"),
        ("0" * 64, "x", "No single piece"),
        (made["digest"], "", "Say why"),
        (made["digest"], "a\x07", "Say why"),
    ):
        refused(command("evidence", "revoke", digest, "--reason", why), words)
    gone = ask("evidence", "revoke", made["digest"][:8], "--reason", "the meter was off")
    assert gone["revoked_why"] == "the meter was off"
    refused(command("evidence", "revoke", made["digest"], "--reason", "again"), "already")
    (row,) = ask("evidence", "list")["data"]
    assert row == gone


def test_newer_evidence_that_is_worse_counts_and_not_the_older_good_one(
    sign: Ask, command: Command
) -> None:
    sign("billing/1", {"difference_nano": 0})
    sign("billing/1", {"difference_nano": 3})
    report = command("readiness", "demo", "--to", "private_preview", "--json").document
    (billing,) = [gate for gate in report["gates"] if gate["gate"] == "billing"]
    assert (billing["mark"], billing["why"]) == ("fail", ["difference_nano is 3, and must be 0"])
    assert billing["measurements"] == 2


QUESTIONS = (
    (("nobody", "--to", "ga"), 1, "No model of that name"),
    (("demo", "--to", "open"), 1, "stage must be one of"),
    (("demo", "--to", "ga", "--capability", "flying"), 1, "capability must be one of"),
    (("demo", "--to", "ga", "--population", "1000001"), 2, "--population"),
    (("demo", "--to", "ga", "--population", "-1"), 2, "--population"),
    (("demo", "--to", "ga", "--demand-rpm", "0"), 2, "--demand-rpm"),
    (("demo", "--to", "ga", "--demand-rpm", "9" * 20), 2, "--demand-rpm"),
    (("demo",), 2, "--to"),
)


def test_a_question_that_makes_no_sense_has_no_report(command: Command, demo: Path) -> None:
    for wished, code, words in QUESTIONS:
        said = command("readiness", *wished)
        assert (said.code, said.out) == (code, "")
        assert words in said.err


def test_the_largest_question_that_may_be_asked_is_answered_and_signed(
    sign: Ask, command: Command
) -> None:
    sign("capacity/1", {"calls_per_ks": 0, "replicas": 1})
    most = ("--population", "1000000", "--demand-rpm", "500000")
    said = command("readiness", "demo", "--to", "private_preview", *most, "--json")
    assert said.code == 1
    assert said.document["room"]["invite"] == 0
    assert said.document["room"]["replicas_needed"] > 10**12


def test_a_report_that_cannot_be_written_is_told_in_words(command: Command, demo: Path) -> None:
    for option, path in (("--html", demo / "none" / "page.html"), ("--signed", demo)):
        said = command("readiness", "demo", "--to", "private_preview", option, str(path))
        refused(said, f"{path} cannot be written")


def test_a_model_before_that_nobody_knows_does_not_pass_for_one(
    sign: Ask, command: Command, demo: Path
) -> None:
    policy = demo / "launch-policy.toml"
    bound = 'need = [{ figure = "calls_per_ks", at_least = 1000 }]'
    wanted = 'need = [{ figure = "calls_per_ks", at_least_of_predecessor = 900 }]'
    policy.write_text(policy.read_text().replace(bound, wanted))
    sign("capacity/1", {"calls_per_ks": 5000})
    sign("billing/1", {"difference_nano": 0})
    question = ("readiness", "demo", "--to", "private_preview")
    assert command(*question).code == 0
    said = command(*question, "--predecessor", "ghost")
    assert said.code == 1
    assert "what calls_per_ks must come to is not known" in said.out


def test_a_wrong_policy_stops_what_asks_for_it_and_nothing_else(
    ask: Ask, command: Command, demo: Path
) -> None:
    (demo / "launch-policy.toml").write_text("version = ")
    refused(command("readiness", "demo", "--to", "ga"))
    refused(command("stage", "set", "demo", "private_preview"))
    assert stage_now(ask) == "waitlist"
    assert ask("stage", "history", "demo")["data"]


COHORTS = (
    (("", "--model", "demo"), "1 to 64 letters"),
    (("<script>", "--model", "demo"), "1 to 64 letters"),
    (("x" * 65, "--model", "demo"), "1 to 64 letters"),
    (("c", "--model", "nobody"), "No model of that name"),
    (("c", "--model", "demo", "--max", "0"), "max must be above zero"),
    (("c", "--model", "demo", "--cap", "1e3"), "plain decimal"),
    (("c", "--model", "demo", "--cap", "-1"), "plain decimal"),
    (("c", "--model", "demo", "--rpm", "0"), "rpm must be above zero"),
    (("c", "--model", "demo", "--tpm", "-4"), "tpm must be above zero"),
    (("c", "--model", "demo", "--parallel", "0"), "parallel must be above zero"),
)


def test_a_cohort_that_nobody_could_be_in_is_not_made(
    ask: Ask, command: Command, demo: Path
) -> None:
    for wished, words in COHORTS:
        refused(command("cohort", "create", *wished), words)
    assert ask("cohort", "list")["data"] == []


def test_a_full_cohort_lets_nobody_in_and_changes_nobodys_cap(
    ask: Ask, command: Command, demo: Path
) -> None:
    ask("cohort", "create", "c", "--model", "demo", "--max", "1", "--cap", "2")
    for name in ("first", "second"):
        ask("org", "create", name)
    ask("cohort", "invite", "c", "first")
    assert ask("cohort", "invite", "c", "first")["state"] == "invited"
    refused(command("cohort", "invite", "c", "second"))
    assert command("org", "list").out.count("2.000000000") == 1
    ask("cohort", "remove", "c", "first")
    assert ask("cohort", "invite", "c", "second")["state"] == "invited"
    (row,) = ask("cohort", "list")["data"]
    assert sorted(each["state"] for each in row["members"]) == ["invited", "removed"]


def test_who_or_what_is_not_there_is_not_decided_on(ask: Ask, command: Command, demo: Path) -> None:
    ask("org", "create", "acme")
    ask("cohort", "create", "c", "--model", "demo")
    refused(command("cohort", "create", "c", "--model", "demo"), "exists")
    for verb in ("wait", "invite", "remove"):
        refused(command("cohort", verb, "ghost", "acme"), "No cohort")
        refused(command("cohort", verb, "c", "ghost"), "No organization")
    (row,) = ask("cohort", "list")["data"]
    assert (row["members"], row["cap"], row["parallel_calls"]) == ([], None, None)
