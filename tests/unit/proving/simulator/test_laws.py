"""Each law finds its own violation, planted into honest books."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome, Receipt
from tokenbooth.proving.simulator import laws
from tokenbooth.proving.simulator.books import Books, Limit, Record
from tokenbooth.proving.simulator.call import HEARD_US, Call, Plan, RoomWatch, Stage, worth_nano
from tokenbooth.proving.simulator.database import Database
from tokenbooth.proving.simulator.fairness import PATIENCE_US, judged
from tokenbooth.proving.simulator.machine import Gateway
from tokenbooth.proving.simulator.world import DAWN_US

DAY_US = 86_400_000_000
CALLER = Caller("org_1", "project_1", "key_1", frozenset())
CHAIN = "balance:org_1 organization:org_1 project:project_1 key:key_1"
PLAN = Plan(
    request_id="req_1",
    caller=CALLER,
    input_tokens=10,
    output_tokens=20,
    choices=1,
    stream=True,
    stated=True,
    strict=False,
)
COST = worth_nano(10, 5)
HELD = worth_nano(10, 20)
NO_LIMITS: tuple[Any, ...] = ()


class Rows:
    """A database that answers each statement by the word that it contains."""

    def __init__(self, **answers: list[tuple[Any, ...]]) -> None:
        self.answers: dict[str, list[tuple[Any, ...]]] = {
            "granted_nano < held_nano": [(0,)],
            "granted_nano > 0": [(0,)],
            "HAVING": [(0,)],
            "GROUP BY limit_id": [(n, 100, 40) for n in CHAIN.split()],
            "JOIN ledger_account": [("revenue", "org_1", COST), ("clearing", "org_1", -1_000_000)],
        }
        for word, rows in answers.items():
            self.answers[WORDS[word]] = rows

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return next(rows for word, rows in self.answers.items() if word in statement)


WORDS = {
    "negative": "granted_nano < held_nano",
    "left": "granted_nano > 0",
    "unbalanced": "HAVING",
    "leases": "GROUP BY limit_id",
    "posted": "JOIN ledger_account",
}


def rows(**answers: list[tuple[Any, ...]]) -> Database:
    return cast("Database", Rows(**answers))


def record(**changes: Any) -> Record:
    plain = Record("posted", "completed", COST, HELD, CHAIN, 0)
    return plain._replace(**changes)


def limit(**changes: Any) -> Limit:
    return Limit("none", "", 1_000_000, COST, 100, 40)._replace(**changes)


def books(row: Record | None = None, **changed: Limit) -> Books:
    limits = {name: limit() for name in CHAIN.split()}
    limits.update({name.replace("_1", ":org_1", 1): row for name, row in changed.items()})
    return Books(limits=limits, records={"req_1": row or record()})


def call(**changes: Any) -> Call:
    gateway = cast("Gateway", SimpleNamespace(forfeited=False))
    made = Call(PLAN, gateway, DAWN_US)
    made.hold = cast("Any", SimpleNamespace(amount_nano=HELD, output_tokens_max=20))
    made.held_us = made.answered_us = DAWN_US
    made.stage, made.delivered, made.expected_nano = Stage.TOLD, 5, COST
    made.receipt = receipt()
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def receipt(cost_nano: int = COST, outcome: Outcome = Outcome.COMPLETED) -> Receipt:
    fields = SimpleNamespace(cost_nano=cost_nano, outcome=outcome, limits=())
    return cast("Receipt", fields)


def found_in(row: Record, made: Call) -> list[str]:
    return list(laws.record_laws(Books(records={"req_1": row}), {"req_1": made}))


def test_honest_books_break_no_law() -> None:
    honest = books()
    assert list(laws.book_laws(rows(), honest)) == []
    assert list(laws.record_laws(honest, {"req_1": call()})) == []
    assert list(laws.delivered_laws(honest, [])) == []
    assert honest.final == {"req_1": record()}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"limit_nano": COST + 99}, f"{COST} spent and 100 leased of {COST + 99}"),
        ({"leased_nano": 99}, "99 leased, 40 held; leases say (100, 40)"),
        ({"held_nano": 41}, "100 leased, 41 held"),
        ({"spent_nano": COST - 1}, f"{COST - 1} spent, calls cost {COST}"),
    ],
)
def test_a_wrong_limit_is_named(changed: dict[str, int], said: str) -> None:
    wrong = Books(
        limits={n: limit(**(changed if n.startswith("key") else {})) for n in CHAIN.split()},
        records={"req_1": record()},
    )
    (text,) = laws.book_laws(rows(), wrong)
    assert text.startswith("key:key_1: ")
    assert said in text


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"negative": [(1,)]}, "holds more than it was granted"),
        ({"unbalanced": [(1,)]}, "does not add up"),
        (
            {"posted": [("revenue", "org_1", 1), ("clearing", "org_1", -1_000_000)]},
            "1 posted as revenue",
        ),
        (
            {"posted": [("revenue", "org_1", COST), ("clearing", "org_1", -5)]},
            "5 credited, the balance may spend 1000000",
        ),
    ],
)
def test_wrong_postings_and_leases_are_named(
    answers: dict[str, list[tuple[Any, ...]]], said: str
) -> None:
    (text,) = laws.book_laws(rows(**answers), books())
    assert said in text


@pytest.mark.parametrize(
    ("row", "changes", "said"),
    [
        (record(cost_nano=COST + 1), {}, f"the caller was told {COST}"),
        (record(outcome="client_gone"), {}, "ended as client_gone, told completed"),
        (record(cost_nano=HELD + 1), {"receipt": receipt(HELD + 1)}, f"{HELD} held"),
        (record(cost_nano=-1), {"receipt": receipt(-1)}, "-1 charged"),
        (record(state="open", outcome=None), {}, "open or forfeited"),
        (record(forfeited=1), {}, "open or forfeited"),
        (
            record(outcome="interrupted"),
            {"receipt": None, "stage": Stage.LOST, "delivered": 4},
            f"interrupted for {COST}, delivered {worth_nano(10, 4)}",
        ),
        (
            record(cost_nano=COST - 1),
            {"receipt": None, "stage": Stage.LOST},
            f"its end was worth {COST}",
        ),
        (
            record(),
            {"receipt": None, "hold": None, "stage": Stage.REFUSED},
            "nothing was held for the caller",
        ),
    ],
)
def test_a_wrong_charge_is_named(row: Record, changes: dict[str, Any], said: str) -> None:
    texts = found_in(row, call(**changes))
    assert any(said in text for text in texts), texts


@pytest.mark.parametrize(
    ("row", "changes"),
    [
        (record(outcome="interrupted"), {"receipt": None, "stage": Stage.LOST}),
        (record(cost_nano=0, outcome="interrupted"), {"receipt": None, "stage": Stage.LOST}),
        (record(cost_nano=HELD), {"receipt": None, "stage": Stage.LOST, "expected_nano": HELD + 9}),
        (record(state="open", outcome=None, cost_nano=0), {"receipt": None}),
        (record(cost_nano=0, forfeited=1), {}),
    ],
)
def test_a_charge_in_the_customers_favour_is_right(row: Record, changes: dict[str, Any]) -> None:
    assert found_in(row, call(**changes)) == []


def test_a_whole_answer_that_was_cut_is_free() -> None:
    whole = call(receipt=None, stage=Stage.LOST)
    whole.plan = replace(PLAN, stream=False)
    assert "delivered 0" in found_in(record(outcome="interrupted"), whole)[0]
    assert found_in(record(outcome="interrupted", cost_nano=0), whole) == []


def test_nobody_is_owed_a_record_after_a_forfeit_but_no_wrong_charge_passes() -> None:
    forfeited = call()
    forfeited.gateway.forfeited = True
    assert found_in(record(outcome="interrupted", cost_nano=0), forfeited) == []
    assert found_in(record(cost_nano=1), forfeited) != []


def test_final_records_stay_and_strangers_have_none() -> None:
    seen = Books(records={"req_1": record()})
    assert list(laws.record_laws(seen, {})) == ["req_1: a record of a call that nobody made"]
    list(laws.record_laws(seen, {"req_1": call()}))
    seen.records = {"req_1": record(cost_nano=COST - 1)}
    (changed,) = laws.record_laws(seen, {"req_1": call()})
    assert "a final record changed" in changed
    seen.records = {}
    assert list(laws.record_laws(seen, {})) == ["records vanished: ['req_1']"]


@pytest.mark.parametrize(
    ("window", "began_us", "held_us", "right"),
    [
        ("2026-11-01", DAWN_US, DAWN_US, True),
        ("2026-10-31", DAWN_US, DAWN_US, False),
        ("2026-11-02", DAWN_US, DAWN_US, False),
        ("2026-10-31", DAWN_US - 1, DAWN_US, True),
        ("2026-11-01", DAWN_US - 1, DAWN_US, True),
        ("2026-11-01", DAWN_US + DAY_US - 1, DAWN_US + DAY_US - 1, True),
        ("2026-11-01", DAWN_US + DAY_US, DAWN_US + DAY_US, False),
    ],
)
def test_money_is_of_the_day_on_which_it_was_held(
    window: str, began_us: int, held_us: int, right: bool
) -> None:
    row = record(chain=f"balance:org_1 key:key_1@{window}")
    made = call(began_us=began_us, held_us=held_us)
    assert (found_in(row, made) == []) == right


def test_what_was_told_counts_against_the_cap_before_it_is_booked() -> None:
    told = call(receipt=receipt(1_000_000 - COST + 1))
    texts = list(laws.delivered_laws(books(), [told]))
    assert len(texts) == 4
    told.gateway.forfeited = True
    assert list(laws.delivered_laws(books(), [told])) == []
    untold = call(receipt=None)
    assert list(laws.delivered_laws(books(), [untold])) == []
    endless = Books(
        limits={"key:key_1": limit(limit_nano=None), "project:project_1": limit(period="day")}
    )
    assert list(laws.delivered_laws(endless, [call(receipt=receipt(10**9))])) == []


def test_at_the_end_nothing_is_leased_open_or_forgotten() -> None:
    closed = Books(
        limits={"key:key_1": limit(leased_nano=0, held_nano=0)}, records={"req_1": record()}
    )
    assert list(laws.final_laws(rows(), closed, [call()])) == []
    left = list(laws.final_laws(rows(left=[(1,)]), books(record(state="open")), [call()]))
    assert sum("leased and 40 held at the end" in text for text in left) == 4
    assert "leases are left at the end" in left
    assert "req_1: open at the end" in left
    closed.records = {}
    (text,) = laws.final_laws(rows(), closed, [call()])
    assert "never booked" in text
    unbooked = call()
    unbooked.gateway.forfeited = True
    assert list(laws.final_laws(rows(), closed, [unbooked, call(receipt=None)])) == []


def refused(code: Code, floor_nano: int, **changes: Any) -> list[str]:
    made = call(hold=None, receipt=None, stage=Stage.REFUSED, watch=RoomWatch(floor_nano))
    made.problem = Problem(code, "no")
    for name, value in changes.items():
        setattr(made, name, value)
    return list(judged(made))


def test_a_refusal_is_false_where_the_least_hold_was_there_all_the_time() -> None:
    least_nano = worth_nano(10, 1)
    for code in (Code.BALANCE_EXHAUSTED, Code.CAP_REACHED):
        assert refused(code, least_nano - 1) == []
        assert "was needed" in refused(code, least_nano)[0]
    assert refused(Code.OUTPUT_UNAFFORDABLE, HELD - 1) == []
    assert refused(Code.OUTPUT_UNAFFORDABLE, HELD) != []
    assert refused(Code.LEDGER_UNAVAILABLE, HELD) == []


def test_what_others_let_go_of_counts_once_they_could_hear_of_the_need() -> None:
    watch = RoomWatch()
    for room_nano, now_us in ((30, 0), (70, 10), (50, HEARD_US)):
        watch.note(room_nano, now_us)
    assert watch.floor_nano == 10
    watch = RoomWatch()
    for room_nano, now_us in ((30, 0), (70, 10), (50, 10 + HEARD_US)):
        watch.note(room_nano, now_us)
    assert watch.floor_nano == 30


def test_nobody_judges_whom_patience_or_the_process_left() -> None:
    assert refused(Code.CAP_REACHED, HELD, answered_us=DAWN_US + PATIENCE_US) == []
    assert refused(Code.CAP_REACHED, HELD, stage=Stage.LOST) == []
    assert refused(Code.CAP_REACHED, HELD, stage=Stage.GONE) == []


def test_a_hold_is_lowered_no_further_than_the_money_was() -> None:
    lowered = call(stage=Stage.RUNNING, watch=RoomWatch(HELD))
    assert list(judged(lowered)) == []
    lowered.hold = cast("Any", SimpleNamespace(amount_nano=HELD - 9_000, output_tokens_max=17))
    assert f"though {HELD} was there" in next(judged(lowered))
    lowered.watch.floor_nano = HELD - 9_000
    assert list(judged(lowered)) == []
