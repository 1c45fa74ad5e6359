from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from tests.support.ops import CountingIds, ManualClock, make_op
from tests.support.stores import fresh_tx
from tokenbooth.core.op import Op


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Connection]:
    with fresh_tx(tmp_path) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ids() -> CountingIds:
    return CountingIds()


@pytest.fixture
def op(clock: ManualClock) -> Op:
    return make_op(clock)
