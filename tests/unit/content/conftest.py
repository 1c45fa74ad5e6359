"""Content tests run on SQLite here; ``tests/outside/content`` runs the same ones on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.claims import ClaimDesk, opened_desk
from tests.support.stores import fresh_options


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ClaimDesk]:
    with opened_desk(fresh_options(tmp_path)) as opened:
        yield opened
