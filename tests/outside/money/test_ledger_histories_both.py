"""Longer random histories, on both databases."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, run_state_machine_as_test

from tests.outside.conftest import Databases
from tests.support.bank import Bank
from tests.support.ledger_machine import LedgerMachine
from tests.support.stores import fresh_options

SETTINGS = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_no_history_loses_or_makes_money(kind: str, postgres: Databases) -> None:
    ran: list[RuleBasedStateMachine] = []

    class Machine(LedgerMachine):
        @initialize()
        def open_bank(self) -> None:
            self._directory = tempfile.TemporaryDirectory()
            path = Path(self._directory.name)
            self.start(Bank(fresh_options(path) if kind == "sqlite" else postgres.migrated()))
            ran.append(self)

        def teardown(self) -> None:
            super().teardown()
            self._directory.cleanup()
            postgres.drop()

    run_state_machine_as_test(Machine, settings=SETTINGS)
    assert ran
