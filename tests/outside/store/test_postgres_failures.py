"""PostgreSQL that goes away, gets in the way, or cannot be had."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.outside.conftest import Databases
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.store.migrate import schema_revision
from tokenbooth.store.open import AsyncStore, open_store
from tokenbooth.store.options import StoreBounds, StoreOptions

ONE = text("SELECT 1")
ADD = text("INSERT INTO replica VALUES (:id, 1, 0, '', 0, 0, 0)")
TOUCH = text("UPDATE replica SET seen_us = seen_us + 1 WHERE id = :id")
CUT = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def play(
    options: StoreOptions,
    scene: Callable[[AsyncStore], Awaitable[None]],
    bounds: StoreBounds | None = None,
) -> None:
    async def run() -> None:
        store = open_store(options, bounds or StoreBounds())
        try:
            await scene(store)
        finally:
            await store.close()

    asyncio.run(run())


def add(name: str) -> Callable[[Tx], None]:
    return lambda tx: tx.execute(ADD, {"id": name}) and None


def seen(name: str) -> Callable[[Tx], int]:
    query = text("SELECT seen_us FROM replica WHERE id = :id")
    return lambda tx: int(tx.execute(query, {"id": name}).scalar_one())


def test_a_connection_cut_while_idle_is_replaced_without_a_word(postgres: Databases) -> None:
    options = postgres.migrated()

    async def scene(store: AsyncStore) -> None:
        await store.write(add("a"))
        other = open_store(options)
        await other.read(lambda tx: tx.execute(CUT) and None)
        await other.close()
        await store.write(lambda tx: tx.execute(TOUCH, {"id": "a"}) and None)
        assert await store.read(seen("a")) == 1

    play(options, scene)


def test_a_connection_cut_inside_a_verb_runs_it_again_once(postgres: Databases) -> None:
    options = postgres.migrated()
    runs: list[int] = []

    def verb(tx: Tx) -> None:
        runs.append(len(runs))
        tx.execute(TOUCH, {"id": "a"})
        if len(runs) == 1:
            tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    async def scene(store: AsyncStore) -> None:
        await store.write(add("a"))
        await store.write(verb)
        assert await store.read(seen("a")) == 1

    play(options, scene)
    assert runs == [0, 1]


def test_verbs_that_lock_each_other_out_both_end(postgres: Databases) -> None:
    options = postgres.migrated()

    async def scene(store: AsyncStore) -> None:
        for name in ("a", "b"):
            await store.write(add(name))
        first = asyncio.Barrier(2)

        def crosswise(one: str, two: str) -> Callable[[Tx], None]:
            def verb(tx: Tx) -> None:
                tx.execute(TOUCH, {"id": one})
                tx.execute(text("SELECT pg_sleep(0.3)"))
                tx.execute(TOUCH, {"id": two})

            return verb

        async def run(verb: Callable[[Tx], None]) -> None:
            await first.wait()
            await store.write(verb)

        await asyncio.gather(run(crosswise("a", "b")), run(crosswise("b", "a")))
        assert [await store.read(seen(name)) for name in ("a", "b")] == [2, 2]

    play(options, scene)


def test_a_conflict_that_never_ends_is_given_up(postgres: Databases) -> None:
    runs: list[int] = []

    def verb(tx: Tx) -> None:
        runs.append(len(runs))
        tx.execute(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"))

    async def scene(store: AsyncStore) -> None:
        with pytest.raises(Problem) as refused:
            await store.write(verb)
        assert refused.value.code is Code.LEDGER_UNAVAILABLE

    play(postgres.migrated(), scene)
    assert len(runs) == 12


def test_a_wrong_statement_is_not_called_an_outage(postgres: Databases) -> None:
    async def scene(store: AsyncStore) -> None:
        with pytest.raises(DBAPIError):
            await store.write(lambda tx: tx.execute(text("SELECT * FROM nothing")))
        await store.read(lambda tx: tx.execute(ONE) and None)

    play(postgres.migrated(), scene)


def test_a_read_is_refused_every_write(postgres: Databases) -> None:
    async def scene(store: AsyncStore) -> None:
        with pytest.raises(DBAPIError, match="read-only"):
            await store.read(add("a"))

    play(postgres.migrated(), scene)


def test_a_lock_not_had_in_time_is_an_outage(postgres: Databases) -> None:
    options = postgres.migrated()

    async def scene(store: AsyncStore) -> None:
        await store.write(add("a"))
        held, free = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        other = open_store(options)

        async def hold_lock() -> None:
            connection = await other._engine.connect()
            transaction = await connection.begin()
            await connection.execute(TOUCH, {"id": "a"})
            held.set()
            await free.wait()
            await transaction.rollback()
            await connection.close()

        task = loop.create_task(hold_lock())
        await held.wait()
        with pytest.raises(Problem) as refused:
            await store.write(lambda tx: tx.execute(TOUCH, {"id": "a"}))
        assert refused.value.code is Code.LEDGER_UNAVAILABLE
        free.set()
        await task
        await other.close()
        await store.write(lambda tx: tx.execute(TOUCH, {"id": "a"}) and None)

    play(options, scene, StoreBounds(wait_ms=200))


def test_no_free_connection_in_time_is_an_outage(postgres: Databases) -> None:
    async def scene(store: AsyncStore) -> None:
        slow = asyncio.create_task(
            store.write(lambda tx: tx.execute(text("SELECT pg_sleep(1)")) and None)
        )
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await store.write(lambda tx: tx.execute(ONE))
        assert refused.value.code is Code.LEDGER_UNAVAILABLE
        await slow
        await store.write(lambda tx: tx.execute(ONE) and None)

    play(postgres.migrated(), scene, StoreBounds(connections_max=1, wait_ms=250))


def test_no_server_is_an_outage(tmp_path: Path) -> None:
    options = StoreOptions(f"postgresql://nobody@/nothing?host={tmp_path}")

    async def scene(store: AsyncStore) -> None:
        with pytest.raises(Problem) as refused:
            await store.read(lambda tx: tx.execute(ONE))
        assert refused.value.code is Code.LEDGER_UNAVAILABLE

    play(options, scene)
    with pytest.raises(Problem) as refused:
        schema_revision(options)
    assert refused.value.code is Code.LEDGER_UNAVAILABLE


def test_no_such_database_is_an_outage(postgres: Databases) -> None:
    options = StoreOptions(postgres.server.url("nothing_here"))

    async def scene(store: AsyncStore) -> None:
        with pytest.raises(Problem) as refused:
            await store.write(lambda tx: tx.execute(ONE))
        assert refused.value.code is Code.LEDGER_UNAVAILABLE
        assert "nothing_here" in refused.value.detail

    play(options, scene)
    with pytest.raises(Problem):
        schema_revision(options)
