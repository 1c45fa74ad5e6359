"""The figures of one hot account from turns that are written down here."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from tokenbooth.proving.bench.books import Books
from tokenbooth.proving.bench.chart import svg
from tokenbooth.proving.bench.hot_account.plan import (
    GatewaySaw,
    HotOptions,
    HotSaw,
    HotTurn,
    HttpTurn,
    Way,
)
from tokenbooth.proving.bench.hot_account.report import HotReport


def saw(calls: int, wall_us: int = 1_000_000) -> GatewaySaw:
    return GatewaySaw(
        calls=calls,
        charged_nano=calls * 10,
        wall_us=wall_us,
        hold_us=[1] * calls,
        settle_us=[4000] * calls,
    )


def turn(way: Way, *calls: int, database_ns: int | None = 6_000_000) -> HotTurn:
    return HotTurn(
        way=way,
        saws=tuple(saw(each, 1_000_000 + n) for n, each in enumerate(calls)),
        gateways_ns=tuple(each * 50_000 for each in calls),
        database_ns=database_ns,
    )


HTTP = HttpTurn(
    calls=50,
    failed=0,
    wall_us=500_000,
    first_us=(900, 2000),
    whole_us=(1000, 3000),
    gateways_ns=(1_000_000, 1_000_000),
    client_ns=500_000,
    database_ns=None,
)
TURNS = (turn(Way.LEASED, 400, 200), turn(Way.BY_TRANSACTION, 4, 2))
BOOKED = Books(calls=606, running=0, spent_nano=6060, charges_nano=6060, problems=())
ENDED = Books(calls=656, running=0, spent_nano=7000, charges_nano=7000, problems=())
SEEN = HotSaw(turns=TURNS, books=BOOKED, http=HTTP, http_books=ENDED)


def report(seen: HotSaw = SEEN, *, synced: bool = True) -> HotReport:
    return HotReport(
        options=HotOptions(replicas=2),
        store="postgresql",
        synced=synced,
        machine_load="0.10 0.10 0.10",
        saw=seen,
    )


def test_the_slowest_gateway_sets_the_time() -> None:
    assert TURNS[0].wall_us == 1_000_001
    assert report().settled_per_s(Way.LEASED) == 599
    assert report().ratio == 119.8


def test_both_ways_are_told_with_every_process() -> None:
    leased = report().document()["ways"]["leased"]  # type: ignore[index]
    assert leased["gateway_cpu_us"] == 50.0
    assert leased["each_gateway_cpu_us"] == [50.0, 50.0]
    assert leased["database_cpu_us"] == 10.0
    assert (leased["hold_p50_us"], leased["settle_p99_us"]) == (1, 4000)


def test_a_database_that_cannot_be_seen_has_no_figure() -> None:
    unseen = replace(SEEN, turns=tuple(replace(each, database_ns=None) for each in TURNS))
    ways = report(unseen).document()["ways"]
    assert ways["leased"]["database_cpu_us"] is None  # type: ignore[index]
    assert "inside of them" in "\n".join(report(unseen).lines())


def test_receipts_records_and_balance_are_one_sum() -> None:
    assert report().exact


@pytest.mark.parametrize(
    "bent",
    [
        replace(SEEN, books=replace(BOOKED, spent_nano=6061)),
        replace(SEEN, books=replace(BOOKED, charges_nano=6059)),
        replace(SEEN, books=replace(BOOKED, spent_nano=6061, charges_nano=6061)),
        replace(SEEN, books=replace(BOOKED, calls=605)),
        replace(SEEN, books=replace(BOOKED, running=1)),
        replace(SEEN, http_books=replace(ENDED, problems=("odd",))),
        replace(SEEN, http_books=replace(ENDED, calls=655)),
        replace(SEEN, http=replace(HTTP, failed=1)),
    ],
)
def test_one_call_or_one_nano_amiss_is_not_exact(bent: HotSaw) -> None:
    assert not report(bent).exact
    assert "NOT EXACT" in "\n".join(report(bent).lines())


def test_without_http_the_first_books_are_the_last() -> None:
    plain = replace(SEEN, http=None, http_books=BOOKED)
    assert report(plain).exact
    assert report(plain).document()["http"] is None
    assert len(report(plain).chart().bars) == 2


def test_the_chart_has_both_ways_the_goal_and_the_state_of_the_disk() -> None:
    chart = report().chart()
    assert [(bar.value, bar.plain) for bar in chart.bars] == [(599, False), (5, True), (100, False)]
    assert chart.goal == 5000
    assert "fsync on" in chart.note
    assert "fsync off" in report(synced=False).chart().note
    ET.fromstring(svg(chart))


def test_people_are_told_whether_the_disk_was_waited_for() -> None:
    assert "postgresql waits for its disk" in "\n".join(report().lines())
    assert "does not wait for its disk" in "\n".join(report(synced=False).lines())


@pytest.mark.parametrize(
    "fields", [{"replicas": 0}, {"replicas": 17}, {"turns": 0}, {"seconds": 0}]
)
def test_what_cannot_be_measured_is_refused(fields: dict) -> None:
    with pytest.raises(ValueError, match=r"."):
        HotOptions(**fields)
