"""A short season, frame by frame on one lab: what each frame promises, and what would spoil it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.stores import lay_out
from tokenbooth.core.problem import Problem
from tokenbooth.launch.slips import service as slips
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages.service import Stage
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.meter import service as meter
from tokenbooth.proving.launching import season as seasons
from tokenbooth.proving.launching import spring, summer
from tokenbooth.proving.launching.crush import Crush
from tokenbooth.proving.launching.lab import Lab, open_lab
from tokenbooth.proving.launching.servers import Capacity, Quality
from tokenbooth.proving.launching.show import (
    BEFORE,
    MODEL,
    NEXT,
    PARTNERS,
    SEED,
    Frame,
    Season,
    Show,
    marks_of,
    us_at,
)

SURVIVED = Crush(polite=1000, crowd=290, goodput=960, ttft_p99_ms=1900)
CAP_NANO = 9_000_000


def new_show(lab: Lab) -> Show:
    spring.play_past(lab)
    return Show(lab, Season())


def history(lab: Lab, model: str) -> list[str]:
    with lab.tx() as tx:
        return [each.stage.value for each in stages.history(lab.op(), tx, model)]


@pytest.fixture(scope="module")
def played() -> Iterator[tuple[Show, dict[str, Frame]]]:
    """All nine scenes, with little traffic and a short attack; what the meter says of partners is
    of a longer stretch than was played, and the crush has tests of its own."""
    with open_lab(SEED, us_at(2025, 1, 6), lay_out) as lab:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(summer, "TRAFFIC_MINUTES", 3)
            patch.setattr(summer, "ATTACK_CALLS", 40)
            patch.setattr(summer, "COHORT_CAP_NANO", CAP_NANO)
            patch.setattr(meter, "busy_minutes", lambda *_: {name: [8] * 34 for name in PARTNERS})
            patch.setattr(summer, "crush", lambda seed: SURVIVED)
            show = new_show(lab)
            for scene in seasons.SCENES:
                scene(show)
        names = (scene.__name__ for scene in seasons.SCENES)
        yield show, dict(zip(names, show.season.frames, strict=True))


Played = tuple[Show, dict[str, Frame]]


def test_each_scene_adds_one_frame_in_the_order_of_the_calendar(played: Played) -> None:
    show, frames = played
    days = [frame.day for frame in frames.values()]
    assert days == sorted(set(days))
    assert len(frames) == len(show.season.frames) == len(seasons.SCENES)
    assert all(frame.command.startswith("tokenbooth ") for frame in frames.values())


def test_every_frame_comes_out(played: Played) -> None:
    show, frames = played
    assert [name for name, frame in frames.items() if not frame.passed] == []
    assert show.season.passed


def test_the_first_promise_is_earlier_than_its_forecast_and_the_second_is_not(
    played: Played,
) -> None:
    show, frames = played
    with show.lab.tx() as tx:
        said = [e for e in slips.promises(show.lab.op(), tx) if e.model == MODEL]
    assert [each.stage for each in said] == [Stage.PRIVATE_PREVIEW] * 2
    assert said[0].late_us == frames["announced"].facts["late_us"]
    assert said[0].late_us is not None
    assert said[1].late_us is not None
    assert said[0].promised_us < said[0].late_us
    assert said[1].promised_us > said[1].late_us
    assert slips.slipped_us(said) > 0


def test_the_wrong_batch_is_named_and_the_longest_work_first(played: Played) -> None:
    facts = played[1]["not_ready"].facts
    assert facts["verdict"] == "NO-GO"
    assert facts["first_failing_batch"] == 64
    assert facts["blockers"] == ["quality", "capacity"]


def test_a_new_build_makes_all_older_evidence_stale(played: Played) -> None:
    facts = played[1]["short_of_capacity"].facts
    assert facts["stale"] == ["quality", "conformance", "billing", "rollback"]
    assert (facts["private"], facts["public"], facts["capacity"]) == ("GO", "NO-GO", "fail")


def test_one_replica_does_not_carry_those_who_wait_and_so_many_do(played: Played) -> None:
    facts = played[1]["short_of_capacity"].facts
    needed, one = int(str(facts["replicas_needed"])), int(str(facts["calls_per_ks"]))
    wanted = 120 * 10 * 1000 // 60  # organizations, calls a minute, in 1,000 seconds
    assert (needed - 1) * one * 7 // 10 < wanted <= needed * one * 7 // 10
    assert int(str(facts["delay_nano"])) > 0


def test_only_who_is_invited_gets_in_and_only_from_then_on(played: Played) -> None:
    facts = played[1]["partners"].facts
    assert facts == {"before": "403 model_not_open", "after": "200", "invited": len(PARTNERS)}


def test_an_attack_spends_no_nano_over_its_cap_and_the_others_are_served(played: Played) -> None:
    show, frames = played
    facts = frames["attack"].facts
    assert (facts["overshoot_nano"], facts["difference_nano"]) == (0, 0)
    assert CAP_NANO * 9 // 10 < int(str(facts["spent_nano"])) <= CAP_NANO
    assert int(str(facts["others_answered"])) > 20
    with show.lab.tx() as tx:
        proof = ledger.verify(show.lab.op(), tx)
    assert (proof.difference_nano, tuple(proof.problems)) == (0, ())


def test_demand_is_measured_and_not_stated_once_partners_call(played: Played) -> None:
    facts = played[1]["invitation"].facts
    assert facts["stated"] is False
    assert int(str(facts["invite"])) > 0
    assert facts["goodput_permille"] == SURVIVED.goodput


def test_each_piece_of_the_go_was_bent_in_every_way_and_none_was_left_a_go(
    played: Played,
) -> None:
    facts = played[1]["public"].facts
    assert (facts["verdict"], facts["still_go"]) == ("GO", 0)
    assert facts["pieces"] == facts["gates"] == 8
    assert facts["tampered"] == 8 * 12


def test_a_bad_release_stays_where_it_was(played: Played) -> None:
    show, frames = played
    assert history(show.lab, NEXT) == ["closed"]
    assert any("quality (fail)" in each for each in frames["bad_release"].said)


def test_revoked_evidence_takes_the_model_one_stage_back_and_once(played: Played) -> None:
    show, frames = played
    assert frames["alarm"].facts == {"stage": "private_preview", "moves": 1}
    way = ["waitlist", "private_preview", "public_preview", "private_preview"]
    assert history(show.lab, MODEL) == way
    with pytest.raises(Problem, match="quality"):
        show.move(Stage.PUBLIC_PREVIEW)


def test_the_model_before_took_longer_each_time_than_was_promised(played: Played) -> None:
    lab = played[0].lab
    with lab.tx() as tx:
        said = [e for e in slips.promises(lab.op(), tx) if e.model == BEFORE]
        kept = stages.history(lab.op(), tx, BEFORE)
    ratios = slips.ratios_permille(said, kept)
    assert len(ratios) == len(spring.PAST)
    assert min(ratios) > 1000


@pytest.fixture
def show() -> Iterator[Show]:
    with open_lab(SEED, us_at(2025, 1, 6), lay_out) as lab:
        yield new_show(lab)


def test_the_same_beginning_has_the_same_digest_in_every_run(show: Show) -> None:
    with open_lab(SEED, us_at(2025, 1, 6), lay_out) as lab:
        again = new_show(lab)
        for each in (show, again):
            spring.announced(each)
            spring.not_ready(each)
        assert show.season.digest == again.season.digest
        again.season.frames.pop()
        spring.short_of_capacity(again)
    assert show.season.digest != again.season.digest


def test_a_lab_without_a_past_has_no_forecast_and_the_frame_says_so() -> None:
    with open_lab(SEED, us_at(2025, 1, 6), lay_out) as lab:
        show = Show(lab, Season())
        spring.announced(show)
        (frame,) = show.season.frames
    assert not frame.passed
    assert not any("1970" in each for each in frame.said), "no date is shown that nobody knows"
    assert any("unknown" in each for each in frame.said)


def test_answers_that_are_fine_at_every_batch_spoil_the_frame_that_is_to_find_them_wrong(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring.announced(show)
    monkeypatch.setattr(spring, "quality", lambda *_, **__: Quality(950, 0, 0))
    spring.not_ready(show)
    assert not show.season.frames[-1].passed
    assert show.season.frames[-1].facts["blockers"] == ["capacity"]


def test_a_certificate_of_nothing_spoils_the_frame_that_is_to_go_on(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring.announced(show)
    monkeypatch.setattr(spring, "capacity", lambda seed: Capacity(0, 0, 400))
    spring.short_of_capacity(show)
    frame = show.season.frames[-1]
    assert not frame.passed
    assert frame.facts["private"] == "NO-GO"


def test_a_release_that_is_good_spoils_the_frame_that_is_to_stop_it(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summer, "quality", lambda *_, **__: Quality(950, 0, 0))
    summer.bad_release(show)
    (frame,) = show.season.frames
    assert not frame.passed
    assert frame.facts == {"stage": "private_preview", "refused": False}


def test_demand_that_was_only_stated_and_a_crush_that_was_lost_each_spoil_the_invitation(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring.announced(show)
    monkeypatch.setattr(summer, "capacity", lambda seed: Capacity(11_000, 960_000, 400))
    for seen in (SURVIVED, replace(SURVIVED, polite=1)):
        monkeypatch.setattr(summer, "crush", lambda seed, seen=seen: seen)
        summer.invitation(show)
        show.lab.offer(MODEL, {"seed": str(seen.polite)})
        frame = show.season.frames[-1]
        assert frame.facts["stated"] is True
        assert not frame.passed


def test_an_hour_of_the_show_is_that_hour_of_the_lab(show: Show) -> None:
    show.at(5, 1, hour=7)
    assert show.lab.clock.us == us_at(2026, 5, 1) + 7 * 3_600_000_000
    show.frame("Nothing", (), {}, "tokenbooth x", passed=True)
    assert show.season.frames[-1].day == "2026-05-01"


def test_marks_are_by_the_name_of_their_gate(show: Show) -> None:
    spring.announced(show)
    marks = marks_of(show.report(Stage.PRIVATE_PREVIEW))
    assert set(marks.values()) == {"missing"}
    assert set(marks) == {"capacity", "quality", "conformance", "billing", "rollback"}
    show.basics(MODEL)
    after = marks_of(show.report(Stage.PRIVATE_PREVIEW))
    assert {name for name, mark in after.items() if mark == "pass"} == {
        "conformance",
        "billing",
        "rollback",
    }
