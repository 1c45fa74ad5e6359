"""Rows of figures from windows that are written down here."""

import pytest

from tokenbooth.proving.bench.gateway import rows
from tokenbooth.proving.bench.gateway.plan import GatewayOptions, Load, Side, WindowSeen
from tokenbooth.proving.bench.gateway.rows import Cost, Goal, Row, Verdict

OPTIONS = GatewayOptions(short_steps=8, long_steps=72, streams_at_once=256, pause_ms=20)
S = 1_000_000_000


def window(side: Side = Side.BOOTH, load: Load = Load.WHOLE, **fields: object) -> WindowSeen:
    """A second in which a full core gave 10,000 answers of 100 us."""
    plain: dict[str, object] = {
        "wall_ns": S,
        "answers": 10_000,
        "answers_all": 20_000,
        "failed": 0,
        "failure": "",
        "chunks": 12_800,
        "reads": 12_800,
        "ran_ns": S,
        "waited_ns": 0,
        "others_ns": 0,
        "others_all_ns": 0,
    }
    return WindowSeen(side=side, load=load, **{**plain, **fields})  # type: ignore[arg-type]


def streams(ran_ns: int, load: Load = Load.LONG, side: Side = Side.BOOTH, chunks: int = 12_800):
    return window(side, load, ran_ns=ran_ns, chunks=chunks)


