"""What the study shows of a few servers; the command shows twenty."""

import json
from dataclasses import replace
from functools import partial

import pytest

from tokenbooth.proving.bench.admission import CASES, run_admission
from tokenbooth.proving.bench.chart import svg
from tokenbooth.proving.serving.crowds import Crowd
from tokenbooth.proving.serving.policies import AtTheDesk, EngineDefault, Fifo
from tokenbooth.proving.serving.server import NEVER_US
from tokenbooth.proving.serving.shape import drawn_serving
from tokenbooth.proving.serving.study import (
    DESK,
    GOALS,
    LOADS_MILLI,
    POLICIES,
    ServerRow,
    Study,
    Trial,
)


@pytest.fixture(scope="module")
def trial() -> Trial:
    return Trial(drawn_serving(2), 2, calls=500)


def desk(trial: Trial) -> partial[AtTheDesk]:
    return partial(AtTheDesk, ceiling=trial.carried.concurrency)


def test_at_three_times_its_load_a_server_keeps_what_it_carries(trial: Trial) -> None:
    found, seen = trial.play(desk(trial), Crowd("all", 3000))
    assert found.goodput_per_ks >= trial.carried.calls_per_ks * 95 // 100
    assert found.ttft_p99_us <= trial.serving.slo.ttft_us
    naive, _ = trial.play(Fifo, Crowd("all", 3000))
    assert naive.goodput_per_ks * 10 < found.goodput_per_ks
    begun = [call for call in seen.calls if call.first_us != NEVER_US]
    assert not any(call.cancelled for call in begun), "a stream that began is never shed"
    assert all(call.end_us != NEVER_US for call in begun)


def test_a_polite_tenant_hardly_notices_a_flooder(trial: Trial) -> None:
    polite, flooder = Crowd("polite", 300), Crowd("flooder", 3000)
    found, _ = trial.play(desk(trial), polite, flooder)
    assert found.good_milli["polite"] >= 930
    assert found.good_milli["flooder"] < 500
    naive, _ = trial.play(EngineDefault, polite, flooder)
    assert naive.good_milli["polite"] < 100


def test_own_apps_take_only_what_customers_leave(trial: Trial) -> None:
    customer = Crowd("customer", 700)
    app = Crowd("app", 3000, first_party=True)
    found, _ = trial.play(desk(trial), customer, app)
    assert found.good_milli["customer"] >= 950
    stranger, _ = trial.play(desk(trial), customer, replace(app, first_party=False))
    assert stranger.good_milli["customer"] < found.good_milli["customer"]


def test_who_comes_back_when_told_finds_room(trial: Trial) -> None:
    burst = Crowd("burst", 3000, from_milli=300, to_milli=360)
    _, seen = trial.play(desk(trial), Crowd("steady", 500), burst, returns=1)
    assert seen.retried > 30
    assert seen.served_at_first_retry * 10 >= seen.retried * 6


def test_the_same_seed_gives_the_same_figures(trial: Trial) -> None:
    again = Trial(drawn_serving(2), 2, calls=500)
    assert again.carried == trial.carried
    crowd = Crowd("all", 1500)
    assert again.play(desk(again), crowd)[0] == trial.play(desk(trial), crowd)[0]


def test_a_report_names_what_was_reached_and_what_was_not(trial: Trial) -> None:
    goodput = {name: tuple(range(len(LOADS_MILLI))) for name in POLICIES}

    def row(milli: int) -> ServerRow:
        return ServerRow(1, trial.carried, goodput, {goal.name: milli for goal in GOALS})

    study = Study((row(0), row(960), row(960)))
    document = json.loads(json.dumps(study.document()))
    kept = document["goals"][GOALS[0].name]
    assert (kept["median_milli"], kept["worst_milli"], kept["reached"]) == (960, 0, 2)
    cost = document["goals"][GOALS[-2].name]
    assert (cost["worst_milli"], cost["reached"]) == (960, 1)
    text = "\n".join(study.lines())
    assert "2 of 3  >= 95" in text
    assert DESK in text
    assert DESK in svg(study.chart())


def test_the_cost_of_a_decision_is_told_for_every_case() -> None:
    report = run_admission(20, 1, lambda *_: None)
    assert report.document()["goals"] == {"decision_us": 50}
    assert [name for name in CASES if f"  {name} " in "\n".join(report.lines())] == list(CASES)
    assert report.exact
