"""A report says the same as JSON and in words, in whole numbers that anybody can sign."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.launches import HOUR_US, KEY, NOW_US, piece
from tests.unit.control.test_launch_page import DAY_US, EMPTY, called, line, report, waiver
from tokenbooth.control.launch_documents import (
    cohort_json,
    forecast_line,
    member_json,
    per_second,
    piece_json,
    promise_json,
    report_json,
    report_lines,
    room_lines,
    standing_json,
)
from tokenbooth.core.caller import CallLimits
from tokenbooth.launch.cohorts.service import Cohort, Member, MemberState
from tokenbooth.launch.gates.service import Mark
from tokenbooth.launch.readiness.service import Forecast, Room, Verdict
from tokenbooth.launch.slips.service import Promise
from tokenbooth.launch.stages.service import Stage, Standing
from tokenbooth.signing.canonical import canonical

FULL = Room(
    certified_milli=12_500,
    replicas=2,
    demand_milli=500,
    stated=True,
    admitted=3,
    population=40,
    admissible=17,
    invite=14,
    replicas_needed=5,
)


@pytest.mark.parametrize(
    ("calls_per_ks", "told"),
    [(0, "0"), (1, "0.001"), (1000, "1"), (4700, "4.7"), (10_010, "10.01"), (100_000, "100")],
)
def test_a_rate_is_told_without_needless_digits(calls_per_ks: int, told: str) -> None:
    assert per_second(calls_per_ks) == told


@given(st.integers(0, 2**53 - 1))
def test_a_rate_that_is_told_is_the_rate(calls_per_ks: int) -> None:
    whole, _, part = per_second(calls_per_ks).partition(".")
    assert int(whole) * 1000 + int(part.ljust(3, "0")) == calls_per_ks


def test_room_is_told_as_far_as_it_is_known() -> None:
    assert room_lines(EMPTY) == ["capacity unknown: no certificate that counts"]
    no_demand = room_lines(replace(FULL, demand_milli=None))
    assert no_demand == [
        "12.5 calls a second are certified",
        "demand unknown: too few calls to measure it, and none was stated",
    ]
    assert room_lines(FULL)[1:] == [
        "an organization asks for 0.5 a second (stated)",
        "3 organizations are in, 17 fit: invite 14",
        "40 organizations need 5 replicas",
    ]
    assert "(measured)" in room_lines(replace(FULL, stated=False))[1]


@pytest.mark.parametrize(
    ("late_us", "told"),
    [
        (NOW_US + 9 * DAY_US, "between 2024-10-04 and 2024-10-13 (80 %)"),
        (None, "between 2024-10-04 and later than two years from now (80 %)"),
    ],
)
def test_a_forecast_is_told_as_what_it_is(late_us: int | None, told: str) -> None:
    forecast = Forecast(NOW_US, NOW_US + DAY_US, late_us)
    assert forecast_line(report(line(), forecast=forecast)) == told
    assert forecast_line(report(forecast=forecast)) == "nothing stands in the way"
    assert forecast_line(report(forecast_why="too little")) == "unknown: too little"
    found: Any = report_json(report(line(), forecast=forecast))
    assert (found["forecast"]["chance_percent"], found["forecast_unknown"]) == (
        80,
        "nothing was measured",
    )
    assert (found["forecast"]["late"] is None) == (late_us is None)


MIXED = report(
    line(called("a"), Mark.PASS, evidence="e" * 64, key_id="k", age_us=3 * HOUR_US),
    line(replace(called("b"), lead_days=1), Mark.FAIL, why=("too slow", "too few")),
    line(replace(called("c"), lead_days=9), Mark.MISSING, why=("there is no evidence",)),
    line(called("d"), Mark.STALE, why=("it has expired",), waiver=waiver("Ada")),
    room=FULL,
    promised_us=NOW_US + 30 * DAY_US,
    slipped_us=2 * DAY_US - 1,
    untested=("bursts",),
)


def test_the_json_names_blockers_in_the_order_in_which_to_begin() -> None:
    found: Any = report_json(MIXED)
    assert found["blockers"] == ["c", "b"]
    assert [gate["gate"] for gate in found["gates"]] == ["a", "b", "c", "d"]
    assert [gate["waived"] for gate in found["gates"]] == [False, False, False, True]
    assert [each["owner"] for each in found["waivers"]] == ["Ada"]
    assert (found["promised"], found["slipped_days"]) == ("2024-11-03T00:00:00Z", 1)


def test_a_gate_without_evidence_says_null_and_not_nothing() -> None:
    gates: Any = report_json(MIXED)["gates"]
    assert (gates[0]["evidence"], gates[0]["key_id"], gates[0]["age_hours"]) == ("e" * 64, "k", 3)
    for name in ("evidence", "key_id", "age_hours", "expires_at", "margin_permille"):
        assert gates[2][name] is None


def test_every_report_can_be_signed_as_it_is() -> None:
    for found in (MIXED, report(), report(verdict=Verdict.GO, room=FULL)):
        assert canonical(report_json(found)) == canonical(report_json(found))


def test_a_terminal_is_told_the_verdict_then_what_to_begin_with() -> None:
    said = report_lines(MIXED)
    assert said[0] == "NO-GO  demo: waitlist -> private_preview"
    assert said[1].split() == ["missing", "c:", "there", "is", "no", "evidence"]
    assert said[2].split() == ["takes", "about", "9", "days;", "c"]
    assert said[3].split() == ["fail", "b:", "too", "slow;", "too", "few"]
    rest = "\n".join(said)
    assert "waived   d by" not in rest.partition("waived")[0]
    assert "waived   d by Ada until 2024-10-05T00:00:00Z: Ada" in rest
    assert "pass     a" in rest
    assert "moved by 1 days so far" in rest
    assert said[-1] == "untested   bursts"


def test_where_nothing_passed_the_terminal_is_told_so() -> None:
    assert "  pass     none" in report_lines(report(line()))


def test_words_and_json_of_a_report_agree_on_what_blocks() -> None:
    said = "\n".join(report_lines(MIXED))
    found: Any = report_json(MIXED)
    for gate in found["gates"]:
        blocks = gate["gate"] in found["blockers"]
        assert (f"{gate['mark']:<8} {gate['gate']}: " in said) is blocks


def test_what_was_never_decided_is_null() -> None:
    standing = Standing(
        model="demo",
        capability="",
        sequence=1,
        stage=Stage.CLOSED,
        sunset_us=None,
        successor=None,
        reason="",
        report="",
        effective_us=NOW_US,
        author="operator",
    )
    found = standing_json(standing)
    assert {name for name, value in found.items() if value is None} == {
        "capability",
        "sunset_at",
        "successor",
        "report",
    }
    of_tools = standing_json(replace(standing, capability="tools", report="r" * 64))
    assert (of_tools["capability"], of_tools["report"]) == ("tools", "r" * 64)


def test_a_cohort_says_its_limits_as_they_are_typed() -> None:
    cohort = Cohort(
        name="c",
        model="demo",
        organizations_max=None,
        cap_nano=1,
        limits=CallLimits(None, 7, None),
        created_us=NOW_US,
    )
    member = Member(
        cohort="c",
        org_id="org_1",
        sequence=1,
        state=MemberState.WAITING,
        effective_us=NOW_US,
        author="operator",
    )
    found = cohort_json(cohort, (member,))
    assert (found["cap"], found["tokens_per_minute"]) == ("0.000000001", 7)
    assert (found["requests_per_minute"], found["organizations_max"]) == (None, None)
    assert found["members"] == [member_json(member)]
    assert cohort_json(replace(cohort, cap_nano=None))["cap"] is None
    assert cohort_json(replace(cohort, cap_nano=0))["cap"] == "0.000000000"


def test_evidence_names_its_key_and_when_it_was_taken_back() -> None:
    sound, gone = piece_json(piece()), piece_json(piece(revoked_h_ago=0))
    assert (sound["key_id"], sound["revoked_at"], sound["revoked_why"]) == (KEY.key_id, None, None)
    assert (gone["revoked_at"], gone["revoked_why"]) == ("2024-10-04T00:00:00Z", "the canary sang")
    assert sound["digest"] == gone["digest"]


def test_a_promise_stands_with_the_forecast_of_its_day() -> None:
    said = Promise(
        model="demo",
        stage=Stage.GA,
        promised_us=NOW_US + DAY_US,
        early_us=NOW_US,
        late_us=None,
        reason="so",
        said_us=NOW_US,
        author="operator",
    )
    found = promise_json(said)
    assert (found["forecast_early"], found["forecast_late"]) == ("2024-10-04T00:00:00Z", None)
