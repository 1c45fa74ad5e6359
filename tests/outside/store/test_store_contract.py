"""What both stores promise to every verb."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.store.open import AsyncStore, open_store
from tokenbooth.store.options import StoreBounds, StoreOptions

ADD = text("INSERT INTO replica VALUES (:id, 1, 0, '', 0, 0, 0)")
ALL = text("SELECT id FROM replica ORDER BY id")


def add(name: str) -> Callable[[Tx], str]:
    def verb(tx: Tx) -> str:
        tx.execute(ADD, {"id": name})
        return name

    return verb


def names(tx: Tx) -> list[str]:
    return [row.id for row in tx.execute(ALL)]


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


def test_a_write_is_read_by_the_next_verb(store_options: StoreOptions) -> None:
    async def scene(store: AsyncStore) -> None:
        assert await store.write(add("a")) == "a"
        assert await store.read(names) == ["a"]

    play(store_options, scene)


def test_many_writes_at_once_all_arrive(store_options: StoreOptions) -> None:
    wanted = [f"r{number:03}" for number in range(200)]

    async def scene(store: AsyncStore) -> None:
        results = await asyncio.gather(*(store.write(add(name)) for name in wanted))
        assert list(results) == wanted
        assert await store.read(names) == wanted

    play(store_options, scene)


def test_what_a_verb_raises_reaches_its_caller_and_undoes_its_writes(
    store_options: StoreOptions,
) -> None:
    def verb(tx: Tx) -> None:
        add("a")(tx)
        raise Problem(Code.BALANCE_EXHAUSTED, "no money")

    async def scene(store: AsyncStore) -> None:
        with pytest.raises(Problem, match="no money"):
            await store.write(verb)
        assert await store.read(names) == []

    play(store_options, scene)


def test_a_failing_verb_takes_no_neighbour_with_it(store_options: StoreOptions) -> None:
    async def scene(store: AsyncStore) -> None:
        await store.write(add("taken"))
        wanted = ["a", "taken", "b", "taken", "c"]
        results = await asyncio.gather(
            *(store.write(add(name)) for name in wanted), return_exceptions=True
        )
        assert [type(r) for r in results] == [str, IntegrityError, str, IntegrityError, str]
        assert await store.read(names) == ["a", "b", "c", "taken"]

    play(store_options, scene)


def test_a_read_changes_nothing(store_options: StoreOptions) -> None:
    async def scene(store: AsyncStore) -> None:
        await asyncio.gather(store.read(add("a")), return_exceptions=True)
        assert await store.read(names) == []

    play(store_options, scene)


def test_a_read_sees_one_snapshot(store_options: StoreOptions) -> None:
    reading, written = threading.Event(), threading.Event()

    def slow_read_sqlite(tx: Tx) -> tuple[list[str], list[str]]:
        before = names(tx)
        reading.set()
        assert written.wait(20)
        return before, names(tx)

    async def scene(store: AsyncStore) -> None:
        task = asyncio.create_task(store.read(slow_read_sqlite))
        assert await asyncio.to_thread(reading.wait, 20)
        await store.write(add("a"))
        written.set()
        assert await task == ([], [])
        assert await store.read(names) == ["a"]

    async def scene_postgres(store: AsyncStore) -> None:
        async def other_writer() -> None:
            other = open_store(store_options)
            await other.write(add("a"))
            await other.close()

        def read(tx: Tx) -> tuple[list[str], list[str]]:
            before = names(tx)
            thread = threading.Thread(target=lambda: asyncio.run(other_writer()))
            thread.start()
            thread.join()
            return before, names(tx)

        assert await store.read(read) == ([], [])
        assert await store.read(names) == ["a"]

    play(store_options, scene if store_options.is_sqlite else scene_postgres)


def test_a_write_that_began_ends_although_its_waiter_is_gone(store_options: StoreOptions) -> None:
    began = threading.Event()

    def verb(tx: Tx) -> None:
        began.set()
        add("a")(tx)

    async def scene(store: AsyncStore) -> None:
        task = asyncio.create_task(store.write(verb))
        while not began.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    play(store_options, scene)

    async def look(store: AsyncStore) -> None:
        assert await store.read(names) == ["a"]

    play(store_options, look)


def test_a_closed_store_says_so_and_closes_again(store_options: StoreOptions) -> None:
    async def scene(store: AsyncStore) -> None:
        await store.write(add("a"))
        await store.close()
        for verb in (store.read, store.write):
            with pytest.raises(Problem) as refused:
                await verb(names)
            assert refused.value.code is Code.LEDGER_UNAVAILABLE

    play(store_options, scene)


def test_closing_finishes_what_was_asked_before(store_options: StoreOptions) -> None:
    async def scene(store: AsyncStore) -> None:
        tasks = [asyncio.create_task(store.write(add(f"r{n}"))) for n in range(20)]
        await asyncio.sleep(0)
        await store.close()
        assert len(await asyncio.gather(*tasks)) == 20

    play(store_options, scene)


def test_more_waiting_verbs_than_allowed_are_refused(store_options: StoreOptions) -> None:
    async def scene(store: AsyncStore) -> None:
        results = await asyncio.gather(
            *(store.write(add(f"r{n:02}")) for n in range(50)), return_exceptions=True
        )
        refused = [r for r in results if isinstance(r, Problem)]
        assert refused
        assert {problem.code for problem in refused} == {Code.LEDGER_UNAVAILABLE}
        assert {problem.retry_after_s for problem in refused} == {1}
        done = [r for r in results if isinstance(r, str)]
        assert await store.read(names) == sorted(done)

    play(store_options, scene, StoreBounds(queue_max=3))


def test_text_beyond_latin_comes_back_as_it_went(store_options: StoreOptions) -> None:
    async def scene(store: AsyncStore) -> None:
        await store.write(add("Zoë 模型 🎟"))
        assert await store.read(names) == ["Zoë 模型 🎟"]

    play(store_options, scene)
