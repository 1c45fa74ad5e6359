"""Verdicts, room, demand, trends, promises and forecasts, on values alone."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.launches import CASE, GATE, HOUR_US, KEY, NOW_US, STRANGER, piece
from tests.unit.launch.test_stages import standing
from tokenbooth.core.days import US_PER_DAY
from tokenbooth.launch.gates.rules import judge
from tokenbooth.launch.gates.service import Mark, Need, Outcome, Sense, Waiver
from tokenbooth.launch.readiness.forecast import passage
from tokenbooth.launch.readiness.rules import HISTORY_MAX
from tokenbooth.launch.readiness.service import (
    Forecast,
    Point,
    Trend,
    Verdict,
    Way,
    demand_milli,
    forecast,
    history_of,
    line_of,
    room_of,
    trend_of,
    verdict_of,
)
from tokenbooth.launch.slips.rules import RATIO_MAX_PERMILLE, ratios_permille, slipped_us
from tokenbooth.launch.slips.service import Promise
from tokenbooth.launch.stages.service import Stage

WAIVER = Waiver(
    model="m",
    stage=Stage.GA,
    gate="capacity",
    owner="Ada",
    reason="so",
    expires_us=NOW_US + 1,
    granted_us=NOW_US,
    granted_by="operator",
)
MARKS = st.sampled_from(Mark)


def outcome(mark: Mark) -> Outcome:
    return Outcome(gate=GATE, mark=mark)


@given(st.lists(st.tuples(MARKS, st.booleans()), max_size=6))
def test_anything_but_pass_is_a_no_unless_waived(found: list[tuple[Mark, bool]]) -> None:
    verdict = verdict_of([(outcome(mark), WAIVER if waived else None) for mark, waived in found])
    good = all(mark is Mark.PASS or waived for mark, waived in found)
    assert (verdict is Verdict.GO) == good


def test_a_waiver_counts_for_its_own_gate_and_edge_and_only_where_it_is_needed() -> None:
    def waiver_of(mark: Mark, stage: Stage, *waivers: Waiver) -> Waiver | None:
        return line_of(stage, outcome(mark), (), waivers).waiver

    newer = replace(WAIVER, owner="Bo")
    assert waiver_of(Mark.FAIL, Stage.GA, WAIVER, newer) is newer
    assert waiver_of(Mark.PASS, Stage.GA, WAIVER) is None
    assert waiver_of(Mark.FAIL, Stage.PUBLIC_PREVIEW, WAIVER) is None
    assert waiver_of(Mark.FAIL, Stage.GA, replace(WAIVER, gate="other")) is None


def test_margins_are_remembered_over_builds_but_not_those_of_void_evidence() -> None:
    body = {"calls_per_ks": 500, "tail": {"ms": 100}, "passed": False}
    pieces = [
        piece(body, age_h=9, subject={"model": "m", "fingerprint": "fp_0"}),
        piece(age_h=3),
        piece(age_h=200, valid_h=1),
        piece(age_h=2, key=STRANGER),
        piece(age_h=1, revoked_h_ago=0),
        piece(age_h=1, kind="other/1"),
    ]
    found = history_of(GATE, pieces, CASE)
    assert [point.margin_permille for point in found] == [500, -500, 500]
    assert [NOW_US - point.time_us for point in found] == [200 * HOUR_US, 9 * HOUR_US, 3 * HOUR_US]
    yes_or_no = replace(GATE, needs=(Need(figure="passed", sense=Sense.IS, bound=True),))
    assert [p.margin_permille for p in history_of(yes_or_no, pieces, CASE)] == [0, -1000, 0]


def points(*margins: int, days: int = 3) -> tuple[Point, ...]:
    return tuple(Point(n * days * US_PER_DAY, margin) for n, margin in enumerate(margins))


@pytest.mark.parametrize(
    ("margins", "trend"),
    [
        ((), Trend.UNKNOWN),
        ((-5, 100), Trend.UNKNOWN),
        ((-300, -200, -100), Trend.CONVERGING),
        ((-100, -200, -300), Trend.DIVERGING),
        ((-100, 900, -95), Trend.FLAT),
    ],
)
def test_a_trend_is_of_halves(margins: tuple[int, ...], trend: Trend) -> None:
    assert trend_of(points(*margins)) is trend


def test_a_line_shows_a_bounded_history() -> None:
    line = line_of(Stage.GA, outcome(Mark.FAIL), points(*range(100)), ())
    assert len(line.history) == HISTORY_MAX
    assert line.trend is Trend.FLAT


def test_demand_is_the_95th_of_a_hundred_busy_minutes() -> None:
    minutes = {"a": list(range(1, 35)), "b": list(range(35, 69)), "c": list(range(69, 101))}
    assert demand_milli(minutes) == -(-95 * 1000 // 60)
    assert demand_milli({"a": [1] * 40, "b": [1] * 40, "c": [1] * 20}) == 17
    assert demand_milli({"a": [1] * 500, "b": [1]}) is None
    assert demand_milli({"a": [1] * 33, "b": [1] * 33, "c": [1] * 33}) is None


@given(
    rate=st.integers(0, 10**6),
    replicas=st.integers(1, 50),
    demand=st.integers(1, 10**4),
    admitted=st.integers(0, 500),
    population=st.integers(0, 10**4),
)
def test_whoever_is_invited_still_fits_into_70_percent(
    rate: int, replicas: int, demand: int, admitted: int, population: int
) -> None:
    room = room_of(
        certified=(rate, replicas), demand=(demand, False), admitted=admitted, population=population
    )
    assert room.admissible is not None
    fill = rate * 700 // 1000
    assert room.admissible * demand <= fill < (room.admissible + 1) * demand
    assert room.invite == max(0, room.admissible - admitted)
    per_replica = rate * 700 // replicas
    if per_replica:
        assert room.replicas_needed is not None
        wanted = population * demand * 1000
        assert room.replicas_needed * per_replica >= wanted
        assert (room.replicas_needed - 1) * per_replica < max(wanted, 1)


@pytest.mark.parametrize(("certified", "demand"), [(None, (5, True)), ((5, 1), None), (None, None)])
def test_room_is_unknown_where_a_part_of_it_is(
    certified: tuple[int, int] | None, demand: tuple[int, bool] | None
) -> None:
    room = room_of(certified=certified, demand=demand, admitted=1, population=2)
    assert (room.admissible, room.invite, room.replicas_needed) == (None, None, None)


def promise(said_day: int, by_day: int, stage: Stage = Stage.GA) -> Promise:
    return Promise(
        model="m",
        stage=stage,
        promised_us=by_day * US_PER_DAY,
        early_us=None,
        late_us=None,
        reason="so",
        said_us=said_day * US_PER_DAY,
        author="operator",
    )


def test_promises_stretch_by_what_they_took() -> None:
    history = [
        standing(Stage.PUBLIC_PREVIEW, effective_us=10 * US_PER_DAY),
        standing(Stage.GA, effective_us=30 * US_PER_DAY),
    ]
    kept = [promise(0, 20), promise(20, 25), promise(0, 10, Stage.PRIVATE_PREVIEW)]
    assert ratios_permille(kept, history) == (1500, 2000, 1000)
    assert ratios_permille([promise(40, 50), promise(20, 20)], history) == ()
    late = [standing(Stage.GA, effective_us=10**6 * US_PER_DAY)]
    assert ratios_permille([promise(0, 1)], late) == (RATIO_MAX_PERMILLE,)
    assert slipped_us(kept[:2]) == 5 * US_PER_DAY
    assert slipped_us([]) == 0


RATIOS = (1000, 1200, 1400, 1600, 2000)


def test_a_forecast_without_anything_in_the_way_is_now() -> None:
    assert forecast([], (), 7) == Forecast(7, 7, 7)


def test_thin_evidence_gives_no_date() -> None:
    assert isinstance(forecast([Way("a", (), 5)], RATIOS[:4], 0), str)
    assert isinstance(forecast([Way("a", points(-9, -8, -7, -6), 0)], RATIOS, 0), str)
    found = forecast([Way("capacity", (), 5), Way("b", (), 0)], RATIOS, 0)
    assert isinstance(found, str)
    assert found.startswith("b: fewer than 5 measurements")


def test_lead_times_stretch_as_promises_did() -> None:
    found = forecast([Way("a", (), 10)], RATIOS, 0)
    assert isinstance(found, Forecast)
    assert found.late_us is not None
    assert 7 < found.early_us / US_PER_DAY < 12 < found.likely_us / US_PER_DAY < 16
    assert 16 < found.late_us / US_PER_DAY < 30


def test_a_steady_walk_is_forecast_where_it_leads() -> None:
    """From -500 by 50 every three days: 30 days from the start, 12 from the last measurement."""
    way = Way("a", points(-500, -451, -399, -350, -301, -249, -200), 0)
    found = forecast([way], (), 18 * US_PER_DAY)
    assert isinstance(found, Forecast)
    assert found.late_us is not None
    assert 27 * US_PER_DAY < found.early_us <= found.likely_us <= found.late_us < 40 * US_PER_DAY


def test_what_does_not_move_has_no_date() -> None:
    still = Way("a", points(-500, -500, -500, -500, -500, -500), 0)
    for way in (still, Way("a", points(-100, -200, -300, -400, -500), 9)):
        assert forecast([way], RATIOS, 15 * US_PER_DAY) == "a does not move towards its bound"


def test_what_hardly_moves_comes_beyond_the_horizon() -> None:
    slow = Way("a", points(-900_000, -899_999, -899_998, -899_997, -899_996, -899_995), 0)
    assert forecast([slow], (), 15 * US_PER_DAY) == (
        "the measurements hardly move towards their bounds"
    )


def test_a_walk_needs_points_at_different_times_and_below_its_bound() -> None:
    assert passage(points(-5, -4, -3, -2, 0), 0) is None
    assert passage(points(-5, -4, -3, -2, -1, days=0), 0) is None


@settings(max_examples=25)
@given(
    st.lists(st.integers(-900, -10), min_size=5, max_size=12),
    st.integers(0, 40),
    st.integers(1, 60),
)
def test_an_interval_is_in_order_and_one_more_gate_never_makes_it_earlier(
    margins: list[int], later_days: int, lead_days: int
) -> None:
    walk = points(*margins)
    now_us = walk[-1].time_us + later_days * US_PER_DAY
    one = forecast([Way("a", walk, 0)], RATIOS, now_us)
    both = forecast([Way("a", walk, 0), Way("b", (), lead_days)], RATIOS, now_us)
    if isinstance(one, str):
        assert isinstance(both, str)
        return
    assert now_us <= one.early_us <= one.likely_us
    assert one.late_us is None or one.likely_us <= one.late_us
    if isinstance(both, Forecast):
        assert both.early_us >= one.early_us
        assert both.likely_us >= one.likely_us


def test_a_gate_judged_and_shown_is_the_same_gate() -> None:
    line = line_of(Stage.GA, judge(GATE, [piece(key=KEY)], CASE), (), ())
    assert line.gate is GATE
