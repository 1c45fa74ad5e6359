"""The reconciler on a database: calls between two readings, balances, and what is kept."""

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert

from tests.support.bank import CALLER, Bank
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.ledger import service as ledger
from tokenbooth.money.outbox import service as outbox
from tokenbooth.money.outbox.service import OPERATOR
from tokenbooth.money.reconcile import service as reconcile
from tokenbooth.money.reconcile.rules import OVERRUN_TOKENS, SHARED_SPAN_US_MIN
from tokenbooth.money.reconcile.service import EVERYBODY, EngineFinding, Reading, Subject
from tokenbooth.money.reconcile.sql import RUN_US_MAX, put_balances
from tokenbooth.store.tables.money import CALL_RECORD

MINUTE_US = 60_000_000


class Scene:
    """One engine of one process, its calls, and a clock that both go by."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.price = bank.price(1_000_000, 2_000_000)
        bank.write(lambda op, tx: ledger.open_limit(op, tx, LimitScope.BALANCE, CALLER.org_id, 0))
        self.started_us = bank.clock.us
        self.input_tokens = self.output_tokens = 0
        self.calls = 0

    def pass_time(self, us: int = MINUTE_US) -> None:
        self.bank.clock.us += us

    def work(self, input_tokens: int, output_tokens: int) -> None:
        """The engine's own counters move."""
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens

    def call(self, input_tokens: int = 100, output_tokens: int = 50, **fields: Any) -> str:
        """A completed call that began a second ago, as a round writes it, unless told otherwise."""
        self.calls += 1
        self.pass_time(2_000_000)
        request_id = f"req_{self.calls:032x}"
        now_us = self.bank.clock.us
        row = {
            "request_id": request_id,
            "org_id": CALLER.org_id,
            "project_id": CALLER.project_id,
            "key_id": CALLER.key_id,
            "model": "m",
            "stream": False,
            "replica_id": "main",
            "epoch": 1,
            "deployment_id": "dep_1",
            "price_version": self.price.version_id,
            "held_nano": 10**9,
            "held_input_tokens": input_tokens,
            "held_output_tokens": 1000,
            "created_us": now_us - 1_000_000,
            "state": "posted",
            "swept": False,
            "outcome": "completed",
            "reason": "done",
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "reasoning_tokens": 0,
            "usage_source": "engine",
            "cost_nano": 0,
            "operator_loss_nano": 0,
            "started_us": now_us - 1_000_000,
            "ended_us": now_us,
        }
        self.bank.write(lambda op, tx: tx.execute(insert(CALL_RECORD), {**row, **fields}))
        return request_id

    def running(self, **fields: Any) -> str:
        nothing = dict.fromkeys(
            ("outcome", "reason", "input_tokens", "output_tokens", "reasoning_tokens")
        )
        ends = dict.fromkeys(("usage_source", "started_us", "ended_us", "deployment_id"))
        return self.call(**{"held_input_tokens": 100, "state": "open", **nothing, **ends, **fields})

    def reading(self, **changes: Any) -> Reading:
        plain = Reading(
            deployment_id="dep_1",
            model="m",
            replica_id="main",
            epoch=1,
            generation="g",
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            with_cached=True,
            rounding_tokens=0,
            call_tokens_max=4096,
            from_us=self.bank.clock.us,
            until_us=self.bank.clock.us + 10,
        )
        return replace(plain, **changes)

    def check(self, **changes: Any) -> EngineFinding | None:
        self.pass_time()
        reading = self.reading(**changes)
        self.pass_time(1_000)
        return self.bank.write(
            lambda op, tx: reconcile.check_engine(op, tx, reading, started_us=self.started_us)
        )

    def checked(self, **changes: Any) -> EngineFinding:
        found = self.check(**changes)
        assert found is not None
        return found

    def latest(self) -> tuple[reconcile.Result, ...]:
        return self.bank.read(reconcile.latest)

    def events(self) -> list[dict[str, Any]]:
        page = self.bank.read(lambda op, tx: outbox.page(op, tx, OPERATOR, after=None, limit=50))
        return [json.loads(event.body) for event in page.events]


@pytest.fixture
def scene(bank: Bank) -> Scene:
    return Scene(bank)


