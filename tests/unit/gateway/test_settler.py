"""Settling survives a database that is away, and never gives up an ending."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.ops import make_op
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.gateway import settler as settler_module
from tokenbooth.gateway.settler import PAUSE_MAX_S, Settler
from tokenbooth.money.ledger.service import Ending

AWAY = Problem(Code.LEDGER_UNAVAILABLE, "away")


def ending(request_id: str = "req_1") -> Ending:
    return Ending(
        request_id=request_id,
        outcome=Outcome.COMPLETED,
        reason="",
        usage=Usage(1, 1),
        charge=True,
        started_us=0,
        first_output_us=None,
        ended_us=1,
        fingerprint=None,
    )


class Flaky:
    """Refuses as often as told, then runs the verb."""

    def __init__(self, refusals: int, problem: Problem = AWAY) -> None:
        self.refusals = refusals
        self.problem = problem
        self.tries = 0

    async def write(self, verb: Callable[[Any], Any]) -> Any:
        self.tries += 1
        if self.tries <= self.refusals:
            raise self.problem
        return verb(None)

    async def read(self, verb: Callable[[Any], Any]) -> Any:
        return verb(None)


@pytest.fixture(autouse=True)
def settled(monkeypatch) -> list[str]:
    """The ledger's verb replaced: this file is about when it is called."""
    seen: list[str] = []

    def settle(op, tx, end):
        seen.append(end.request_id)
        return Receipt(end.request_id, end.outcome, "", end.usage, 1, "pv", ())

    monkeypatch.setattr(settler_module.ledger, "settle", settle)
    return seen


def make(store: Flaky, wait_max_s: int = 10) -> tuple[Settler, list[float]]:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    return Settler(store, wait_max_s=wait_max_s, pause=pause), pauses


def test_a_settlement_that_works_is_tried_once(settled):
    settler, pauses = make(Flaky(0))
    receipt = asyncio.run(settler.settle(make_op(), ending()))
    assert (receipt.cost_nano, settled, pauses) == (1, ["req_1"], [])


def test_an_outage_is_waited_out_with_growing_bounded_pauses(settled):
    settler, pauses = make(Flaky(9), wait_max_s=60)
    asyncio.run(settler.settle(make_op(), ending()))
    assert settled == ["req_1"]
    assert len(pauses) == 9
    assert pauses == sorted(pauses)
    assert max(pauses) == PAUSE_MAX_S
    assert settler.late == 0


def test_a_long_outage_keeps_the_ending_for_later(settled):
    store = Flaky(1000)
    settler, pauses = make(store, wait_max_s=3)
    with pytest.raises(Problem) as refused:
        asyncio.run(settler.settle(make_op(request_id="req_1"), ending()))
    assert refused.value.code is Code.LEDGER_UNAVAILABLE
    assert "req_1" in refused.value.public
    assert settler.late == 1
    assert sum(pauses) >= 3
    store.refusals = 0
    assert asyncio.run(settler.settle_late()) == 1
    assert (settled, settler.late) == (["req_1"], 0)


def test_the_database_counts_as_away_until_it_takes_something_again(settled):
    store = Flaky(1000)
    settler, _ = make(store, wait_max_s=1)
    assert not settler.away
    with pytest.raises(Problem):
        asyncio.run(settler.settle(make_op(), ending()))
    assert settler.away
    store.refusals = 0
    asyncio.run(settler.settle_late())
    assert not settler.away


def test_an_ending_that_alone_is_refused_says_nothing_of_the_database(settled):
    settler, _ = make(Flaky(1, Problem(Code.RECORD_NOT_FOUND, "nothing held")))
    with pytest.raises(Problem):
        asyncio.run(settler.settle(make_op(), ending()))
    assert not settler.away


def test_a_late_ending_stays_while_the_database_is_away(settled):
    store = Flaky(1000)
    settler, _ = make(store, wait_max_s=1)
    with pytest.raises(Problem):
        asyncio.run(settler.settle(make_op(), ending()))
    with pytest.raises(Problem):
        asyncio.run(settler.settle_late())
    assert (settled, settler.late) == ([], 1)


def test_a_refusal_that_waiting_cannot_cure_is_told_at_once(settled):
    settler, pauses = make(Flaky(1, Problem(Code.RECORD_NOT_FOUND, "nothing held")))
    with pytest.raises(Problem) as refused:
        asyncio.run(settler.settle(make_op(), ending()))
    assert refused.value.code is Code.RECORD_NOT_FOUND
    assert pauses == []


def test_a_fault_that_nobody_expected_keeps_the_ending_for_later(settled, monkeypatch):
    """Without this the hold would stand until the next start."""
    faults = [RuntimeError("a bug of a driver")]
    settle = settler_module.ledger.settle

    def once_broken(op, tx, end):
        if faults:
            raise faults.pop()
        return settle(op, tx, end)

    monkeypatch.setattr(settler_module.ledger, "settle", once_broken)
    settler, _ = make(Flaky(0))
    with pytest.raises(RuntimeError):
        asyncio.run(settler.settle(make_op(request_id="req_1"), ending()))
    assert settler.late == 1
    assert asyncio.run(settler.settle_late()) == 1
    assert (settled, settler.late) == (["req_1"], 0)


def test_what_is_withheld_is_booked_in_place_of_what_nobody_got(settled, monkeypatch):
    booked = []

    def book(end: Ending) -> Receipt:
        booked.append(end)
        return Receipt(end.request_id, end.outcome, "", end.usage, 0, "pv", ())

    monkeypatch.setattr(settler_module.ledger, "settle", lambda op, tx, end: book(end))
    store = Flaky(1000)
    settler, _ = make(store, wait_max_s=1)
    void = replace(ending(), charge=False)
    with pytest.raises(Problem) as refused:
        asyncio.run(settler.settle(make_op(request_id="req_1"), ending(), withheld=void))
    assert "withheld" in refused.value.public
    store.refusals = 0
    assert asyncio.run(settler.settle_late()) == 1
    assert booked == [void]


def test_a_hold_that_was_never_taken_is_forgotten(settled):
    settler, _ = make(Flaky(1, Problem(Code.RECORD_NOT_FOUND, "nothing held")))
    settler.later(make_op(request_id="req_1"), ending())
    assert settler.late == 1
    assert asyncio.run(settler.settle_late()) == 1
    assert (settled, settler.late) == ([], 0)


def test_unknown_holds_are_kept_within_a_bound(monkeypatch):
    monkeypatch.setattr(settler_module, "LATE_MAX", 2)
    settler, _ = make(Flaky(0))
    for number in range(5):
        settler.later(make_op(request_id=f"req_{number}"), ending(f"req_{number}"))
    assert settler.late == 2


def test_an_ending_that_always_fails_keeps_no_other_waiting(settled, monkeypatch):
    settle = settler_module.ledger.settle

    def choosy(op, tx, end):
        if end.request_id == "req_0":
            raise Problem(Code.INTERNAL, "never works")
        return settle(op, tx, end)

    monkeypatch.setattr(settler_module.ledger, "settle", choosy)
    settler, _ = make(Flaky(0))
    for number in range(3):
        settler.later(make_op(request_id=f"req_{number}"), ending(f"req_{number}"))
    for _ in range(2):
        with pytest.raises(Problem):
            asyncio.run(settler.settle_late())
    assert settled == ["req_1", "req_2"]
    assert settler.late == 1
