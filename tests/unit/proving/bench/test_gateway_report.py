"""What the benchmark of the gateway says of windows that are written down here."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.proving.bench.test_gateway_rows import S, window
from tokenbooth.proving.bench.books import Books
from tokenbooth.proving.bench.chart import svg
from tokenbooth.proving.bench.gateway.plan import (
    QUICK,
    GatewayOptions,
    GatewaySaw,
    Load,
    MachineSeen,
    MemorySeen,
    Side,
    WindowSeen,
)
from tokenbooth.proving.bench.gateway.report import GatewayReport

KB, MB = 1024, 1024 * 1024
OPTIONS = GatewayOptions(windows=2, stream_windows=2, rate_windows=1, idle_streams=5000)
MACHINE = MachineSeen(
    cpu="Some CPU",
    cores=2,
    gateway_core=0,
    load_core=1,
    kernel="6.1",
    python="3.11.7",
    versions={"nginx": "1.22.1"},
    load_before="0.1 0.1 0.1",
    load_after="0.9 0.2 0.1",
)


def streams(side: Side, load: Load, cost_us: int) -> WindowSeen:
    """A chunk costs so much, and a stream 300 us beside."""
    steps = OPTIONS.long_steps if load.value.startswith("stream_long") else OPTIONS.short_steps
    return window(side, load, ran_ns=(300 + steps * cost_us) * 1000 * 12_800 // steps)


def late(side: Side, first_us: int, end_us: int) -> WindowSeen:
    """Half of the answers take so long, one twice."""
    times = [(us, us, us, 2 * us) for us in (first_us, end_us)]
    return window(side, Load.RATE, first_us=times[0], whole_us=times[1])


def windows() -> tuple[WindowSeen, ...]:
    """nginx 25 us a call and 16 a chunk; the booth 50, 24, and 32 translated; in two rounds."""
    once = (
        window(Side.NGINX, Load.WHOLE, answers=40_000),
        window(Side.BOOTH, Load.WHOLE, answers=20_000, others_all_ns=S // 2, answers_all=20_000),
        *(streams(Side.NGINX, load, 16) for load in (Load.SHORT, Load.LONG)),
        *(streams(Side.BOOTH, load, 24) for load in (Load.SHORT, Load.LONG)),
        *(streams(Side.BOOTH, load, 32) for load in (Load.SHORT_TRANSLATED, Load.LONG_TRANSLATED)),
    )
    return (*once, *once, late(Side.NGINX, 300, 32_000), late(Side.BOOTH, 700, 33_000))


def memory(side: Side, held: int = 5000, kb: int = 5) -> MemorySeen:
    return MemorySeen(
        side=side,
        idle_rss=60 * MB,
        idle_pss=40 * MB,
        before_rss=62 * MB,
        held=held,
        held_rss=62 * MB + held * kb * KB,
    )


def peers(cpu_ms: int) -> tuple[WindowSeen, ...]:
    """One for each window of the booth: so many milliseconds of CPU for a call."""
    return tuple(window(Side.PEER, Load.WHOLE, answers=1000 // cpu_ms) for _ in range(2))


def report(*more: WindowSeen, books: Books | None = None, **fields: Any) -> GatewayReport:
    saw = GatewaySaw(
        machine=MACHINE,
        windows=(*windows(), *more),
        sync_us=(200, 200, 200, 400),
        memory=(memory(Side.NGINX), memory(Side.BOOTH)),
        cold_start_ms=(900, 800, 5000),
    )
    plain = Books(calls=100, running=0, spent_nano=7, charges_nano=7, problems=())
    return GatewayReport(
        options=OPTIONS, saw=replace(saw, **fields), books=books or plain, calls=100
    )


def figures(found: GatewayReport) -> dict[str, Any]:
    return json.loads(json.dumps(found.document()))


def verdicts(found: GatewayReport) -> dict[str, str]:
    return {goal.name: goal.verdict.value for goal in found.goals()}


def test_the_multiples_of_nginx_are_told_at_the_top() -> None:
    found = figures(report())
    assert found["exact"] is True
    assert found["nginx_multiple_request"] == 2.0
    assert found["nginx_multiple_request_all_processes"] == 3.0
    assert found["nginx_multiple_chunk"] == 1.5
    assert found["nginx_multiple_chunk_translated"] == 2.0


def test_every_raw_figure_is_told() -> None:
    found = figures(report())
    assert found["rows"]["request"]["tokenbooth"]["cpu_us"]["value"] == 50
    assert found["rows"]["request"]["tokenbooth"]["all_processes_cpu_us"]["value"] == 75
    assert found["rows"]["request"]["nginx"]["calls_per_s"]["value"] == 40_000
    assert found["rows"]["chunk"]["tokenbooth"]["cpu_us"]["value"] == 24
    assert found["rows"]["chunk"]["tokenbooth"]["chunks_per_read"] == 1
    assert found["rows"]["rate"]["tokenbooth"]["first_p50_us"] == 700
    assert found["fdatasync_us"] == {"p50": 200, "p99": 400, "count": 4}
    assert found["memory"]["tokenbooth"]["stream_bytes"] == 5 * KB
    assert found["machine"]["versions"]["nginx"] == "1.22.1"
    assert len(found["windows"]) == len(windows())


def test_added_times_are_over_nginx_and_may_wait_for_the_disk() -> None:
    found = report()
    goals = {goal.name: goal for goal in found.goals()}
    assert goals["added_first_p50_us"].value == 400
    assert goals["added_first_p99_us"].value == 800
    assert goals["added_end_p50_us"].value == 1000
    assert goals["added_end_p50_us"].must == 600 + 2 * 200
    assert goals["added_end_p99_us"].must == 2500 + 2 * 400
    assert goals["added_end_p99_us"].stretch == 1200 + 480


def test_each_goal_has_a_verdict() -> None:
    assert verdicts(report()) == {
        "nginx_multiple_request": "stretch",
        "nginx_multiple_request_all_processes": "stretch",
        "nginx_multiple_chunk": "met",
        "nginx_multiple_chunk_translated": "met",
        "added_first_p50_us": "met",
        "added_end_p50_us": "met",
        "added_first_p99_us": "stretch",
        "added_end_p99_us": "met",
        "stream_kb": "stretch",
        "idle_rss_mb": "met",
        "cold_start_ms": "stretch",
    }


def test_a_busy_machine_makes_no_verdict() -> None:
    """No core was full, no pace was kept, and nginx itself was late."""
    slow = tuple(
        replace(w, wall_ns=10 * w.wall_ns, first_us=tuple(10 * us for us in w.first_us))
        for w in windows()
    )
    found = verdicts(report(windows=slow))
    noisy = {name for name, verdict in found.items() if verdict == "does not count"}
    assert len(noisy) == 8
    assert {"nginx_multiple_request", "nginx_multiple_chunk", "added_end_p99_us"} <= noisy
    assert figures(report(windows=slow))["nginx_multiple_request"] == 2.0


@pytest.mark.parametrize(
    ("waited_ms", "verdict"), [((180, 0, 9000), "stretch"), ((181, 181, 0), "does not count")]
)
def test_a_start_without_a_core_does_not_count(waited_ms: tuple[int, ...], verdict: str) -> None:
    """It took 900 ms at the median."""
    assert verdicts(report(cold_waited_ms=waited_ms))["cold_start_ms"] == verdict


def test_what_was_not_measured_is_none() -> None:
    found = report(windows=(), memory=(), cold_start_ms=(), sync_us=())
    assert set(verdicts(found).values()) == {"not measured"}
    assert figures(found)["nginx_multiple_request"] is None
    assert list(found.lines())


def test_streams_that_were_not_all_held_are_no_figure() -> None:
    found = report(memory=(memory(Side.BOOTH, held=4999),))
    assert verdicts(found)["stream_kb"] == "not measured"
    assert memory(Side.BOOTH, held=0).stream_bytes == 0


def test_one_bad_answer_makes_the_figures_mean_nothing() -> None:
    bad = window(Side.NGINX, Load.WHOLE, failed=1, failure="status: status 502")
    found = report(bad, log_tail="disk full")
    assert not found.exact
    assert figures(found)["log_tail"] == "disk full"
    assert "The booth said last: disk full" in list(found.lines())
    assert figures(report(log_tail="all well"))["log_tail"] == ""
    assert "status 502" in found.problems[0]
    assert figures(found)["exact"] is False
    assert "NOT EXACT" in list(found.lines())[-1]


def test_an_idle_stream_that_ended_is_told() -> None:
    ended = replace(memory(Side.BOOTH, held=4000), failure="cut off: status 200")
    assert report(memory=(ended,)).problems == (
        "an idle stream of tokenbooth failed: cut off: status 200",
    )


@pytest.mark.parametrize(
    ("books", "said"),
    [
        (Books(calls=99, running=0, spent_nano=7, charges_nano=7, problems=()), "are booked"),
        (Books(calls=100, running=1, spent_nano=7, charges_nano=7, problems=()), "not sound"),
        (Books(calls=100, running=0, spent_nano=7, charges_nano=8, problems=()), "not sound"),
        (Books(calls=100, running=0, spent_nano=7, charges_nano=7, problems=("x",)), "not sound"),
    ],
)
def test_books_that_disagree_are_not_exact(books: Books, said: str) -> None:
    found = report(books=books)
    assert not found.exact
    assert said in found.problems[0]


def test_people_read_the_same_figures() -> None:
    said = "\n".join(report().lines())
    for part in ("Some CPU", "nginx 1.22.1", "50.00 us", "24.00 us a chunk", "0.70 / 1.40 ms"):
        assert part in said
    assert "2 of 2 windows count" in said
    assert "every one to the nano" in said


@pytest.mark.parametrize(("cpu_ms", "verdict"), [(10, "missed"), (20, "met"), (25, "stretch")])
def test_a_peer_is_told_by_how_many_times_the_cpu_it_takes(cpu_ms: int, verdict: str) -> None:
    """The booth takes 75 us, all processes counted."""
    found = report(*peers(cpu_ms), peer={"name": "litellm", "version": "1"})
    assert figures(found)["peer_multiple_request"] == pytest.approx(cpu_ms / 0.075, abs=0.01)
    assert verdicts(found)["peer_multiple_request"] == verdict
    assert figures(found)["rows"]["request"]["peer"]["cpu_us"]["value"] == cpu_ms * 1000
    assert any(line.strip().startswith("peer ") for line in found.lines())


@pytest.mark.parametrize(
    ("answers", "percent", "found"),
    [
        (13_000, 25, []),
        (10_600, 25, ["nginx_multiple_request"]),
        (10_600, 26, []),
        (10_600, None, []),
    ],
)
def test_a_gate_finds_a_multiple_that_is_far_over_its_bound(
    answers: int, percent: int | None, found: list[str]
) -> None:
    """nginx answers 40,000 in the same time, and three times its CPU is allowed."""
    kept = tuple(w for w in windows() if w.load is not Load.WHOLE)
    pair = (
        window(Side.NGINX, Load.WHOLE, answers=40_000),
        window(Side.BOOTH, Load.WHOLE, answers=answers),
    )
    made = replace(
        report(windows=(*kept, *pair, *pair)), options=replace(OPTIONS, gate_percent=percent)
    )
    assert [said.split()[0] for said in made.regressions] == found
    assert figures(made)["regressions"] == list(made.regressions)


def test_a_gate_leaves_room_for_noise() -> None:
    """Twice over the bound in one of two windows is a spread, and a core that was not full is
    nothing at all."""
    nginx = window(Side.NGINX, Load.WHOLE, answers=40_000)
    slow = window(Side.BOOTH, Load.WHOLE, answers=5_000)
    quick = window(Side.BOOTH, Load.WHOLE, answers=20_000)
    gated = replace(OPTIONS, gate_percent=0)
    spread = replace(report(windows=(nginx, slow, nginx, quick)), options=gated)
    assert spread.multiples()["nginx_multiple_request"].value == 5.0
    assert spread.regressions == ()
    starved = replace(report(windows=(nginx, replace(slow, wall_ns=2 * S))), options=gated)
    assert starved.regressions == ()
    assert len(replace(report(windows=(nginx, slow)), options=gated).regressions) == 2


def test_the_chart_has_a_bar_for_each() -> None:
    chart = report().chart()
    assert [bar.value for bar in chart.bars] == [25, 50, 75, 16, 24, 32]
    assert [bar.plain for bar in chart.bars] == [True, False, False, True, False, False]
    text = "".join(ET.fromstring(svg(chart)).itertext())
    assert "Some CPU" in text
    assert "nginx 1.22.1" in text


@pytest.mark.parametrize(
    "fields",
    [{"windows": 0}, {"starts": 0}, {"peer": "somebody"}, {"peer_python": Path("python")}],
)
def test_what_cannot_be_measured_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"window|peer"):
        GatewayOptions(**fields)


def test_idle_streams_are_spread_over_models_that_may_run_them() -> None:
    names = [name for name in GatewayOptions(idle_streams=10_000).models if "idle" in name]
    assert names == ["idle0", "idle1", "idle2"]
    assert [name for name in QUICK.models if "idle" in name] == ["idle0"]


def test_the_stage_has_caps_at_three_levels_and_a_pace_for_each_model() -> None:
    stage = OPTIONS.stage(4321)
    assert all(level.cap_nano for level in (*stage.orgs, *stage.projects, *stage.keys))
    urls = {model.name: model.upstream_url for model in stage.models}
    assert urls["long"] == "http://127.0.0.1:4321/72/20000/v1"


def test_several_workers_are_held_against_one() -> None:
    theirs = tuple(window(Side.WORKERS, Load.WHOLE, answers=answers) for answers in (10, 10))
    plain = report(*theirs)
    assert "workers_multiple_request" not in verdicts(plain)
    found = replace(plain, options=replace(OPTIONS, workers=2))
    assert found.sides() == (Side.NGINX, Side.BOOTH, Side.WORKERS)
    assert verdicts(found)["workers_multiple_request"] in ("met", "stretch", "missed")
    assert "workers" in figures(found)["rows"]["request"]


def test_books_of_the_booth_with_workers_that_are_wrong_make_the_run_mean_nothing() -> None:
    found = report(workers_problems=("with workers 3 calls were made",))
    assert not found.exact
    assert "with workers 3 calls were made" in found.problems
