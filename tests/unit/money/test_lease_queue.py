"""Who has to wait for whom: running calls go before new ones, where they share a limit."""

import pytest

from tests.support.bank import Bank
from tokenbooth.core.delta import Usage
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.leases.service import LevelKey, MoneyQueue, Verdict, Waiter

BALANCE = LevelKey(LimitScope.BALANCE, "org_1")
PROJECT = LevelKey(LimitScope.PROJECT, "proj_1")
OTHER_BALANCE = LevelKey(LimitScope.BALANCE, "org_2")
SAME_OWNER = LevelKey(LimitScope.ORGANIZATION, "org_1")


@pytest.fixture
def queue(bank: Bank) -> MoneyQueue:
    return MoneyQueue(bank.replica().pool, block_nano_max=1000)


def running(*chain: LevelKey) -> Waiter:
    return Waiter(chain, 10, runs=True)


def test_nobody_waits_for_a_new_call(queue: MoneyQueue) -> None:
    queue.add(Waiter((BALANCE,), 10, runs=False))
    assert not queue.running_waits_at((BALANCE,))


def test_a_running_call_goes_first_where_a_limit_is_shared(queue: MoneyQueue) -> None:
    queue.add(running(BALANCE, PROJECT))
    assert queue.running_waits_at((BALANCE,))
    assert queue.running_waits_at((OTHER_BALANCE, PROJECT))


def test_who_shares_no_limit_waits_for_nobody(queue: MoneyQueue) -> None:
    """One organization must not hold up all others."""
    queue.add(running(BALANCE, PROJECT))
    assert not queue.running_waits_at((OTHER_BALANCE, SAME_OWNER))
    assert not queue.running_waits_at(())


def test_a_window_by_name_is_the_limit_of_the_moment_too(queue: MoneyQueue) -> None:
    queue.add(running(LevelKey(LimitScope.PROJECT, "proj_1", "2026-11")))
    assert queue.running_waits_at((PROJECT,))


def test_the_last_running_call_that_leaves_frees_the_limit(queue: MoneyQueue) -> None:
    first, second = running(BALANCE, PROJECT), running(BALANCE)
    queue.add(first)
    queue.add(second)
    queue.remove(first)
    queue.remove(first)
    assert queue.running_waits_at((BALANCE,))
    assert not queue.running_waits_at((PROJECT,))
    queue.remove(second)
    assert not queue.running_waits_at((BALANCE,))
    assert len(queue) == 0


def test_a_new_call_takes_nothing_that_a_running_one_waits_for(bank: Bank) -> None:
    """Both find money in memory: enough for the small new call, too little for the running one."""
    bank.price(1000, 2000)
    bank.fund(1000)
    replica = bank.replica()
    bank.hold("req_1", output_tokens_max=200)
    bank.settle("req_1", usage=Usage(100, 0))
    bank.hold("req_2", output_tokens_max=1)
    levels = replica.running["req_2"].held.levels
    chain = tuple(level.named_key for level in levels)
    free_nano = min(level.free_nano for level in levels)
    assert free_nano > 0
    new = Waiter(chain, 1, runs=False)
    grows = Waiter(chain, free_nano + 1, runs=True)
    replica.queue.add(new)
    replica.queue.add(grows)
    assert replica.queue.verdict(new, levels) is Verdict.WAIT
    replica.queue.remove(grows)
    assert replica.queue.verdict(new, levels) is Verdict.FITS
