"""Parts of the season that its own run does not show: what happens when something is not so."""

import pytest

from tests.support.ops import START_US
from tests.support.stores import lay_out
from tokenbooth.control.launch_report import ReadinessAsk, file_of
from tokenbooth.launch.readiness.service import Forecast, Verdict
from tokenbooth.launch.stages.service import Stage
from tokenbooth.proving.launching.builds import Build, Fault
from tokenbooth.proving.launching.lab import open_lab
from tokenbooth.proving.launching.programmes import Trial, programme
from tokenbooth.proving.launching.servers import capacity, quality
from tokenbooth.proving.launching.tamper import go_until_tampered


def test_the_search_finds_the_same_rate_for_the_same_seed() -> None:
    found = capacity(3)
    assert found == capacity(3)
    assert found.calls_per_ks > 0
    assert found.low_ppm >= 950_000
    assert found.body(2)["calls_per_ks"] == 2 * found.calls_per_ks


@pytest.mark.parametrize("fault_at", [0, 8, 64])
def test_a_fault_at_one_batch_is_found_at_that_batch(fault_at: int) -> None:
    found = quality(5, 0.95, fault_at=fault_at)
    assert found.first_failing == fault_at
    assert found.body()["passed"] is (fault_at == 0)


def test_nothing_is_tampered_with_before_there_is_a_go() -> None:
    with open_lab(0, START_US, lay_out) as lab:
        lab.offer("demo", {})
        with lab.tx() as tx:
            file = file_of(lab.op(), tx, ReadinessAsk(model="demo", stage=Stage.GA), lab.desk)
            with pytest.raises(ValueError, match="no GO"):
                go_until_tampered(lab, tx, file)


def test_a_programme_is_a_function_of_its_seed() -> None:
    assert programme(7) == programme(7)
    assert programme(7) != programme(8)


@pytest.mark.parametrize(
    ("found", "covered", "late"),
    [
        (Forecast(0, 5, 9), False, True),
        (Forecast(0, 5, 10), True, False),
        (Forecast(11, 12, 13), False, False),
        (Forecast(10, 12, None), True, False),
    ],
)
def test_a_trial_is_covered_between_its_ends(found: Forecast, covered: bool, late: bool) -> None:
    trial = Trial(1, 0, 10, found)
    assert (trial.covered, trial.late) == (covered, late)


@pytest.mark.parametrize(
    ("verdict", "named", "right"),
    [
        (Verdict.NO_GO, "a", True),
        (Verdict.NO_GO, "b", False),
        (Verdict.GO, None, False),
    ],
)
def test_a_build_is_right_by_its_first_blocker(
    verdict: Verdict, named: str | None, right: bool
) -> None:
    assert Build(1, Stage.GA, {"a": Fault.OLD}, "a", verdict, named).right is right