def test_calls_and_counters_agree_from_the_start_of_the_process(scene):
    for _ in range(3):
        scene.call(100, 50)
        scene.work(100, 50)
    found = scene.checked()
    assert found.sound
    assert found.charged.calls == 3
    assert (found.charged.input_tokens, found.charged.output_tokens) == (300, 150)
    assert (found.counted_input_tokens, found.counted_output_tokens) == (300, 150)
    assert found.from_us == scene.started_us
    (kept,) = scene.latest()
    assert (kept.subject, kept.deployment_id, kept.sound) == (Subject.ENGINE, "dep_1", True)
    assert scene.events() == []


def test_each_look_compares_with_the_one_before(scene):
    scene.call()
    scene.work(100, 50)
    scene.checked()
    scene.call(7, 3)
    scene.work(7, 3)
    found = scene.checked()
    assert found.sound
    assert (found.counted_input_tokens, found.charged.calls) == (7, 1)
    idle = scene.checked()
    assert idle.sound
    assert (idle.counted_input_tokens, idle.charged.calls) == (0, 0)


@pytest.mark.parametrize(
    ("more_input", "more_output"), [(1, 0), (0, 1), (-1, 0), (0, -1), (5000, -5000)]
)
def test_a_planted_difference_is_found_kept_and_told(scene, more_input, more_output):
    scene.call(100, 50)
    scene.work(100 + more_input, 50 + more_output)
    found = scene.checked(output_tokens=max(0, scene.output_tokens))
    assert not found.sound
    (kept,) = scene.latest()
    assert not kept.sound
    assert kept.difference == found.difference_tokens > 0
    (event,) = scene.events()
    assert event["subject"] == "engine"
    assert (event["deployment_id"], event["replica"]) == ("dep_1", "main")
    assert event["result_id"] == kept.id


def test_a_lost_charge_is_found(scene):
    """The engine worked for a call that nobody wrote down."""
    scene.call()
    scene.work(100, 50)
    scene.work(100, 50)
    found = scene.checked()
    assert (found.input_difference, found.output_difference) == (100, 50)


def test_a_double_charge_is_found(scene):
    scene.call()
    scene.call()
    scene.work(100, 50)
    found = scene.checked()
    assert (found.input_difference, found.output_difference) == (-100, -50)


@pytest.mark.parametrize("engine_did", [0, 30, 50])
def test_a_call_in_flight_at_a_reading_is_no_difference(scene, engine_did):
    """It ended after the reading; whether the engine had counted it by then, nobody knows."""
    scene.work(0, engine_did)
    scene.pass_time()
    reading = scene.reading()
    begun_us = reading.from_us - 5
    scene.call(0, 50, created_us=begun_us, started_us=begun_us, ended_us=reading.until_us + 5)
    found = scene.bank.write(
        lambda op, tx: reconcile.check_engine(op, tx, reading, started_us=scene.started_us)
    )
    assert found.sound
    assert (found.charged.calls, found.charged.unsure_calls) == (0, 1)
    scene.work(0, 50 - engine_did)
    assert scene.checked().sound
    scene.work(0, 51)
    assert not scene.checked().sound


def test_a_call_that_still_runs_may_have_produced_what_the_model_can(scene):
    scene.running()
    scene.work(100, 4096)
    assert scene.checked().sound
    scene.work(0, 4096)
    assert scene.checked().sound, "it still runs"


def test_a_call_that_runs_and_another_that_is_lost(scene):
    scene.running(held_output_tokens=10)
    scene.work(100, 4096 + 1)
    found = scene.checked()
    assert found.output_difference == 1


def test_a_running_call_may_be_held_for_more_than_the_model_says(scene):
    scene.running(held_output_tokens=10_000)
    scene.work(0, 10_000)
    assert scene.checked().sound


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": "client_gone"},
        {"outcome": "cap_reached"},
        {"outcome": "engine_failed", "state": "void"},
        {"usage_source": "bound"},
    ],
)
def test_what_was_cut_off_or_not_counted_is_believed_within_bounds(scene, fields):
    scene.call(100, 50, held_output_tokens=60, **fields)
    for work in (0, 60, OVERRUN_TOKENS):
        scene.work(0, work)
        found = scene.checked()
        assert found.sound
        scene.output_tokens = 0
        scene.bank.sql("DELETE FROM engine_reading")
    scene.work(0, 60 + OVERRUN_TOKENS + 1)
    assert scene.checked().output_difference == 1


def test_a_restarted_engine_is_a_new_baseline(scene):
    scene.call()
    scene.work(100, 50)
    scene.checked()
    scene.input_tokens = scene.output_tokens = 0
    scene.call()
    assert scene.check(generation="again") is None
    scene.call(7, 3)
    scene.work(7, 3)
    assert scene.checked(generation="again").sound


