"""The bank of ``tests/unit/money``, on a real PostgreSQL: the same tests, the same promises."""

from collections.abc import Iterator

import pytest

from tests.outside.conftest import Databases
from tests.support.bank import Bank, opened_bank
from tests.support.timed import Timed, timed_postgres


@pytest.fixture
def bank(postgres: Databases) -> Iterator[Bank]:
    with opened_bank(postgres.migrated()) as opened:
        yield opened


@pytest.fixture
def timed(postgres: Databases) -> Iterator[Timed]:
    with timed_postgres(postgres.migrated()) as opened:
        yield opened
