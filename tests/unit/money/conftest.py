"""Money tests run on SQLite here; ``tests/outside/store`` runs the same ones on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bank import Bank, opened_bank
from tests.support.stores import fresh_options
from tests.support.timed import Timed, timed_sqlite


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with opened_bank(fresh_options(tmp_path)) as opened:
        yield opened


@pytest.fixture
def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Timed]:
    with timed_sqlite(tmp_path, monkeypatch) as opened:
        yield opened