def test_counters_that_run_backwards_are_a_new_baseline(scene):
    scene.work(100, 50)
    scene.call()
    scene.checked()
    scene.input_tokens = 10
    assert scene.check() is None
    assert scene.checked().sound


def test_a_restarted_process_begins_at_zero_with_calls_of_its_own(scene):
    scene.call()
    scene.work(100, 50)
    scene.checked()
    scene.started_us = scene.bank.clock.us
    scene.input_tokens = scene.output_tokens = 0
    scene.call(7, 3, epoch=2)
    scene.work(7, 3)
    found = scene.checked(epoch=2, generation="h")
    assert found.sound
    assert found.charged.calls == 1


def test_every_process_is_compared_with_its_own_calls(scene):
    scene.call(100, 50)
    scene.call(7, 3, replica_id="other")
    scene.work(100, 50)
    assert scene.checked().sound
    mine = scene.reading(replica_id="other", input_tokens=7, output_tokens=3)
    scene.pass_time()
    found = scene.bank.write(
        lambda op, tx: reconcile.check_engine(op, tx, mine, started_us=scene.started_us)
    )
    assert found.sound
    assert {(r.replica_id, r.sound) for r in scene.latest()} == {("main", True), ("other", True)}


SHARED = {"replica_id": EVERYBODY, "epoch": 0}


def test_a_shared_engine_is_compared_with_the_calls_of_all(scene):
    scene.work(5_000, 5_000)
    assert scene.check(**SHARED) is None, "what others did before is not ours to explain"
    scene.pass_time()
    scene.call(100, 50)
    scene.call(7, 3, replica_id="other", epoch=9)
    scene.work(107, 53)
    scene.pass_time()
    found = scene.checked(**SHARED)
    assert found.sound
    assert found.charged.calls == 2
    scene.pass_time()
    scene.work(0, 500)
    assert not scene.checked(**SHARED).sound


