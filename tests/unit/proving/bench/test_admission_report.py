"""What is said of a decision's cost and of a long run that showed nothing."""

import pytest

from tokenbooth.proving.bench.admission import GOAL_US, AdmissionReport
from tokenbooth.proving.bench.books import Books, machine_load
from tokenbooth.proving.bench.soak import SETTLED_AFTER_MINUTES, Minute, SoakOptions, SoakReport

SOUND = {"calls": 3, "running": 0, "spent_nano": 7, "charges_nano": 7, "problems": ()}


def soak(minutes: int, pss: int) -> SoakReport:
    quiet = Minute(calls=1, streams=1, failed=0, failure="", busy_percent=1, rss=pss, pss=pss)
    return SoakReport(
        options=SoakOptions(minutes=minutes),
        rates={},
        minutes=(quiet,) * minutes,
        books=Books(**SOUND),
        calls=3,
        load_before="",
        load_after="",
    )


def test_the_middle_window_is_the_figure_and_the_worst_stands_beside_it() -> None:
    report = AdmissionReport(10, {"one": [9.0, 30.04, 10.0], "two": [1.0]}, "0.10")
    assert report.document()["cases"] == {
        "one": {"decision_us": 10.0, "worst_us": 30.0},
        "two": {"decision_us": 1.0, "worst_us": 1.0},
    }
    head, first, second, load = report.lines()
    assert f"goal {GOAL_US} us" in head
    assert ("one" in first, "two" in second, "0.10" in load) == (True, True, True)


@pytest.mark.parametrize(
    "wrong",
    [{"running": 1}, {"spent_nano": 8}, {"charges_nano": 6}, {"problems": ("a gap",)}],
)
def test_books_are_sound_only_to_the_nano_with_nothing_open_and_nothing_wrong(
    wrong: dict[str, object],
) -> None:
    assert Books(**SOUND).sound
    assert not Books(**(SOUND | wrong)).sound


def test_a_load_is_told_as_uptime_does() -> None:
    assert machine_load((0.5, 12.0, 3.456)) == "0.50 12.00 3.46"


def test_a_long_run_whose_memory_could_not_be_read_has_not_passed() -> None:
    assert soak(SETTLED_AFTER_MINUTES, 0).passed, "too short to judge memory by"
    unread = soak(SETTLED_AFTER_MINUTES + 1, 0)
    assert unread.drift_percent is None
    assert not unread.passed
    assert soak(SETTLED_AFTER_MINUTES + 1, 100).passed
