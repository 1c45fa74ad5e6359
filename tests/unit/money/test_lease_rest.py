"""Money that nobody uses goes back once, and nothing is taken in advance in its place."""

import pytest

from tests.support.bank import Bank
from tokenbooth.money.leases import service as leases
from tokenbooth.money.leases.service import PoolOptions

SECOND_US = 1_000_000


@pytest.fixture
def busy(bank: Bank) -> Bank:
    """``req_1`` still holds money, of which more was leased in advance."""
    bank.pool_options = PoolOptions(block_nano_max=10**9)
    bank.price(1000, 2000)
    bank.fund(100_000)
    bank.hold("req_1")
    return bank


def test_a_level_that_rests_gets_nothing_in_advance(busy: Bank) -> None:
    pool = busy.replica().pool
    busy.clock.us += 3 * SECOND_US
    assert pool.leased
    rounds = 0
    while pool.idle_left(busy.clock.us) or pool.running_low(busy.clock.us):
        busy.replica().round()
        rounds += 1
    assert rounds <= 2
    assert not pool.leased
    assert pool.has_leases
    (line,) = busy.seen(leases.replicas)
    assert line.granted_nano == line.held_nano == 120


def test_the_next_call_gets_its_advance_again(busy: Bank) -> None:
    busy.clock.us += 3 * SECOND_US
    busy.replica().round()
    assert not busy.replica().pool.leased
    busy.hold("req_2")
    assert busy.replica().pool.leased


def test_without_calls_nothing_stays_leased(busy: Bank) -> None:
    busy.settle("req_1")
    busy.replica().stop()
    assert not busy.replica().pool.has_leases
