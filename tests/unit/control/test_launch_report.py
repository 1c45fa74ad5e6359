"""What a readiness report reads: evidence, demand, capacity, and the model before."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.ops import START_US
from tests.support.stores import lay_out
from tokenbooth.control import accounts, launch_report, launching
from tokenbooth.control.launch_report import ReadinessAsk, serving_fingerprint, subject_of
from tokenbooth.core.codes import Code
from tokenbooth.core.days import US_PER_DAY
from tokenbooth.core.problem import Problem
from tokenbooth.launch.cohorts.service import CohortAsk, MemberState
from tokenbooth.launch.evidence import service as evidence
from tokenbooth.launch.gates.service import Mark, read_policy
from tokenbooth.launch.readiness.service import Report, Trend, Verdict
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages.service import Stage, StageAsk
from tokenbooth.proving.launching.lab import Lab, open_lab, resigned
from tokenbooth.signing.keys import SigningKey

STRANGER = SigningKey(bytes(range(32)))
POLICY = b"""version = 1
untested = ["Whether it is kind."]
[private_preview]
organizations = 8
[[private_preview.gate]]
name = "capacity"
title = "Enough"
kind = "capacity/1"
fresh_hours = 48
lead_days = 4
reproduce = "tokenbooth certify {model}"
need = [{ figure = "calls_per_ks", at_least = 1000 }]
[[public_preview.gate]]
name = "capacity"
title = "Enough for the public"
kind = "capacity/1"
fresh_hours = 48
lead_days = 6
reproduce = "tokenbooth certify {model} --hard"
need = [{ figure = "calls_per_ks", at_least = 5000 }]
"""
PRIVATE = ReadinessAsk(model="demo", stage=Stage.PRIVATE_PREVIEW)
PUBLIC = ReadinessAsk(model="demo", stage=Stage.PUBLIC_PREVIEW)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A booth that offers ``demo``, with one gate on each of two edges."""
    with open_lab(0, START_US, lay_out) as opened:
        opened.desk = replace(opened.desk, policy=read_policy(POLICY))
        opened.offer("demo", {})
        yield opened


def capacity(lab: Lab, rate: object, **body: object) -> None:
    lab.clock.us += 1
    lab.measured("demo", "capacity/1", {"calls_per_ks": rate, **body})


def only(found: Report) -> Any:
    (line,) = found.lines
    return line


def busy(monkeypatch: pytest.MonkeyPatch, minutes: dict[str, list[int]]) -> list[tuple[int, int]]:
    """The meter saw these calls of each organization; gives the spans that it was asked for."""
    spans = []

    def seen(_op: object, _tx: object, _model: str, since: int, until: int) -> Any:
        spans.append((since, until))
        return minutes

    monkeypatch.setattr(launch_report.meter, "busy_minutes", seen)
    return spans


def test_a_model_that_is_not_offered_has_no_report(lab: Lab) -> None:
    with pytest.raises(Problem) as caught:
        lab.report(replace(PRIVATE, model="ghost"))
    assert caught.value.code is Code.MODEL_NOT_FOUND


@pytest.mark.parametrize("capability", ["flying", "Tools", "tools ", "\n"])
def test_what_no_model_can_do_has_no_report_and_no_evidence(lab: Lab, capability: str) -> None:
    with pytest.raises(Problem) as caught:
        lab.report(replace(PRIVATE, capability=capability))
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, "capability")
    made = lab.signed("demo", "capacity/1", {"calls_per_ks": 1})
    finding = replace(made.finding, subject={"capability": capability})
    with lab.tx() as tx, pytest.raises(Problem) as caught:
        launching.sign_evidence(lab.op(), tx, "demo", finding, lab.desk)
    assert caught.value.param == "capability"


def test_a_fingerprint_is_of_what_is_served_and_not_of_its_name(lab: Lab) -> None:
    demo, twin = lab.offer("demo", {"seed": "1"}), lab.offer("twin", {"seed": "1"})
    assert serving_fingerprint(demo) == serving_fingerprint(twin)
    assert serving_fingerprint(lab.offer("twin", {"seed": "2"})) != serving_fingerprint(demo)
    for field, value in (("context_tokens", 7), ("output_tokens_max", 7), ("deployments", ())):
        changed = replace(demo, **{field: value})  # type: ignore[arg-type]
        assert serving_fingerprint(changed) != serving_fingerprint(demo)
    assert subject_of(demo, "tools") == {**subject_of(demo), "capability": "tools"}


