"""What the pool remembers of levels and rounds, apart from any database."""

from pathlib import Path

from tests.support.stores import fresh_tx
from tokenbooth.core.receipt import LimitScope
from tokenbooth.money.leases import sql
from tokenbooth.money.leases.level import Level
from tokenbooth.money.leases.level_book import LevelBook
from tokenbooth.money.leases.pool import Pool
from tokenbooth.money.leases.values import CallFacts, LevelKey, PoolOptions, Wants

KEY = LevelKey(LimitScope.KEY, "key_1")


def level(ends_us: int | None) -> Level:
    made = Level("key:key_1@2026-11", KEY)
    made.ends_us = ends_us
    made.granted_nano = made.free_nano = 100
    return made


def facts(number: int) -> CallFacts:
    return CallFacts(
        request_id=f"req_{number}",
        org_id="org_1",
        project_id="project_1",
        key_id="key_1",
        end_customer=None,
        model="m",
        stream=True,
        price_version="pv_1",
        tier="standard",
        data_terms="private",
        chain=("key:key_1",),
        held_nano=10,
        input_tokens=1,
        output_tokens=1,
        created_us=1,
    )


def test_a_remembered_chain_ends_with_its_window() -> None:
    book, mine = LevelBook(PoolOptions()), level(ends_us=100)
    book.by_limit[mine.limit_id] = book._current[KEY] = mine
    pool = Pool("main", 1, PoolOptions())
    pool._book = book
    leased = pool.leased_at((KEY,), 50)
    assert leased is not None
    assert leased.levels == (mine,)
    assert pool.stands(leased, 99)
    assert not pool.stands(leased, 100)
    assert pool.leased_at((KEY,), 100) is None  # nor is it found anew


def test_a_remembered_chain_ends_when_a_level_goes() -> None:
    pool, mine = Pool("main", 1, PoolOptions()), level(ends_us=None)
    book = pool._book
    book.by_limit[mine.limit_id] = book._current[KEY] = mine
    leased = pool.leased_at((KEY,), 50)
    assert leased is not None
    assert pool.stands(leased, 10**18)
    book._leave(mine)
    assert not pool.stands(leased, 50)


def test_a_chain_with_an_unknown_level_is_not_leased() -> None:
    book, mine = LevelBook(PoolOptions()), level(ends_us=None)
    book.by_limit[mine.limit_id] = book._current[KEY] = mine
    other = LevelKey(LimitScope.BALANCE, "org_1")
    assert book.leased_at((other, KEY), 0) is None
    assert book.leased_at((KEY,), 10**18) is not None


def test_calls_of_a_refused_round_are_announced_again_unless_they_ended() -> None:
    pool, mine = Pool("main", 1, PoolOptions()), level(ends_us=None)
    pool._book.by_limit[mine.limit_id] = mine
    running, ended = (pool.hold(facts(number), (mine,), 0) for number in (1, 2))
    asked = pool.next_round(Wants(), 0, announce=True)
    assert [each.request_id for each in asked.announced] == ["req_1", "req_2"]
    assert pool.next_round(Wants(), 0) is asked
    pool.release(ended, 0, 0)
    assert pool.refused() is None
    again = pool.next_round(Wants(), 0, announce=True)
    assert [each.request_id for each in again.announced] == [running.facts.request_id]


def test_nothing_to_open_opens_nothing(tmp_path: Path) -> None:
    with fresh_tx(tmp_path) as tx:
        sql.open_limits(tx, ())
        assert sql.limits(tx, ("key:key_1",), locked=False) == {}
