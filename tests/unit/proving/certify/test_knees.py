"""Knees and planted faults in small: schedules, truths that are known by hand, and reports."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.proving.certify import knees
from tokenbooth.proving.certify.faults import (
    FAULTS,
    PPM,
    FaultReport,
    above_half,
    cut_under_load,
    no_fault,
    one_batch,
    prove_faults,
)
from tokenbooth.proving.certify.knees import KneeFound, KneeReport, knee_of, prove_knees, schedule
from tokenbooth.proving.serving.shape import (
    Lengths,
    ServerShape,
    SimulatedServing,
    Slo,
    Workload,
    drawn_serving,
)
from tokenbooth.verify.dice.service import Dice
from tokenbooth.verify.search.service import Purpose, Run

STEP_US = 10_000
ONE = Lengths(1, 0, 8)
TINY = SimulatedServing(
    ServerShape(1, STEP_US, 0, 1, 64, 10_000, preempts=False),
    Workload(ONE, Lengths(10, 0, 10)),
    Slo(500_000, 4 * STEP_US),
)
RUN = Run(Purpose.PROBE, 5_000, 7, 60)
FOUND = KneeFound(1, 10_000, 9_500, 960_000, 2_000, 2)


@pytest.fixture
def short_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Truths from runs of hundreds of calls, not of thousands."""
    monkeypatch.setattr(knees, "TRUTH_CALLS", 300)
    monkeypatch.setattr(knees, "TRUTH_WARM", 50)
    monkeypatch.setattr(knees, "ROUGH_CALLS", 200)
    monkeypatch.setattr(knees, "TRUTH_STEP", 1.05)


def test_a_schedule_has_the_calls_of_its_run_in_order_and_in_their_time() -> None:
    calls = schedule(drawn_serving(3), RUN, Dice(1, "x"))
    assert len(calls) == RUN.warm_calls + RUN.calls
    moments = [call.sent_us for call in calls]
    assert moments == sorted(moments)
    assert moments[-1] <= len(calls) * 1_000_000_000 // RUN.calls_per_ks


def test_the_same_dice_make_the_same_schedule_and_others_another() -> None:
    serving = drawn_serving(3)

    def made(name: str) -> list[tuple[int, int, int]]:
        calls = schedule(serving, RUN, Dice(1, name))
        return [(call.sent_us, call.input_tokens, call.output_tokens) for call in calls]

    assert made("x") == made("x")
    assert made("x") != made("y")


def test_every_run_has_the_whole_mixture_of_lengths_whatever_the_dice() -> None:
    """Only the order is luck: else a run of short answers would pass for a fast server."""
    serving = drawn_serving(3)

    def mixture(seed: int) -> Counter[int]:
        return Counter(call.output_tokens for call in schedule(serving, RUN, Dice(seed, "x")))

    assert mixture(1) == mixture(2)
    assert len(mixture(1)) > 10


@given(
    middle=st.integers(1, 2_000),
    sigma=st.integers(0, 1_500),
    most=st.integers(1, 4_000),
    count=st.integers(1, 80),
)
@settings(max_examples=40)
def test_a_deck_keeps_its_bounds_and_its_median(
    middle: int, sigma: int, most: int, count: int
) -> None:
    deck = knees._deck(Lengths(middle, sigma, most), count, Dice(1, "deck"))
    assert len(deck) == count
    assert all(1 <= tokens <= most for tokens in deck)
    if most >= middle and count % 2:
        assert median(deck) == middle


def test_the_knee_of_a_server_for_one_call_is_below_what_it_can_do_at_all(
    short_truth: None,
) -> None:
    """Ten steps a call and one call at once: ten calls a second, less what queues take."""
    at_all = 1_000_000_000 // (10 * STEP_US)
    assert 0.6 * at_all < knee_of(TINY) < 1.1 * at_all


