"""Each drill of the product as a stranger runs it, with the figures that it must show."""

from typing import Any

import pytest

from tests.outside.conftest import Databases
from tests.outside.proving.playing import drill

CAP_NANO = 5_000_000_000


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The option that names a store of each kind."""
    if request.param == "sqlite":
        return ()
    databases: Databases = request.getfixturevalue("postgres")
    return ("--store", databases.empty().url)


def played(name: str, *options: str) -> dict[str, Any]:
    """The report of a drill in which every check held."""
    status, report, said = drill(name, *options)
    assert report.get("violations") == [], said
    assert (status, report["passed"]) == (0, True), said
    for figure in ("overshoot_nano", "difference_nano", "ledger_difference_nano"):
        assert report[figure] == 0
    assert (report["duplicate"], report["open_holds"]) == (0, 0)
    return report


@pytest.mark.parametrize("replicas", [1, 3])
def test_exactly_fifty_of_a_thousand_pass(replicas: int, store: tuple[str, ...]) -> None:
    limits = ("--limit", "balance") if replicas == 1 else ("--limit", "project")
    report = played("stampede", *store, *limits, "--replicas", str(replicas))
    exact, random = report["rushes"].values()
    assert (exact["calls"], exact["passed"], exact["spent_nano"]) == (1000, 50, CAP_NANO)
    assert random["used_ppm"] >= 999_000
    assert random["spent_nano"] <= CAP_NANO
    assert (report["parallel"], report["false_refusals"], report["lost"]) == (1000, 0, 0)


def test_no_charge_is_lost_or_doubled_when_servers_die(store: tuple[str, ...]) -> None:
    """Twenty-four kills on each kind of store."""
    report = played("kill", *store, "--kills", "24", "--replicas", "3")
    assert report["kills"] == 24
    assert (report["lost"], report["overcharged"]) == (0, 0)
    assert report["outcomes"]["interrupted"] > 0
    assert report["recovered_ms_max"] is None or report["recovered_ms_max"] <= 30_000


def test_a_torn_journal_costs_nobody_a_finished_charge() -> None:
    report = played("powercut", "--kills", "8", "--seed", "3")
    assert report["kills"] == 8
    assert (report["lost"], report["overcharged"]) == (0, 0)
    assert report["records_torn_off"] > 0
    assert report["cuts_with_garbage"] > 0


def test_who_hangs_up_pays_for_what_came_and_the_engine_rests() -> None:
    report = played("disconnect")
    assert report["engine_left"] == 32
    assert report["cancel_us_max"] is not None
    assert set(report["outcomes"]) <= {"client_gone", "completed"}


def test_leased_money_serves_while_the_database_is_away(store: tuple[str, ...]) -> None:
    report = played("dbdown", *store, "--seconds", "4")
    assert report["served_meanwhile"] > 0
    assert report["refused"] > 0
    assert report["lost"] == 0
