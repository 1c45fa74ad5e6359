"""The loop that signs: all that waits in one round, and nothing at all when nothing does."""

import asyncio
from pathlib import Path

from tests.support.settled import opened_desk
from tests.support.stores import fresh_options
from tokenbooth.money.receipts.service import BATCH_CALLS_MAX
from tokenbooth.workers.loop import Loop
from tokenbooth.workers.options import WorkerOptions
from tokenbooth.workers.receipts import ReceiptSigning


def test_a_round_signs_all_that_waits(tmp_path: Path) -> None:
    with opened_desk(fresh_options(tmp_path)) as desk:
        desk.price()
        signing = ReceiptSigning(desk.store, desk.signer, lambda: desk.op)
        assert desk.runner.run(signing.sign()) == 0
        count = BATCH_CALLS_MAX + 2
        desk.settle(*({"request_id": f"req_{number:04}"} for number in range(count)))
        assert desk.runner.run(signing.sign()) == count
        assert desk.rows("SELECT count(*) FROM receipt_leaf") == [(count,)]
        assert desk.runner.run(signing.sign()) == 0


def test_idle_rounds_only_read(tmp_path: Path) -> None:
    with opened_desk(fresh_options(tmp_path)) as desk:

        class ReadOnly:
            reads = 0

            async def read(self, verb):
                self.reads += 1
                return await desk.store.read(verb)

        store = ReadOnly()
        signing = ReceiptSigning(store, desk.signer, lambda: desk.op)
        for _ in range(3):
            assert desk.runner.run(signing.sign()) == 0
        assert store.reads == 3


def test_two_replicas_share_the_work_and_no_call(tmp_path: Path) -> None:
    with opened_desk(fresh_options(tmp_path)) as desk:
        desk.price()
        count = 3 * BATCH_CALLS_MAX
        for start in range(0, count, 256):
            desk.settle(*({"request_id": f"req_{start + n:04}"} for n in range(256)))
        one = ReceiptSigning(desk.store, desk.signer, lambda: desk.op)
        other = ReceiptSigning(desk.store, desk.signer, lambda: desk.op)

        async def both() -> list[int]:
            return await asyncio.gather(one.sign(), other.sign())

        assert sum(desk.runner.run(both())) == count
        assert desk.rows("SELECT count(*) FROM receipt_leaf") == [(count,)]
        assert desk.rows("SELECT sum(size) FROM receipt_batch") == [(count,)]


def test_the_loop_has_its_name_and_its_period() -> None:
    signing = ReceiptSigning(None, None, None)
    loop = signing.loop(WorkerOptions().receipts_every_ms)
    assert loop == Loop("receipts", 1000, signing.sign)
