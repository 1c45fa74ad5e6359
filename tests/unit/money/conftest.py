"""Money tests run on SQLite here; ``tests/outside/store`` runs the same ones on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bank import Bank, opened_bank
from tests.support.stores import fresh_options


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with opened_bank(fresh_options(tmp_path)) as opened:
        yield opened