def test_the_later_of_two_gates_of_one_name_stands_for_both(lab: Lab) -> None:
    capacity(lab, 3000)
    assert lab.report(PRIVATE).verdict is Verdict.GO
    found = lab.report(PUBLIC)
    assert found.verdict is Verdict.NO_GO
    assert only(found).stage is Stage.PUBLIC_PREVIEW
    assert only(found).gate.reproduce == "tokenbooth certify demo --hard"
    capacity(lab, 5000)
    assert lab.report(PUBLIC).verdict is Verdict.GO


def test_a_stage_without_gates_is_a_go_that_says_that_nothing_was_looked_at(lab: Lab) -> None:
    found = lab.report(replace(PRIVATE, stage=Stage.CLOSED))
    assert (found.verdict, found.lines, found.blockers) == (Verdict.GO, (), ())
    assert found.untested[0] == "Whether it is kind."
    assert found.untested[-1] == "Anything: the policy has no gates up to this stage."


def test_evidence_by_a_stranger_counts_only_where_the_policy_trusts_him(lab: Lab) -> None:
    made = lab.signed("demo", "capacity/1", {"calls_per_ks": 9000})
    lab.keep(resigned(made, STRANGER))
    found = lab.report(PRIVATE)
    assert only(found).outcome.mark is Mark.MISSING
    assert found.room.certified_milli is None
    trusting = replace(lab.desk.policy, trusted=frozenset({STRANGER.public}))
    lab.desk = replace(lab.desk, policy=trusting)
    assert lab.report(PRIVATE).room.certified_milli == 9000


@pytest.mark.parametrize(
    ("body", "certified"),
    [
        ({"calls_per_ks": 9000, "replicas": 3}, (9000, 3)),
        ({"calls_per_ks": 9000}, (9000, 1)),
        ({"calls_per_ks": 9000, "replicas": 0}, (9000, 1)),
        ({"calls_per_ks": 9000, "replicas": "3"}, (9000, 1)),
        ({"calls_per_ks": 9000, "replicas": True}, (9000, 1)),
        ({"calls_per_ks": 10}, (10, 1)),
        ({"calls_per_ks": "9000"}, (None, None)),
        ({"calls_per_ks": True}, (None, None)),
        ({"rate": 9000}, (None, None)),
    ],
)
def test_certified_capacity_is_a_whole_number_or_nothing(
    lab: Lab, body: dict[str, object], certified: tuple[int | None, int | None]
) -> None:
    lab.measured("demo", "capacity/1", body)
    room = lab.report(PRIVATE).room
    assert (room.certified_milli, room.replicas) == certified


def test_capacity_that_does_not_count_any_more_makes_no_room(lab: Lab) -> None:
    capacity(lab, 9000)
    assert lab.report(PRIVATE).room.certified_milli == 9000
    lab.clock.us += 49 * US_PER_DAY // 24
    stale = lab.report(PRIVATE)
    assert only(stale).outcome.mark is Mark.STALE
    assert stale.room.certified_milli is None


