"""The embedded store: shared commits, isolated failures, and what happens when the disk says no."""

import asyncio
import sqlite3
import stat
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from tests.support.stores import fresh_options
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.store.files import create_file
from tokenbooth.store.open import AsyncStore, open_store
from tokenbooth.store.options import StoreBounds, StoreOptions
from tokenbooth.store.sqlite import connect_file

ADD = text("INSERT INTO replica VALUES (:id, 1, 0, '', 0, 0, 0)")


def add(name: str) -> Callable[[Tx], str]:
    def verb(tx: Tx) -> str:
        tx.execute(ADD, {"id": name})
        return name

    return verb


def names(tx: Tx) -> list[str]:
    return [row.id for row in tx.execute(text("SELECT id FROM replica ORDER BY id"))]


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


class Gate:
    """A verb that keeps its thread until it is opened, so that others queue behind it."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def verb(self, tx: Tx) -> None:
        self.entered.set()
        assert self.opened.wait(20)

    async def shut(self, store: AsyncStore, *, read: bool = False) -> "asyncio.Task[None]":
        task = asyncio.create_task(store.read(self.verb) if read else store.write(self.verb))
        assert await asyncio.to_thread(self.entered.wait, 20)
        return task


def test_verbs_that_wait_together_share_one_commit(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    changes: list[int] = []

    def counted(name: str) -> Callable[[Tx], None]:
        def verb(tx: Tx) -> None:
            add(name)(tx)
            with closing(sqlite3.connect(options.sqlite_path)) as other:
                changes.append(other.execute("SELECT count(*) FROM replica").fetchone()[0])

        return verb

    async def scene(store: AsyncStore) -> None:
        gate = Gate()
        first = await gate.shut(store)
        rest = [asyncio.create_task(store.write(counted(f"r{n}"))) for n in range(5)]
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(first, *rest)
        assert len(await store.read(names)) == 5

    play(options, scene)
    assert changes == [0] * 5, "nobody else saw a row before the shared commit"


def test_a_group_is_bounded(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    seen: list[int] = []

    def counted(name: str) -> Callable[[Tx], None]:
        def verb(tx: Tx) -> None:
            with closing(sqlite3.connect(options.sqlite_path)) as other:
                seen.append(other.execute("SELECT count(*) FROM replica").fetchone()[0])
            add(name)(tx)

        return verb

    async def scene(store: AsyncStore) -> None:
        gate = Gate()
        first = await gate.shut(store)
        rest = [asyncio.create_task(store.write(counted(f"r{n}"))) for n in range(4)]
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(first, *rest)

    play(options, scene, StoreBounds(group_max=2))
    assert seen == [0, 0, 2, 2]


def test_a_failing_commit_fails_everybody_in_it(tmp_path: Path) -> None:
    def breaks_the_commit(tx: Tx) -> None:
        tx.execute(text("PRAGMA defer_foreign_keys = ON"))
        tx.execute(text("INSERT INTO project VALUES ('p', 'no_such_org', 'x', 0, 'me', 'private')"))

    async def scene(store: AsyncStore) -> None:
        gate = Gate()
        first = await gate.shut(store)
        rest = [
            asyncio.create_task(store.write(verb))
            for verb in (add("a"), breaks_the_commit, add("b"))
        ]
        await asyncio.sleep(0)
        gate.opened.set()
        await first
        results = await asyncio.gather(*rest, return_exceptions=True)
        assert [type(result) for result in results] == [IntegrityError] * 3
        assert await store.read(names) == []
        await store.write(add("later"))

    play(fresh_options(tmp_path), scene)


def test_a_lost_transaction_is_believed_by_nobody(tmp_path: Path) -> None:
    """On some disk errors SQLite gives the whole transaction up in the middle of a verb."""

    def loses(tx: Tx) -> None:
        tx.execute(text("ROLLBACK"))
        raise RuntimeError("after the transaction was gone")

    async def scene(store: AsyncStore) -> None:
        gate = Gate()
        first = await gate.shut(store)
        rest = [asyncio.create_task(store.write(verb)) for verb in (add("a"), loses, add("b"))]
        await asyncio.sleep(0)
        gate.opened.set()
        await first
        results = await asyncio.gather(*rest, return_exceptions=True)
        assert [type(result) for result in results] == [RuntimeError] * 3
        assert await store.read(names) == []
        assert await store.write(add("later")) == "later"

    play(fresh_options(tmp_path), scene)


def test_a_full_disk_is_an_outage_of_that_moment(tmp_path: Path) -> None:
    def too_much(tx: Tx) -> None:
        pages = tx.execute(text("PRAGMA page_count")).scalar()
        tx.execute(text(f"PRAGMA max_page_count = {pages}"))
        for number in range(1000):
            add(f"{number:0200}")(tx)

    def raise_the_ceiling(tx: Tx) -> None:
        tx.execute(text("PRAGMA max_page_count = 1000000"))

    async def scene(store: AsyncStore) -> None:
        with pytest.raises(Problem) as refused:
            await store.write(too_much)
        assert refused.value.code is Code.LEDGER_UNAVAILABLE
        assert "full" in refused.value.detail
        await store.write(raise_the_ceiling)
        assert await store.write(add("a")) == "a"
        assert await store.read(names) == ["a"]

    play(fresh_options(tmp_path), scene)


def test_a_writer_elsewhere_is_waited_for_and_then_an_outage(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)

    async def scene(store: AsyncStore) -> None:
        with closing(connect_file(options.sqlite_path, wait_ms=0)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Problem) as refused:
                await store.write(add("a"))
            assert refused.value.code is Code.LEDGER_UNAVAILABLE
            assert refused.value.retry_after_s == 1
            assert await store.read(names) == []
            other.execute("ROLLBACK")
        assert await store.write(add("a")) == "a"

    play(options, scene, StoreBounds(wait_ms=20))


def test_a_missing_file_is_an_outage_and_is_not_made(tmp_path: Path) -> None:
    options = StoreOptions(f"sqlite:///{tmp_path / 'none.db'}")

    async def scene(store: AsyncStore) -> None:
        for verb in (store.read, store.write):
            with pytest.raises(Problem) as refused:
                await verb(names)
            assert refused.value.code is Code.LEDGER_UNAVAILABLE
        assert not options.sqlite_path.exists()
        options.sqlite_path.write_bytes(fresh_options(tmp_path).sqlite_path.read_bytes())
        assert await store.write(add("a")) == "a"

    play(options, scene)


def test_a_wrong_statement_is_not_called_an_outage(tmp_path: Path) -> None:
    async def scene(store: AsyncStore) -> None:
        with pytest.raises(OperationalError, match="no such table"):
            await store.write(lambda tx: tx.execute(text("SELECT * FROM no_table")))

    play(fresh_options(tmp_path), scene)


def test_a_verb_cancelled_while_it_waits_is_dropped(tmp_path: Path) -> None:
    async def scene(store: AsyncStore) -> None:
        gate = Gate()
        first = await gate.shut(store)
        waiting = asyncio.create_task(store.write(add("a")))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        gate.opened.set()
        await first
        assert waiting.cancelled()
        assert await store.read(names) == []

    play(fresh_options(tmp_path), scene)


def test_a_full_queue_refuses_at_once(tmp_path: Path) -> None:
    async def scene(store: AsyncStore) -> None:
        for read in (False, True):
            gate = Gate()
            first = await gate.shut(store, read=read)
            ask = store.read if read else store.write
            waiting = asyncio.create_task(ask(names))
            await asyncio.sleep(0)
            with pytest.raises(Problem) as refused:
                await ask(names)
            assert refused.value.code is Code.LEDGER_UNAVAILABLE
            assert "full" in refused.value.detail
            gate.opened.set()
            await asyncio.gather(first, waiting)

    play(fresh_options(tmp_path), scene, StoreBounds(queue_max=1, readers=1))


def test_readers_work_while_a_write_runs(tmp_path: Path) -> None:
    async def scene(store: AsyncStore) -> None:
        await store.write(add("a"))
        gate = Gate()
        first = await gate.shut(store)
        assert await store.read(names) == ["a"]
        gate.opened.set()
        await first

    play(fresh_options(tmp_path), scene)


def test_a_caller_whose_loop_is_gone_hurts_nobody(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    gate = Gate()

    async def scene(store: AsyncStore) -> None:
        gone = asyncio.new_event_loop()
        task = gone.create_task(store.write(gate.verb))
        await asyncio.to_thread(gone.run_until_complete, asyncio.sleep(0, loop_step(gone)))
        assert await asyncio.to_thread(gate.entered.wait, 20)
        task.cancel()
        await asyncio.to_thread(gone.run_until_complete, asyncio.wait([task]))
        gone.close()
        gate.opened.set()
        assert await store.write(add("a")) == "a"

    play(options, scene)


def loop_step(loop: asyncio.AbstractEventLoop) -> None:
    """Nothing: one turn of the loop is what is wanted."""


def test_connections_are_durable_and_keep_foreign_keys(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)

    def settings(tx: Tx) -> tuple[object, ...]:
        asked = ("journal_mode", "synchronous", "foreign_keys")
        return tuple(tx.execute(text(f"PRAGMA {name}")).scalar() for name in asked)

    async def scene(store: AsyncStore) -> None:
        assert await store.read(settings) == ("wal", 2, 1)
        assert await store.write(settings) == ("wal", 2, 1)

    play(options, scene)


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    create_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("kept")
    create_file(path)
    assert path.read_text() == "kept"


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused:
        create_file(tmp_path / "no" / "such" / "place.db")
    assert refused.value.code is Code.STATE_CONFLICT
    assert "place.db" in refused.value.public


def test_a_closed_store_is_one_whole_file(tmp_path: Path) -> None:
    options = fresh_options(tmp_path)
    left = iter(range(40))

    async def scene(store: AsyncStore) -> None:
        await asyncio.gather(*map(store.read, [names] * 3), store.write(add(f"rep_{next(left)}")))

    for _ in range(40):
        play(options, scene)
        assert not options.sqlite_path.with_name("tokenbooth.db-wal").exists()
    with closing(sqlite3.connect(options.sqlite_path)) as found:
        assert found.execute("SELECT count(*) FROM replica").fetchone() == (40,)
