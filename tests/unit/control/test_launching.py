"""Stages through their gates, over a real database: who may go where, and what is kept of it."""

from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from random import Random

import pytest

from tests.support.ops import START_US
from tests.support.stores import lay_out
from tokenbooth.control import accounts, launch_report, launching
from tokenbooth.control.instance import InstancePaths
from tokenbooth.control.launch_documents import report_json, report_lines
from tokenbooth.control.launch_page import page
from tokenbooth.control.launch_report import ReadinessAsk, serving_fingerprint
from tokenbooth.core.caller import CallLimits
from tokenbooth.core.codes import Code
from tokenbooth.core.days import US_PER_DAY
from tokenbooth.core.problem import Problem
from tokenbooth.launch.cohorts.service import CohortAsk, MemberState
from tokenbooth.launch.evidence import service as evidence
from tokenbooth.launch.gates.service import Mark
from tokenbooth.launch.readiness.service import Report, Verdict
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages.service import Stage, StageAsk
from tokenbooth.proving.launching.builds import body_for
from tokenbooth.proving.launching.lab import Lab, open_lab
from tokenbooth.signing.attestation import Wanted, check

ASK = ReadinessAsk(model="demo", stage=Stage.PUBLIC_PREVIEW, population=20, demand_per_minute=30)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A booth that offers ``demo``, on the waitlist."""
    with open_lab(0, START_US, lay_out) as opened:
        opened.offer("demo", {})
        move(opened, Stage.WAITLIST)
        yield opened


def move(lab: Lab, stage: Stage, **fields: object) -> Report | None:
    lab.clock.us += 1
    ask = StageAsk(model="demo", stage=stage, **fields)  # type: ignore[arg-type]
    with lab.tx() as tx:
        how = replace(ASK, stage=stage, capability=ask.capability)
        return launching.set_stage(lab.op(), tx, ask, how, lab.desk)[1]


def make_ready(lab: Lab, stage: Stage, *, but: str = "") -> None:
    """Evidence for every gate up to that stage, of this moment; of ``but`` none."""
    bodies: dict[str, dict[str, object]] = {}
    for edge in stages.gated_edges(Stage.CLOSED, stage):
        for gate in lab.desk.policy.edges[edge]:
            if gate.name != but:
                found = body_for(gate, Random(1), short=False)
                bodies[gate.kind] = {**bodies.get(gate.kind, {}), **found}
    for kind, body in bodies.items():
        lab.clock.us += 1
        lab.measured("demo", kind, body, days=60)


def stage_of(lab: Lab) -> Stage:
    with lab.tx() as tx:
        found = stages.standing(lab.op(), tx, "demo")
    assert found is not None
    return found.stage


def test_nothing_opens_further_without_evidence_and_the_refusal_says_what_to_run(lab: Lab) -> None:
    with pytest.raises(Problem) as caught:
        move(lab, Stage.PRIVATE_PREVIEW)
    assert caught.value.code is Code.STATE_CONFLICT
    assert caught.value.public.startswith(
        "NO-GO: 5 of 5 gates do not pass. First quality (missing)"
    )
    assert "Run: tokenbooth certify demo" in caught.value.public
    assert stage_of(lab) is Stage.WAITLIST


def test_a_ready_model_goes_and_its_signed_report_is_kept(lab: Lab) -> None:
    make_ready(lab, Stage.PUBLIC_PREVIEW)
    found = move(lab, Stage.PUBLIC_PREVIEW)
    assert found is not None
    assert (found.verdict, found.blockers) == (Verdict.GO, ())
    with lab.tx() as tx:
        standing = stages.standing(lab.op(), tx, "demo")
        assert standing is not None
        kept = evidence.by_digest(lab.op(), tx, standing.report)
    wanted = Wanted(launching.REPORT_KIND, lab.desk.keys, lab.clock.us, {"model": "demo"})
    assert check(kept.attestation, wanted) == ()
    assert kept.attestation.finding.body == report_json(found)
    assert "nothing stands in the way" in "\n".join(report_lines(found))


def test_a_move_back_needs_no_gate(lab: Lab) -> None:
    make_ready(lab, Stage.PUBLIC_PREVIEW)
    move(lab, Stage.PUBLIC_PREVIEW)
    assert move(lab, Stage.CLOSED) is None
    assert stage_of(lab) is Stage.CLOSED


def test_another_build_of_the_model_makes_all_its_evidence_stale(lab: Lab) -> None:
    make_ready(lab, Stage.PRIVATE_PREVIEW)
    before = lab.offer("demo", {"seed": "1"})
    found = lab.report(replace(ASK, stage=Stage.PRIVATE_PREVIEW))
    assert {line.outcome.mark for line in found.lines} == {Mark.STALE}
    assert found.fingerprint == serving_fingerprint(before)
    assert serving_fingerprint(lab.offer("demo", {"seed": "1"})) == found.fingerprint
    lab.offer("demo", {})
    assert lab.report(replace(ASK, stage=Stage.PRIVATE_PREVIEW)).verdict is Verdict.GO


def test_a_capability_is_judged_by_evidence_of_its_own(lab: Lab) -> None:
    make_ready(lab, Stage.PUBLIC_PREVIEW)
    move(lab, Stage.CLOSED, capability="tools")
    with pytest.raises(Problem) as caught:
        move(lab, Stage.PUBLIC_PREVIEW, capability="tools")
    assert "another build" in caught.value.public
    with pytest.raises(Problem) as caught:
        move(lab, Stage.CLOSED, capability="flying")
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, "capability")


def test_evidence_of_a_capability_says_nothing_of_the_whole(lab: Lab) -> None:
    make_ready(lab, Stage.PRIVATE_PREVIEW, but="billing")
    made = lab.signed("demo", "billing/1", {"difference_nano": 0, "overshoot_nano": 0})
    subject = {**made.finding.subject, launch_report.CAPABILITY: "tools"}
    with lab.tx() as tx:
        finding = replace(made.finding, subject=subject)
        signed = launching.sign_evidence(lab.op(), tx, "demo", finding, lab.desk)
    lab.keep(signed)
    found = lab.report(replace(ASK, stage=Stage.PRIVATE_PREVIEW))
    assert [line.gate.name for line in found.blockers] == ["billing"]


def grant(lab: Lab, gate: str, **fields: object) -> None:
    how = launching.Grant(
        **{
            "gate": gate,
            "owner": "Ada",
            "reason": "measured by hand",
            "expires_us": lab.clock.us + 7 * US_PER_DAY,
            **fields,
        }  # type: ignore[arg-type]
    )
    with lab.tx() as tx:
        launching.waive(lab.op(), tx, ASK, how, lab.desk.policy)


def test_a_waiver_has_a_name_and_an_end_and_is_shown(lab: Lab) -> None:
    make_ready(lab, Stage.PUBLIC_PREVIEW, but="documents")
    grant(lab, "documents")
    found = move(lab, Stage.PUBLIC_PREVIEW)
    assert found is not None
    said = "\n".join(report_lines(found))
    assert "waived   documents by Ada" in said
    assert "documents: waived by Ada" in said
    lab.clock.us += 8 * US_PER_DAY
    after = lab.report(ASK)
    assert "documents" in [line.gate.name for line in after.blockers]


def test_a_waiver_at_an_earlier_edge_says_nothing_of_a_later_one(lab: Lab) -> None:
    make_ready(lab, Stage.PUBLIC_PREVIEW, but="billing")
    how = launching.Grant(
        gate="billing", owner="Ada", reason="so", expires_us=lab.clock.us + US_PER_DAY
    )
    with lab.tx() as tx:
        early = replace(ASK, stage=Stage.PRIVATE_PREVIEW)
        launching.waive(lab.op(), tx, early, how, lab.desk.policy)
    assert lab.report(replace(ASK, stage=Stage.PRIVATE_PREVIEW)).verdict is Verdict.GO
    assert [line.gate.name for line in lab.report(ASK).blockers] == ["billing"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"owner": " "}, "owner"),
        ({"reason": ""}, "reason"),
        ({"expires_us": START_US}, "waive-until"),
        ({"expires_us": START_US + 200 * US_PER_DAY}, "waive-until"),
        ({"gate": "nothing"}, "waive"),
    ],
)
def test_a_waiver_that_says_too_little_is_refused(
    lab: Lab, fields: dict[str, object], param: str
) -> None:
    with pytest.raises(Problem) as caught:
        grant(lab, **{"gate": "billing", **fields})  # type: ignore[arg-type]
    assert caught.value.param == param


def revoke(lab: Lab, kind: str) -> None:
    with lab.tx() as tx:
        piece = next(e for e in evidence.pieces(lab.op(), tx, "demo") if e.kind == kind)
        evidence.revoke(lab.op(), tx, piece.digest, "it was not so")
    lab.clock.us += 1


def demote_all(lab: Lab) -> int:
    with lab.tx() as tx:
        due = launching.demotions_due(lab.op(), tx)
        moved = [launching.demote(lab.op("worker"), tx, each, lab.desk) for each in due]
    lab.clock.us += 1
    return sum(each is not None for each in moved)


def test_revoked_evidence_takes_a_model_one_stage_back_once(lab: Lab) -> None:
    make_ready(lab, Stage.PUBLIC_PREVIEW)
    move(lab, Stage.PUBLIC_PREVIEW)
    assert demote_all(lab) == 0
    revoke(lab, "quality/1")
    assert [demote_all(lab), demote_all(lab)] == [1, 0]
    assert stage_of(lab) is Stage.PRIVATE_PREVIEW
    with lab.tx() as tx:
        last = stages.history(lab.op(), tx, "demo")[-1]
    assert (last.author, last.reason) == ("worker", "Evidence was revoked: quality")


def test_revoked_evidence_that_nothing_stands_on_moves_nobody(lab: Lab) -> None:
    make_ready(lab, Stage.PRIVATE_PREVIEW)
    move(lab, Stage.PRIVATE_PREVIEW)
    lab.measured("demo", "something/1", {})
    lab.clock.us += 1
    revoke(lab, "something/1")
    assert demote_all(lab) == 0
    assert stage_of(lab) is Stage.PRIVATE_PREVIEW


def test_a_model_without_a_stage_or_without_an_offer_is_left_alone(lab: Lab) -> None:
    lab.offer("plain", {})
    piece = lab.measured("plain", "billing/1", {})
    with lab.tx() as tx:
        evidence.revoke(lab.op(), tx, piece.digest, "so")
        assert launching.demotions_due(lab.op(), tx) == ()
        assert launching.demote(lab.op(), tx, "plain", lab.desk) is None
        assert launching.demote(lab.op(), tx, "nothing", lab.desk) is None


def test_evidence_is_kept_once_and_revoked_once(lab: Lab) -> None:
    made = lab.signed("demo", "billing/1", {"difference_nano": 0})
    piece = lab.keep(made)
    with lab.tx() as tx:
        with pytest.raises(Problem) as caught:
            evidence.add(lab.op(), tx, {"payload": "x"})
        assert caught.value.code is Code.INVALID_VALUE
        for digest in ("abc", "g" * 64, "0" * 64):
            with pytest.raises(Problem) as caught:
                evidence.by_digest(lab.op(), tx, digest)
            assert caught.value.code is Code.NAME_NOT_FOUND
        with pytest.raises(Problem) as caught:
            evidence.revoke(lab.op(), tx, piece.digest, "")
        assert caught.value.param == "reason"
        assert evidence.revoke(lab.op(), tx, piece.digest[:12], "so").revoked_why == "so"
    with lab.tx() as tx, pytest.raises(Problem) as caught:
        evidence.revoke(lab.op(), tx, piece.digest, "again")
    assert caught.value.code is Code.STATE_CONFLICT
    with lab.tx() as tx, pytest.raises(Problem) as caught:
        evidence.add(lab.op(), tx, made.to_json())
    assert caught.value.code is Code.ALREADY_EXISTS


def test_a_body_with_a_fraction_cannot_be_signed(lab: Lab) -> None:
    with pytest.raises(Problem) as caught:
        lab.signed("demo", "billing/1", {"share": 0.5})
    assert caught.value.code is Code.INVALID_VALUE


def test_the_model_before_sets_a_bound_of_its_own(lab: Lab) -> None:
    lab.offer("old", {"seed": "9"})
    lab.measured("old", "quality/1", {"passed": True, "score_permille": 1000})
    with lab.tx() as tx:
        ask = StageAsk(model="old", stage=Stage.DEPRECATED, successor="demo")
        stages.move(lab.op(), tx, ask)
    make_ready(lab, Stage.PRIVATE_PREVIEW, but="quality")
    worse = {"passed": True, "score_permille": 979}
    lab.measured("demo", "quality/1", worse)
    found = lab.report(replace(ASK, stage=Stage.PRIVATE_PREVIEW))
    assert (found.predecessor, found.verdict) == ("old", Verdict.NO_GO)
    assert "must be at least 980" in "; ".join(found.blockers[0].outcome.why)
    lab.clock.us += 1
    lab.measured("demo", "quality/1", {**worse, "score_permille": 980})
    assert lab.report(replace(ASK, stage=Stage.PRIVATE_PREVIEW)).verdict is Verdict.GO


def test_capacity_becomes_a_number_of_organizations(lab: Lab) -> None:
    make_ready(lab, Stage.PRIVATE_PREVIEW, but="capacity")
    body = {"attainment_permille": 960, "calls_per_ks": 10_000, "replicas": 2}
    lab.measured("demo", "capacity/1", body, days=7)
    room = lab.report(ASK).room
    # 70 % of 10 calls a second, at half a call a second each; 3.5 a second for each replica.
    assert (room.admissible, room.invite, room.replicas_needed) == (14, 14, 3)
    assert room.stated
    assert lab.report(replace(ASK, demand_per_minute=None)).room.invite is None


def test_a_promise_stands_beside_its_forecast_for_ever(lab: Lab) -> None:
    with lab.tx() as tx:
        first = launching.promise(
            lab.op(), tx, ASK, START_US + 10 * US_PER_DAY, "the plan", lab.desk
        )
    lab.clock.us += US_PER_DAY
    with lab.tx() as tx:
        launching.promise(lab.op(), tx, ASK, START_US + 30 * US_PER_DAY, "it slipped", lab.desk)
        for by_us, why, param in ((START_US, "x", "by"), (START_US + 9 * US_PER_DAY, "", "reason")):
            with pytest.raises(Problem) as caught:
                launching.promise(lab.op(), tx, ASK, by_us, why, lab.desk)
            assert caught.value.param == param
    assert first.late_us is None
    found = lab.report(ASK)
    assert (found.promised_us, found.slipped_us) == (START_US + 30 * US_PER_DAY, 20 * US_PER_DAY)
    said = "\n".join(report_lines(found))
    assert "moved by 20 days so far" in said
    assert "forecast   unknown" in said


def test_an_invitation_brings_the_cohorts_cap_and_never_raises_one(lab: Lab) -> None:
    with lab.tx() as tx:
        op = lab.op()
        for name, cap_nano in (("free", None), ("tight", 5), ("wide", 500)):
            ask = accounts.OrganizationAsk(name, cap_nano=cap_nano)
            accounts.create_organization(op, tx, ask, lab.ids)
        limits = CallLimits(requests_per_minute=3)
        asked = CohortAsk(name="c", model="demo", cap_nano=100, limits=limits)
        launching.create_cohort(op, tx, asked)
        for name in ("free", "tight", "wide"):
            launching.decide_member(op, tx, "c", name, MemberState.WAITING)
            launching.decide_member(op, tx, "c", name, MemberState.INVITED)
        caps = {a.org.name: a.limits[1].limit_nano for a in accounts.organizations(op, tx)}
        with pytest.raises(Problem) as caught:
            launching.create_cohort(op, tx, replace(asked, model="nothing"))
    assert caps == {"free": 100, "tight": 5, "wide": 100}
    assert caught.value.code is Code.MODEL_NOT_FOUND


def test_the_page_says_what_the_report_says_and_nothing_can_break_out_of_it(lab: Lab) -> None:
    make_ready(lab, Stage.PUBLIC_PREVIEW, but="documents")
    for rate in range(3):
        lab.clock.us += US_PER_DAY
        body = {"attainment_permille": 960, "calls_per_ks": 9000 + rate, "replicas": 1}
        lab.measured("demo", "capacity/1", body, days=7)
    grant(lab, "documents", reason="<script>alert(1)</script>")
    found = lab.report(ASK)
    shown = page(found, launching.signed_report(found, lab.desk))
    for line in found.lines:
        assert f"<b>{line.gate.name}</b>" in shown
        if line.outcome.evidence:
            assert line.outcome.evidence[:12] in shown
    for each in (*found.untested, "GO", "Waived", "polyline", "invited now"):
        assert escape(each) in shown
    assert "<script>" not in shown


def test_a_policy_of_the_operator_replaces_that_of_the_product(tmp_path: Path) -> None:
    assert launching.policy_of(tmp_path).edges[Stage.GA]
    path = InstancePaths(tmp_path).launch_policy
    path.write_text("version = 1\n")
    assert launching.policy_of(tmp_path).edges[Stage.GA] == ()
    path.write_text("version = 3\n")
    with pytest.raises(Problem):
        launching.policy_of(tmp_path)
    path.write_bytes(b"#" * (launching.POLICY_BYTES_MAX + 1))
    with pytest.raises(Problem) as caught:
        launching.policy_of(tmp_path)
    assert "million bytes" in caught.value.public
    path.unlink()
    path.mkdir()
    with pytest.raises(Problem) as caught:
        launching.policy_of(tmp_path)
    assert "cannot be read" in caught.value.public