def test_demand_that_was_measured_counts_before_what_was_stated(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    capacity(lab, 9000)
    stated = replace(PRIVATE, demand_per_minute=600)
    assert lab.report(PRIVATE).room.demand_milli is None
    assert (lab.report(stated).room.demand_milli, lab.report(stated).room.stated) == (10_000, True)
    spans = busy(monkeypatch, {name: [60] * 40 for name in ("a", "b", "c")})
    found = lab.report(stated)
    assert (found.room.demand_milli, found.room.stated) == (1000, False)
    assert spans == [(lab.clock.us - 7 * US_PER_DAY, lab.clock.us)]
    assert not any("asks for" in each for each in found.untested)


@pytest.mark.parametrize(
    "minutes", [{}, {"a": [60] * 500}, {"a": [60] * 90, "b": [60] * 90}, {n: [1] for n in "abc"}]
)
def test_too_few_calls_or_callers_are_no_measurement(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, minutes: dict[str, list[int]]
) -> None:
    busy(monkeypatch, minutes)
    found = lab.report(PRIVATE)
    assert found.room.demand_milli is None
    assert any(each.endswith("too few calls, and nothing stated.") for each in found.untested)


@pytest.mark.parametrize(("stated", "milli"), [(1, 17), (6, 100), (60, 1000), (61, 1017)])
def test_stated_demand_is_rounded_up(lab: Lab, stated: int, milli: int) -> None:
    assert lab.report(replace(PRIVATE, demand_per_minute=stated)).room.demand_milli == milli


def test_the_population_is_that_of_the_policy_unless_somebody_says_another(lab: Lab) -> None:
    assert lab.report(PRIVATE).room.population == 8
    assert lab.report(replace(PRIVATE, population=0)).room.population == 0
    assert lab.report(PUBLIC).room.population == 0


def test_who_is_in_is_counted_once_however_many_cohorts_invite_him(lab: Lab) -> None:
    capacity(lab, 10_000)
    with lab.tx() as tx:
        op = lab.op()
        for name in ("one", "two", "three"):
            accounts.create_organization(op, tx, accounts.OrganizationAsk(name), lab.ids)
        for cohort in ("early", "late"):
            launching.create_cohort(op, tx, CohortAsk(name=cohort, model="demo"))
        for cohort, org, state in (
            ("early", "one", MemberState.INVITED),
            ("late", "one", MemberState.INVITED),
            ("late", "two", MemberState.WAITING),
            ("early", "three", MemberState.INVITED),
            ("early", "three", MemberState.REMOVED),
        ):
            launching.decide_member(op, tx, cohort, org, state)
    room = lab.report(replace(PRIVATE, demand_per_minute=60)).room
    assert (room.admitted, room.admissible, room.invite) == (1, 7, 6)


def test_the_model_before_is_the_last_that_named_this_one(lab: Lab) -> None:
    assert lab.report(PRIVATE).predecessor is None
    assert any("none is named" in each for each in lab.report(PRIVATE).untested)
    for name in ("older", "old"):
        lab.offer(name, {})
        lab.clock.us += 1
        with lab.tx() as tx:
            ask = StageAsk(model=name, stage=Stage.RETIRED, successor="demo")
            stages.move(lab.op(), tx, ask)
    assert lab.report(PRIVATE).predecessor == "old"
    assert lab.report(replace(PRIVATE, predecessor="older")).predecessor == "older"


def test_what_is_known_of_a_model_before_may_have_expired_but_not_been_revoked(lab: Lab) -> None:
    lab.offer("old", {})
    first = lab.measured("old", "quality/1", {"score": 1}, days=1)
    lab.clock.us += 1
    second = lab.measured("old", "quality/1", {"score": 2}, days=1)
    lab.keep(resigned(lab.signed("old", "safety/1", {"score": 3}), STRANGER))
    lab.clock.us += 30 * US_PER_DAY

    def known() -> Any:
        with lab.tx() as tx:
            ask = replace(PRIVATE, predecessor="old")
            return launch_report.file_of(lab.op(), tx, ask, lab.desk).case.predecessor

    assert known() == {"quality/1": {"score": 2}}
    for piece, left in ((second, {"quality/1": {"score": 1}}), (first, {})):
        with lab.tx() as tx:
            evidence.revoke(lab.op(), tx, piece.digest, "so")
        assert known() == left


def test_a_margin_that_grows_is_told_and_gives_a_forecast(lab: Lab) -> None:
    for rate in (2000, 2500, 3000, 3500, 4000):
        lab.clock.us += US_PER_DAY
        capacity(lab, rate)
    found = lab.report(PUBLIC)
    assert only(found).trend is Trend.CONVERGING
    assert [point.margin_permille for point in only(found).history] == [
        -600,
        -500,
        -400,
        -300,
        -200,
    ]
    assert found.forecast is not None
    assert lab.clock.us < found.forecast.early_us <= found.forecast.likely_us


def test_a_report_of_the_same_moment_is_the_same_report(lab: Lab) -> None:
    capacity(lab, 3000)
    first, second = lab.report(PUBLIC), lab.report(PUBLIC)
    assert first == second
    signed = [launching.signed_report(each, lab.desk).digest for each in (first, second)]
    assert signed[0] == signed[1]
    lab.clock.us += 1
    assert launching.signed_report(lab.report(PUBLIC), lab.desk).digest != signed[0]