def test_cpu_of_a_call_is_that_of_the_window() -> None:
    assert rows.request_us(window()) == 100
    assert rows.request_us(window(answers=0)) == 0
    assert rows.per_s(window(wall_ns=S // 2)) == 20_000
    assert rows.per_s(window(wall_ns=0)) == 0


def test_other_processes_are_counted_over_every_answer() -> None:
    assert rows.request_all_us(window(others_all_ns=S)) == 100 + 50
    assert rows.request_all_us(window(others_all_ns=S, answers_all=0)) == 100


@pytest.mark.parametrize(
    ("ran_ns", "others_ns", "full"),
    [(900_000_000, 0, True), (899_000_000, 0, False), (700_000_000, 200_000_000, True)],
)
def test_a_window_counts_where_the_core_was_full(ran_ns: int, others_ns: int, full: bool) -> None:
    assert rows.counts(window(ran_ns=ran_ns, others_ns=others_ns)) is full
    assert not rows.counts(window(ran_ns=ran_ns, others_ns=others_ns, wall_ns=0))


def test_time_without_a_core_is_told() -> None:
    assert rows.waiting(window(waited_ns=S // 4)) == 0.25
    assert rows.waiting(window(waited_ns=1, wall_ns=0)) == 0


def test_a_chunk_costs_what_a_long_stream_costs_more() -> None:
    """A stream is 300 us and 20 us for each chunk."""
    short = streams((300 + 8 * 20) * 1000 * 100, Load.SHORT, chunks=800)
    long = streams((300 + 72 * 20) * 1000 * 100, chunks=7200)
    assert rows.stream_us(short, 8) == 460
    assert rows.chunk_us(short, long, OPTIONS) == pytest.approx(20)
    assert rows.stream_us(window(chunks=0), 8) == 0


@pytest.mark.parametrize(
    ("chunks", "ran_ns", "good"),
    [(11_520, 10, True), (11_000, 10, False), (100, S, True)],
)
def test_streams_keep_their_pace_or_fill_the_core(chunks: int, ran_ns: int, good: bool) -> None:
    """256 streams with a chunk every 20 ms are 12,800 chunks a second."""
    assert rows.on_pace(streams(ran_ns, chunks=chunks), OPTIONS) is good


def test_costs_of_chunks_are_told_round_by_round() -> None:
    windows = [
        streams((300 + steps * cost) * 1000 * 12_800 // steps, load, chunks=12_800)
        for cost in (20, 30)
        for load, steps in ((Load.SHORT, 8), (Load.LONG, 72))
    ]
    found = rows.chunk_costs(windows, Side.BOOTH, OPTIONS, translated=False)
    assert [cost.us for cost in found] == pytest.approx([20, 30], abs=0.1)
    assert all(cost.counts for cost in found)
    assert rows.chunk_costs(windows, Side.BOOTH, OPTIONS, translated=True) == ()
    assert rows.chunk_costs(windows, Side.NGINX, OPTIONS, translated=False) == ()


def test_a_cost_below_zero_is_noise() -> None:
    windows = [streams(S, Load.SHORT), streams(S // 100, Load.LONG)]
    (cost,) = rows.chunk_costs(windows, Side.BOOTH, OPTIONS, translated=False)
    assert cost.us < 0
    assert not cost.counts


def test_a_row_takes_what_counts() -> None:
    assert rows.row([3.0, 1.0, 9.0], [True, True, False]) == Row(2.0, 2.0, 2, 3)
    assert rows.row([3.0, 1.0, 9.0]) == Row(3.0, 8.0, 3, 3)


def test_a_row_of_which_nothing_counts_is_told_and_does_not_count() -> None:
    found = rows.row([3.0, 1.0], [False, False])
    assert found == Row(2.0, 2.0, 0, 2)
    assert not found.counts
    assert rows.row([]) == Row(None)
    assert not rows.row([]).counts
    assert found.document() == {
        "value": 2.0,
        "spread": 2.0,
        "counts": False,
        "windows_counted": 0,
        "windows": 2,
    }


def test_a_multiple_is_of_neighbours() -> None:
    """The machine halves its speed in between, and the multiple does not see it."""
    ours = [window(ran_ns=S), window(ran_ns=S, answers=5_000)]
    nginx = [window(ran_ns=S, answers=40_000), window(ran_ns=S, answers=20_000)]
    assert rows.multiple(ours, nginx, rows.request_us) == Row(4.0, 0.0, 2, 2)


def test_a_multiple_counts_where_both_neighbours_do() -> None:
    ours = [window(), window(answers=1_000)]
    nginx = [window(answers=40_000), window(wall_ns=2 * S, answers=40_000)]
    assert rows.multiple(ours, nginx, rows.request_us) == Row(4.0, 0.0, 1, 2)
    assert rows.multiple(ours, [window(answers=0)], rows.request_us) == Row(None)


def test_a_multiple_of_chunks_leaves_out_what_is_none() -> None:
    ours = (Cost(30, counts=True), Cost(40, counts=True), Cost(50, counts=True))
    nginx = (Cost(20, counts=True), Cost(-1, counts=False), Cost(20, counts=False))
    assert rows.multiple_of(ours, nginx) == Row(1.5, 0.0, 1, 2)
    assert rows.cost_row(nginx) == Row(20, 0.0, 1, 3)


def test_times_of_all_windows_are_one_pool() -> None:
    windows = [window(first_us=(1, 2)), window(first_us=(3, 100), whole_us=(7,))]
    assert rows.pooled_us(windows, 50, first=True) == 2
    assert rows.pooled_us(windows, 99, first=True) == 100
    assert rows.pooled_us(windows, 50, first=False) == 7


def test_a_late_proxy_means_a_busy_machine() -> None:
    assert rows.in_time([window(first_us=(100, 5000))])
    assert not rows.in_time([window(first_us=(100, 5001))])
    assert not rows.in_time([])


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (None, Verdict.NONE),
        (2.2, Verdict.STRETCH),
        (2.3, Verdict.MET),
        (3.0, Verdict.MET),
        (3.01, Verdict.MISSED),
    ],
)
def test_a_goal_is_met_or_missed(value: float | None, verdict: Verdict) -> None:
    assert Goal(name="x", value=value, must=3.0, stretch=2.2).verdict is verdict


def test_a_figure_that_does_not_count_meets_nothing() -> None:
    found = Goal(name="x", value=1.0, must=3.0, stretch=2.2, counts=False)
    assert found.verdict is Verdict.NOISE
    assert found.document()["verdict"] == "does not count"


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(149, Verdict.MISSED), (150, Verdict.MET), (300, Verdict.STRETCH)],
)
def test_where_more_is_better(value: float, verdict: Verdict) -> None:
    goal = Goal(name="x", value=value, must=150, stretch=300, higher=True)
    assert goal.verdict is verdict