def test_a_server_twice_as_fast_has_twice_the_knee(short_truth: None) -> None:
    fast = replace(
        TINY,
        shape=replace(TINY.shape, step_us=STEP_US // 2),
        slo=Slo(TINY.slo.ttft_us // 2, TINY.slo.tpot_us // 2),
    )
    assert knee_of(fast) / knee_of(TINY) == pytest.approx(2, rel=0.12)


def test_a_longer_wait_allowed_never_lowers_the_knee(short_truth: None) -> None:
    found = [knee_of(replace(TINY, slo=Slo(wait, 4 * STEP_US))) for wait in (200_000, 1_000_000)]
    assert found[0] < found[1]


def test_the_search_finds_the_knee_of_a_small_server(
    short_truth: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knees, "drawn_serving", lambda _seed: TINY)
    report = prove_knees(1, seed=5, workers=1)
    assert [each.seed for each in report.found] == [5]
    for each in report.found:
        assert abs(each.error_ppm) < 200_000
        assert each.calls <= 6_000
        assert each.confirms >= 1
        assert each.true_ppm > 900_000


def test_an_error_is_the_part_by_which_the_certified_rate_is_off() -> None:
    assert FOUND.error_ppm == -50_000
    assert replace(FOUND, certified_per_ks=11_000).error_ppm == 100_000
    assert replace(FOUND, certified_per_ks=0).error_ppm == -PPM


def test_a_report_counts_what_missed_its_goals() -> None:
    report = KneeReport(
        (
            FOUND,
            replace(FOUND, seed=2, certified_per_ks=12_000, true_ppm=800_000, calls=4_000),
            replace(FOUND, seed=3, certified_per_ks=0, true_ppm=PPM, calls=3_000),
            replace(FOUND, seed=4, true_ppm=940_000),
        )
    )
    said = report.document()
    assert said["servers"] == 4
    assert said["median_error_ppm"] == 125_000
    assert said["median_bias_ppm"] == -50_000
    assert said["within_15_percent"] == 2
    assert said["nothing_certified"] == 1
    assert said["over_2_points_below"] == 1
    assert said["below_promise"] == 2
    assert (said["median_calls"], said["most_calls"]) == (2_500, 4_000)
    assert isinstance(said["each"], list)
    assert [each["seed"] for each in said["each"]] == [1, 2, 3, 4]


def test_the_lines_of_a_report_hold_each_figure_beside_its_goal() -> None:
    first, *lines = KneeReport((FOUND,)).lines()
    assert first == "1 simulated servers"
    assert len(lines) == 8
    by_name = {line[:24].strip(): line for line in lines}
    assert "50,000" in by_name["median error ppm"]
    assert "goal: 60,000 at most" in by_name["median error ppm"]
    assert "-50,000" in by_name["median bias ppm"]
    assert "goal" not in by_name["median bias ppm"]


@pytest.mark.parametrize(
    ("fault", "spoiled", "fine"),
    [
        (one_batch, [(64, 100), (64, 64)], [(63, 100), (65, 100), (128, 200)]),
        (above_half, [(51, 100), (100, 100)], [(50, 100), (1, 100)]),
        (cut_under_load, [(91, 100), (120, 100)], [(90, 100), (50, 100)]),
        (no_fault, [], [(1, 1), (64, 100), (250, 100)]),
    ],
)
def test_a_fault_spoils_only_where_it_was_planted(
    fault: object, spoiled: list[tuple[int, int]], fine: list[tuple[int, int]]
) -> None:
    assert callable(fault)
    assert all(fault(*place) > 0 for place in spoiled)
    assert all(fault(*place) == 0 for place in fine)


def test_the_same_seed_stops_the_same_certificates() -> None:
    one, two = prove_faults(1, seed=11), prove_faults(1, seed=11)
    assert one == two
    assert set(one.stopped) == set(FAULTS)
    assert 200 <= one.probes <= 1_000


def test_a_report_of_faults_tells_goals_of_both_directions() -> None:
    report = FaultReport(20, {"none": 1, "wrong at batch 64": 19}, 300)
    none, wrong = report.lines()
    assert "1 of 20 stopped   (goal: 5 % at most)" in none
    assert "19 of 20 stopped   (goal: 95 % at least)" in wrong
    assert report.document() == {
        "object": "fault_proof",
        "trials": 20,
        "stopped": {"none": 1, "wrong at batch 64": 19},
        "median_probes": 300,
    }


def test_times_of_calls_in_a_row_never_go_back() -> None:
    calls = schedule(TINY, replace(RUN, calls_per_ks=10**9), Dice(1, "fast"))
    assert all(one.sent_us <= two.sent_us for one, two in pairwise(calls))