def test_a_second_process_that_looks_a_moment_later_changes_nothing(scene):
    scene.check(**SHARED)
    scene.pass_time(SHARED_SPAN_US_MIN // 2 - MINUTE_US)
    before = scene.bank.rows("SELECT * FROM engine_reading")
    assert scene.check(**SHARED) is None
    assert scene.bank.rows("SELECT * FROM engine_reading") == before


def test_other_deployments_and_models_are_left_out(scene):
    scene.call(100, 50)
    scene.call(1000, 1000, deployment_id="dep_2")
    scene.call(1000, 1000, deployment_id=None, model="other")
    scene.work(100, 50)
    found = scene.checked()
    assert found.sound
    assert found.charged.calls == 1


def test_a_call_of_an_unknown_deployment_is_only_believed(scene):
    """Recovered from a journal: the model is known, the deployment is not."""
    scene.call(100, 50, deployment_id=None, outcome="interrupted")
    scene.work(100, 50)
    assert scene.checked().sound


def test_an_engine_that_leaves_cached_input_out(scene):
    scene.call(100, 50, cached_input_tokens=60)
    scene.call(30, 5)
    scene.work(40, 55)
    found = scene.checked(with_cached=False)
    assert found.sound
    assert found.charged.input_tokens == 40
    assert found.charged.unsure_input_tokens == 30
    scene.call(100, 0, cached_input_tokens=100)
    scene.work(1, 0)
    assert not scene.checked(with_cached=False).sound


def test_large_counts_are_added_up_without_a_bound(scene):
    scene.call(2**61, 2**61, held_input_tokens=0)
    scene.call(2**60, 2**60, held_input_tokens=0)
    scene.work(2**61 + 2**60, 2**61 + 2**60)
    assert scene.checked(call_tokens_max=2**40).sound


def test_the_ledger_is_proved_and_every_balance_kept(scene):
    bank = scene.bank
    bank.fund(500)
    finding = bank.read(reconcile.examine)
    assert finding.sound
    result = bank.write(lambda op, tx: reconcile.keep_ledger(op, tx, finding, "main"))
    assert (result.subject, result.sound, result.difference) == (Subject.LEDGER, True, 0)
    check = bank.read(lambda op, tx: reconcile.balance(op, tx, CALLER.org_id))
    assert (check.computed_nano, check.stored_nano, check.difference_nano) == (500, 500, 0)
    assert check.checked_us == finding.until_us
    assert bank.read(lambda op, tx: reconcile.balance(op, tx, "org_none")) is None
    assert scene.events() == []
    bank.fund(250, ref="more")
    again = bank.read(reconcile.examine)
    bank.write(lambda op, tx: reconcile.keep_ledger(op, tx, again, "main"))
    check = bank.read(lambda op, tx: reconcile.balance(op, tx, CALLER.org_id))
    assert check.computed_nano == 750
    assert len(scene.latest()) == 1


def test_a_balance_that_was_tampered_with_is_found_kept_and_told(scene):
    bank = scene.bank
    bank.fund(500)
    bank.unguarded("spend_limit", "UPDATE spend_limit SET limit_nano = 900 WHERE scope = 'balance'")
    finding = bank.read(reconcile.examine)
    assert not finding.sound
    result = bank.write(lambda op, tx: reconcile.keep_ledger(op, tx, finding, "main"))
    assert not result.sound
    check = bank.read(lambda op, tx: reconcile.balance(op, tx, CALLER.org_id))
    assert (check.computed_nano, check.stored_nano, check.difference_nano) == (500, 900, 400)
    (event,) = scene.events()
    assert (event["subject"], event["deployment_id"]) == ("ledger", None)
    body = json.loads(scene.latest()[0].body)
    assert any("expected 0.000000500" in text for text in body["problems"])


def test_a_posting_that_was_added_is_found(scene):
    bank = scene.bank
    bank.fund(500)
    bank.unguarded(
        "ledger_posting",
        "UPDATE ledger_posting SET amount_nano = 600 WHERE account_id LIKE 'prepaid:%'",
    )
    finding = bank.read(reconcile.examine)
    assert not finding.sound
    assert finding.balances[0].difference_nano == -100


def test_the_ledger_is_due_again_after_its_period(scene):
    bank = scene.bank

    def due(period_us: int) -> bool:
        return bank.read(lambda op, tx: reconcile.is_due(op, tx, period_us))

    assert due(MINUTE_US)
    finding = bank.read(reconcile.examine)
    bank.write(lambda op, tx: reconcile.keep_ledger(op, tx, finding, "main"))
    assert not due(MINUTE_US)
    scene.pass_time(MINUTE_US - 100)
    assert not due(MINUTE_US)
    scene.pass_time(100)
    assert due(MINUTE_US)


def test_old_results_are_forgotten(scene):
    bank = scene.bank
    for _ in range(2):
        finding = bank.read(reconcile.examine)
        bank.write(lambda op, tx, finding=finding: reconcile.keep_ledger(op, tx, finding, "main"))
        scene.pass_time(reconcile.KEPT_US + 1)
    assert len(bank.rows("SELECT id FROM reconcile_result")) == 1


def test_the_same_finding_is_kept_once(scene):
    bank = scene.bank
    finding = replace(bank.read(reconcile.examine))
    for _ in range(2):
        bank.write(lambda op, tx: reconcile.keep_ledger(op, tx, finding, "main"))
    assert len(bank.rows("SELECT id FROM reconcile_result")) == 1


def test_costs_of_calls_that_a_sound_look_has_seen_are_not_computed_again(scene):
    bank = scene.bank

    def look(*, only_new_costs: bool) -> reconcile.LedgerFinding:
        finding = bank.read(lambda op, tx: reconcile.examine(op, tx, only_new_costs=only_new_costs))
        bank.write(lambda op, tx: reconcile.keep_ledger(op, tx, finding, "main"))
        return finding

    old = scene.call(0, 0)
    assert look(only_new_costs=True).sound, "there was no look before, so it was in full"
    scene.pass_time(3 * RUN_US_MAX)
    assert look(only_new_costs=True).sound
    new = scene.call(0, 0)
    bank.unguarded(
        "call_record", f"UPDATE call_record SET output_tokens = 5 WHERE request_id = '{old}'"
    )
    assert look(only_new_costs=True).sound, "the old call was proved already"
    bank.unguarded(
        "call_record", f"UPDATE call_record SET output_tokens = 5 WHERE request_id = '{new}'"
    )
    assert not look(only_new_costs=True).sound
    both = look(only_new_costs=True)
    assert both.difference_nano == 2 * 10_000, "after an unsound look everything is computed"
    assert look(only_new_costs=False).difference_nano == 2 * 10_000


def test_a_ledger_without_organizations_has_no_balances_to_keep(bank: Bank) -> None:
    bank.write(lambda op, tx: put_balances(tx, ()))
    kept = bank.seen(lambda op, tx: reconcile.balance(op, tx, CALLER.org_id))
    assert kept is None
