"""Random histories on SQLite; ``tests/outside/money`` runs more of them on PostgreSQL too."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import initialize

from tests.support.bank import Bank
from tests.support.ledger_machine import LedgerMachine
from tests.support.stores import fresh_options


class SqliteLedger(LedgerMachine):
    @initialize()
    def open_bank(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.start(Bank(fresh_options(Path(self._directory.name))))

    def teardown(self) -> None:
        super().teardown()
        self._directory.cleanup()


TestLedgerHistories = SqliteLedger.TestCase
TestLedgerHistories.settings = settings(
    max_examples=8,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
