"""Random histories on SQLite; ``tests/outside/money`` runs more of them on PostgreSQL too."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import initialize

from tests.support.ledger_machine import LedgerMachine
from tests.support.timed import timed_sqlite


class SqliteLedger(LedgerMachine):
    @initialize()
    def open_bank(self) -> None:
        self._open = ExitStack()
        directory = self._open.enter_context(tempfile.TemporaryDirectory())
        patch = self._open.enter_context(pytest.MonkeyPatch.context())
        self.begin(self._open.enter_context(timed_sqlite(Path(directory), patch)))

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            if hasattr(self, "_open"):
                self._open.close()


TestLedgerHistories = SqliteLedger.TestCase
TestLedgerHistories.settings = settings(
    max_examples=10,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
