"""Longer random histories, on both databases; ``scripts/nightly`` asks for many more."""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, run_state_machine_as_test

from tests.outside.conftest import Databases
from tests.support.ledger_machine import LedgerMachine
from tests.support.timed import timed_postgres, timed_sqlite

SETTINGS = settings(
    max_examples=int(os.environ.get("TOKENBOOTH_TEST_HISTORIES", "15")),
    stateful_step_count=int(os.environ.get("TOKENBOOTH_TEST_STEPS", "25")),
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
            self._open = ExitStack()
            directory = Path(self._open.enter_context(tempfile.TemporaryDirectory()))
            patch = self._open.enter_context(pytest.MonkeyPatch.context())
            if kind == "sqlite":
                timed = timed_sqlite(directory, patch)
            else:
                timed = timed_postgres(postgres.migrated())
            self.begin(self._open.enter_context(timed))
            ran.append(self)

        def teardown(self) -> None:
            super().teardown()
            self._open.close()
            postgres.drop()

    run_state_machine_as_test(Machine, settings=SETTINGS)
    assert ran
