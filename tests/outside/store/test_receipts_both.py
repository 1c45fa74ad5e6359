"""Receipts on both databases: many signers, older schemas, copies, and what may not be done."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.outside.conftest import Databases
from tests.support.again import again
from tests.support.ops import make_op
from tests.support.settled import OTHER_SEED, SEED, Desk, opened_desk
from tests.unit.store import test_listing
from tokenbooth.control.receipts import receipt, sign_waiting
from tokenbooth.money.receipts.checking import verify
from tokenbooth.money.receipts.service import BATCH_CALLS_MAX, Signer
from tokenbooth.store.backup import backup, restore
from tokenbooth.store.migrate import migrate, upgrade
from tokenbooth.store.once import run_once
from tokenbooth.store.open import open_store
from tokenbooth.store.options import StoreOptions

globals().update(again(test_listing))

TABLES = ("receipt_key", "receipt_batch", "receipt_leaf")


@pytest.fixture
def desk(store_options: StoreOptions) -> Iterator[Desk]:
    with opened_desk(store_options) as opened:
        opened.price()
        yield opened


def named(count: int) -> list[dict[str, object]]:
    return [{"request_id": f"req_{number:05}"} for number in range(count)]


def verified(desk: Desk, count: int) -> None:
    for call in named(count):
        steps = verify(desk.receipt(str(call["request_id"])), ())
        assert all(step.ok for step in steps), steps


def test_several_signers_and_readers_sign_each_call_once(
    store_options: StoreOptions, desk: Desk
) -> None:
    """Three replicas with keys of their own, and callers who cannot wait."""
    count = 4 * BATCH_CALLS_MAX
    for start in range(0, count, 256):
        desk.settle(*named(count)[start : start + 256])
    signers = [Signer(SEED), Signer(OTHER_SEED), Signer(SEED)]
    op = make_op(desk.clock)

    async def scene() -> None:
        stores = [open_store(store_options) for _ in signers]
        rounds = [
            sign_waiting(store, op, signer) for store, signer in zip(stores, signers, strict=True)
        ]
        asks = [
            receipt(stores[number % 3], op, signers[number % 3], "org_a", f"req_{number:05}")
            for number in range(0, count, 97)
        ]
        await asyncio.gather(*rounds, *asks, *asks_again(stores, op, signers, count))
        for store in stores:
            await sign_waiting(store, op, signers[0])
        for store in stores:
            await store.close()

    asyncio.run(scene())
    assert desk.rows("SELECT count(*) FROM receipt_due") == [(0,)]
    assert desk.rows("SELECT count(*) FROM receipt_leaf") == [(count,)]
    ((signed,),) = desk.rows("SELECT sum(size) FROM receipt_batch")
    assert int(signed) == count
    twice = "SELECT 1 FROM receipt_leaf GROUP BY batch_id, leaf_index HAVING count(*) > 1"
    assert desk.rows(twice) == []
    verified(desk, 40)


def asks_again(stores, op, signers, count: int):
    """The same calls from another replica at the same moment."""
    return [
        receipt(stores[(number + 1) % 3], op, signers[0], "org_a", f"req_{number:05}")
        for number in range(0, count, 97)
    ]


def test_calls_from_before_there_were_receipts_get_theirs(
    empty_options: StoreOptions, tmp_path: Path
) -> None:
    if empty_options.is_sqlite:
        empty_options.sqlite_path.touch()
    run_once(empty_options, lambda tx: upgrade(tx, "0005"))
    with opened_desk(empty_options) as desk:
        desk.price()
        desk.settle(*named(3))
        desk.settle({"request_id": "req_free", "charged": False})
    migrate(empty_options)
    with opened_desk(empty_options) as desk:
        assert desk.sign_all() == 4
        verified(desk, 3)
        assert desk.receipt("req_free")["amount_nano"] == 0


def test_a_restored_copy_has_the_same_receipts_and_signs_none_again(
    store_options: StoreOptions, postgres: Databases, desk: Desk, tmp_path: Path
) -> None:
    desk.settle(*named(3))
    desk.sign_all()
    before = [desk.receipt(str(call["request_id"])) for call in named(3)]
    desk.settle({"request_id": "req_later"})
    saved = tmp_path / "saved"
    backup(store_options, saved)
    targets = [StoreOptions(f"sqlite:///{tmp_path / 'restored.db'}")]
    if not store_options.is_sqlite:
        targets.append(postgres.empty())
    for target in targets:
        restore(target, saved)
        with opened_desk(target) as copy:
            copy.sign_all()
            assert [copy.receipt(str(call["request_id"])) for call in named(3)] == before
            assert copy.rows("SELECT size FROM receipt_batch ORDER BY size") == [(1,), (3,)]
            assert copy.rows("SELECT count(*) FROM receipt_due") == [(0,)]
            assert copy.receipt("req_later")["proof"]["tree_size"] == 1


def test_what_was_signed_is_not_emptied_or_replaced(desk: Desk) -> None:
    desk.settle(*named(1))
    desk.sign_all()
    for table in TABLES:
        before = desk.rows(f"SELECT * FROM {table}")
        if desk.options.is_sqlite:
            statements = [f"DELETE FROM {table}", f"INSERT OR REPLACE INTO {table} {same(table)}"]
        else:
            statements = [f"TRUNCATE {table} CASCADE", f"INSERT INTO {table} {same(table)}"]
        for statement in statements:
            if "REPLACE" in statement and table == "receipt_key":
                desk.sql(statement)  # the same key again is no news
                continue
            with pytest.raises(DBAPIError):
                desk.sql(statement)
        assert desk.rows(f"SELECT * FROM {table}") == before


def same(table: str) -> str:
    return f"SELECT * FROM {table}"


def test_a_round_that_is_taken_back_leaves_nothing_to_sign(desk: Desk) -> None:
    """The list follows the transaction that settled, whatever wrote it."""

    def lost(op: object, tx: object) -> None:
        tx.execute(text("INSERT INTO receipt_due VALUES ('req_ghost', 'call')"))
        raise RuntimeError("taken back")

    with pytest.raises(RuntimeError):
        desk.write(lost)
    assert desk.rows("SELECT count(*) FROM receipt_due") == [(0,)]
    desk.settle(*named(2), {"request_id": "req_free", "charged": False})
    waiting = desk.rows("SELECT id, kind FROM receipt_due ORDER BY id")
    assert waiting == [("charge:org_a:1", "charge"), ("req_free", "call")]
