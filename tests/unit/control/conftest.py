"""One open transaction on a migrated database, with everything a verb needs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ops import CountingIds, ManualClock, make_op
from tests.support.stores import fresh_tx
from tokenbooth.control import accounts, keys
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx

PEPPER = b"p" * 32


class Noise:
    """Different bytes each time, the same in every run."""

    def __init__(self) -> None:
        self._count = 0

    def token_bytes(self, count: int) -> bytes:
        self._count += 1
        return (self._count.to_bytes(4) * (count // 4 + 1))[:count]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def op(clock: ManualClock) -> Op:
    return make_op(clock)


@pytest.fixture
def ids() -> CountingIds:
    return CountingIds()


@pytest.fixture
def noise() -> Noise:
    return Noise()


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Tx]:
    with fresh_tx(tmp_path) as opened:
        yield opened


@pytest.fixture
def mint(ids: CountingIds, noise: Noise) -> keys.Mint:
    return keys.Mint(ids, noise, PEPPER)


@pytest.fixture
def acme(op: Op, tx: Tx, ids: CountingIds) -> Any:
    """An organization with 10 USD."""
    org = accounts.create_organization(op, tx, accounts.OrganizationAsk("acme"), ids)
    accounts.add_credit(op, tx, "acme", 10 * 10**9, "first")
    return org


@pytest.fixture
def new_key(op: Op, tx: Tx, mint: keys.Mint, acme: Any) -> Callable[..., Any]:
    def make(**fields: Any) -> Any:
        return keys.create_key(op, tx, keys.NewKey(**{"org": "acme", "name": "k", **fields}), mint)

    return make
