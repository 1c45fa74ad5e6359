"""The desk of ``tests/unit/money/prices``, on a real PostgreSQL."""

from collections.abc import Iterator

import pytest

from tests.outside.conftest import Databases
from tests.support.settled import Desk, opened_desk


@pytest.fixture
def desk(postgres: Databases) -> Iterator[Desk]:
    with opened_desk(postgres.migrated()) as opened:
        yield opened
