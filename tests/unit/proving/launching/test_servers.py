"""Simulated servers, the stampede on one of them, and launch programmes of few seeds."""

from dataclasses import replace

import pytest

from tokenbooth.core.days import US_PER_DAY
from tokenbooth.launch.readiness.service import Forecast
from tokenbooth.proving.launching import crush as crushing
from tokenbooth.proving.launching import programmes
from tokenbooth.proving.launching.crush import Crush, crush
from tokenbooth.proving.launching.programmes import START_US, Trial, coverage, programme
from tokenbooth.proving.launching.servers import (
    BATCHES,
    PROBES,
    SERVING,
    Capacity,
    Quality,
    capacity,
    quality,
)
from tokenbooth.proving.serving.shape import Slo

GOOD = Crush(polite=970, crowd=1, goodput=950, ttft_p99_ms=2000)


def test_a_server_that_is_too_slow_for_its_promise_is_certified_for_nothing() -> None:
    hopeless = replace(SERVING, slo=Slo(ttft_us=1, tpot_us=1))
    found = capacity(1, hopeless)
    assert (found.calls_per_ks, found.low_ppm) == (0, 0)
    assert found.calls > 0, "it was tried"
    assert found.body(3)["calls_per_ks"] == 0


def test_a_slower_promise_lets_more_in() -> None:
    strict, wide = (replace(SERVING, slo=Slo(2_000_000, tpot)) for tpot in (22_000, 60_000))
    assert 0 < capacity(1, strict).calls_per_ks < capacity(1, wide).calls_per_ks


@pytest.mark.parametrize("replicas", [1, 2, 7])
def test_replicas_carry_as_much_as_one_each_and_share_its_attainment(replicas: int) -> None:
    found = Capacity(1000, 951_999, 400)
    assert found.body(replicas) == {
        "calls_per_ks": 1000 * replicas,
        "attainment_permille": 951,
        "replicas": replicas,
        "calls": 400,
    }


@pytest.mark.parametrize(("skill", "score"), [(0.0, 0), (1.0, 1000)])
def test_a_model_that_is_always_right_or_never_has_that_score(skill: float, score: int) -> None:
    found = quality(3, skill, fault_at=0)
    assert found == Quality(score_permille=score, first_failing=0, loss_ppm=0)


def test_whoever_knows_nothing_has_nothing_to_lose() -> None:
    assert quality(3, 0.0, fault_at=64).first_failing == 0


def test_a_score_is_a_function_of_its_seed_and_near_the_skill() -> None:
    assert quality(8, 0.9, fault_at=8) == quality(8, 0.9, fault_at=8)
    scores = {quality(seed, 0.9, fault_at=0).score_permille for seed in range(4)}
    assert len(scores) > 1
    assert all(840 < score < 960 for score in scores)


@pytest.mark.parametrize("fault_at", [1, 3, 65, 10_000])
def test_a_fault_at_a_batch_that_is_never_asked_is_not_found(fault_at: int) -> None:
    assert fault_at not in BATCHES
    assert quality(5, 0.95, fault_at=fault_at).first_failing == 0


def test_a_server_with_few_slots_never_meets_a_fault_of_large_batches() -> None:
    """Sixty-four that come at once are decoded sixteen at a time, and these are fine."""
    small = replace(SERVING, shape=replace(SERVING.shape, slots=16))
    assert quality(5, 0.95, fault_at=64, serving=small).first_failing == 0
    assert quality(5, 0.95, fault_at=16, serving=small).first_failing == 16


def test_evidence_of_a_fault_says_that_it_did_not_pass_and_where() -> None:
    body = Quality(score_permille=940, first_failing=8, loss_ppm=140_000).body()
    assert (body["passed"], body["parity_under_load"]) == (False, False)
    assert (body["first_failing_batch"], body["probes"]) == (8, PROBES)


@pytest.mark.parametrize(
    ("worse", "passed"),
    [
        ({}, True),
        ({"polite": 969}, False),
        ({"goodput": 949}, False),
        ({"ttft_p99_ms": 2001}, False),
        ({"crowd": 0}, True),
    ],
)
def test_a_stampede_is_survived_at_its_bounds_and_not_beyond(
    worse: dict[str, int], passed: bool
) -> None:
    assert replace(GOOD, **worse).passed is passed


def test_what_is_said_of_a_stampede_are_its_figures() -> None:
    said = " ".join(GOOD.said())
    assert all(each in said for each in ("95.0 %", "97.0 %", "0.1 %", "2000 ms"))
    assert GOOD.body() == {"load_milli": 3000, "kept_milli": 950, "polite_permille": 970}
    assert set(GOOD.facts().values()) == {970, 1, 950, 2000}


def test_a_short_stampede_spares_the_polite_and_goes_on_with_its_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crushing, "RUN_US", 45_000_000)
    monkeypatch.setattr(crushing, "WARM_US", 10_000_000)
    monkeypatch.setattr(crushing, "capacity", lambda seed: Capacity(11_000, 0, 0))
    found = crush(1)
    assert found.polite > found.crowd > 0
    assert found.goodput > 500


def test_a_stampede_at_a_server_that_serves_nobody_is_not_survived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crushing, "RUN_US", 30_000_000)
    monkeypatch.setattr(crushing, "WARM_US", 10_000_000)
    monkeypatch.setattr(crushing, "capacity", lambda seed: Capacity(11_000, 0, 0))
    monkeypatch.setattr(crushing, "SERVING", replace(SERVING, slo=Slo(1, 1)))
    found = crush(1)
    assert (found.goodput, found.polite, found.passed) == (0, 0, False)


@pytest.fixture(scope="module")
def trials() -> tuple[tuple[Trial, ...], int]:
    return coverage(0, 6)


def test_as_many_programmes_are_counted_as_were_asked_for(
    trials: tuple[tuple[Trial, ...], int],
) -> None:
    found, unknown = trials
    assert len(found) == 6
    assert unknown >= 0
    seeds = [trial.seed % 10**6 for trial in found]
    assert seeds == sorted(set(seeds))
    assert seeds[-1] < 6 + unknown


def test_what_is_asked_lies_before_what_comes_true(
    trials: tuple[tuple[Trial, ...], int],
) -> None:
    for trial in trials[0]:
        assert START_US < trial.asked_us <= trial.true_us
        assert trial.asked_us <= trial.found.early_us <= trial.found.likely_us
        assert (trial.true_us - START_US) % US_PER_DAY == 0, "it is seen on a day"


def test_a_programme_is_covered_late_or_early_and_never_two_of_them(
    trials: tuple[tuple[Trial, ...], int],
) -> None:
    for trial in trials[0]:
        early = trial.true_us < trial.found.early_us
        assert trial.covered + trial.late + early == 1


def test_a_programme_without_a_forecast_is_counted_beside_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = Trial(0, 0, 10, Forecast(0, 5, 20))
    monkeypatch.setattr(programmes, "programme", lambda seed: told if seed % 3 == 0 else None)
    assert coverage(1, 2) == ((told, told), 4)
    assert coverage(0, 0) == ((), 0)


def test_where_no_forecast_is_made_there_is_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programmes, "forecast", lambda ways, ratios, now_us: "nobody can tell")
    assert programme(1) is None


def test_a_programme_that_never_comes_true_ends_with_its_simulation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its truth is then the last day, which is later than a forecast that ends before."""
    monkeypatch.setattr(programmes, "DAYS_MAX", 130)
    seen = [trial for trial in map(programme, range(4)) if trial is not None]
    assert seen
    assert all(trial.true_us <= START_US + 130 * US_PER_DAY for trial in seen)
