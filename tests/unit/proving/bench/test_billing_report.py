"""The figures of billing from turns that are written down here."""

import pytest

from tokenbooth.proving.bench.billing.plan import (
    CLIENT,
    GATEWAY,
    BillingOptions,
    Load,
    Side,
    SideBooks,
    TurnSeen,
)
from tokenbooth.proving.bench.billing.report import BillingReport
from tokenbooth.proving.bench.books import Books

COST_NANO = 180_000


def turn(side: Side, load: Load, cpu_us: int, first_us: int = 1000, **fields: int) -> TurnSeen:
    counts = {"calls": 100, "failed": 0, "unsent": 0} | fields
    return TurnSeen(
        side=side,
        load=load,
        wall_us=1_000_000,
        ran_ns={GATEWAY: cpu_us * 1000 * 100, CLIENT: 5 * 1000 * 100},
        first_us=(first_us, 2 * first_us),
        whole_us=(first_us, first_us),
        **counts,
    )


def books(calls: int, spent_nano: int | None = None, **fields: object) -> Books:
    spent = calls * COST_NANO if spent_nano is None else spent_nano
    plain = {"running": 0, "charges_nano": spent, "problems": ()} | fields
    return Books(calls=calls, spent_nano=spent, **plain)  # type: ignore[arg-type]


def report(on: Books | None = None, off: Books | None = None, **fields: int) -> BillingReport:
    """Two turns of each; the machine gets slower by 100 us a call from the first to the second."""
    turns = [
        turn(side, load, cpu_us=cpu + drift, first_us=1000 + extra, **fields)
        for load in Load
        for drift in (0, 100)
        for side, cpu, extra in ((Side.ON, 340, 150), (Side.OFF, 300, 0))
    ]
    return BillingReport(
        options=BillingOptions(),
        store="sqlite",
        synced=True,
        machine_load="0.10 0.10 0.10",
        turns=tuple(turns),
        books=(
            SideBooks(side=Side.ON, calls=400, books=on or books(400)),
            SideBooks(side=Side.OFF, calls=400, books=off or books(0)),
        ),
    )


def test_what_billing_adds_is_the_difference_of_neighbours() -> None:
    for load in Load:
        assert report().cpu_us(load).difference == 40.0
        assert report().cpu_us(load).spread == 0.0
        assert report().first_us(load).difference == 150


def test_every_kind_of_process_is_told() -> None:
    document = report().document()
    cpu_us = document["loads"]["closed_loop"]["cpu_us"]  # type: ignore[index]
    assert set(cpu_us) == {"gateway", "bookkeeper", "client", "database"}
    assert cpu_us["client"]["on"] == 5.0
    assert cpu_us["database"]["on"] == 0.0


def test_books_that_agree_are_exact() -> None:
    assert report().exact
    assert report().document()["exact"] is True


@pytest.mark.parametrize(
    "bent",
    [
        books(399),
        books(401),
        books(400, 400 * COST_NANO + 1),
        books(400, charges_nano=1),
        books(400, running=1),
        books(400, problems=("odd",)),
    ],
)
def test_one_call_or_one_nano_amiss_is_not_exact(bent: Books) -> None:
    assert not report(on=bent).exact


def test_a_side_without_money_has_nothing_in_its_books() -> None:
    assert not report(off=books(1)).exact


def test_a_failed_call_is_told_as_not_exact_and_an_unsent_one_is_not() -> None:
    assert not report(failed=1).exact
    late = report(unsent=3)
    assert late.exact
    assert any("never sent" in line for line in late.lines())
    assert late.document()["loads"]["fixed_rate"]["unsent"] == 12  # type: ignore[index]


def test_people_read_the_same_figures() -> None:
    said = "\n".join(report().lines())
    assert "+40.0 us per call" in said
    assert "+0.150 ms" in said
    assert "every call booked to the nano" in said
    assert "NOT EXACT" in "\n".join(report(on=books(1)).lines())


@pytest.mark.parametrize(
    "fields",
    [
        {"store_url": "postgresql://a/b"},
        {"free_store_url": "postgresql://a/b"},
        {"store_url": "postgresql://a/b", "free_store_url": "postgresql://a/b"},
        {"seconds": 0},
        {"turns": 0},
        {"calls_at_once": 0},
    ],
)
def test_what_cannot_be_measured_is_refused(fields: dict) -> None:
    with pytest.raises(ValueError, match=r"."):
        BillingOptions(**fields)
