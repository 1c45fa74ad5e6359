"""The claims of ``tests/unit/content``, on a real PostgreSQL: the same tests, the same promises."""

from collections.abc import Iterator

import pytest

from tests.outside.conftest import Databases
from tests.support.claims import ClaimDesk, opened_desk


@pytest.fixture
def desk(postgres: Databases) -> Iterator[ClaimDesk]:
    with opened_desk(postgres.migrated()) as opened:
        yield opened
