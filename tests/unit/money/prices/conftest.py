"""Price books on SQLite; ``tests/outside/money/prices`` has the same tests on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.settled import Desk, opened_desk
from tests.support.stores import fresh_options


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened_desk(fresh_options(tmp_path)) as opened:
        yield opened
