"""A till whose books another process keeps: booked once, whatever happens to that process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.booth import TestBooth, chat, open_test_booth
from tests.support.ops import make_op
from tokenbooth.bookkeeper import far as far_module
from tokenbooth.bookkeeper.desk import answer_all
from tokenbooth.bookkeeper.far import FarBooks
from tokenbooth.bookkeeper.frames import Recalls, RoundRefusedError, encode
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.books import Books, StoreBooks
from tokenbooth.money.leases.service import RoundAsk

ASK = RoundAsk(replica_id="main", epoch=1, number=1)


class Unasked:
    """Nobody needs these books while the others are kept."""

    async def book(self, op, ask):
        raise AssertionError("booked at home")

    async def recalled(self, op, replica_id):
        raise AssertionError("looked for at home")

    async def limits(self, op, caller):
        return ("limits",)


class Refusing(Unasked):
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def book(self, op, ask):
        raise self.error

    async def recalled(self, op, replica_id):
        return {"balance:org_1": 7}


@dataclass
class Pair:
    """``theirs`` is what the other end writes to, where nobody answers there."""

    far: FarBooks
    theirs: socket.socket
    writer: asyncio.StreamWriter | None = None


@asynccontextmanager
async def linked(near: Books, kept: Books | None) -> AsyncIterator[Pair]:
    """Both ends on one loop; without ``kept`` nobody answers."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(0)
    pair = Pair(FarBooks(near, ours), theirs)
    if kept is None:
        yield pair
        pair.far.close()
        theirs.close()
        return
    reader, pair.writer = await asyncio.open_unix_connection(sock=theirs)
    desk = asyncio.create_task(answer_all(kept, make_op, reader, pair.writer))
    try:
        yield pair
    finally:
        pair.far.close()
        async with asyncio.timeout(10):
            await desk  # it ends by itself when the other end is closed
        pair.writer.transport.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def told_by(booth: TestBooth, pair: Pair) -> AsyncIterator[None]:
    teller = booth.rooms.till._teller
    books, teller._books = teller._books, pair.far
    try:
        yield
    finally:
        teller._books = books


def test_calls_are_booked_by_the_other_process_alone(tmp_path: Path):
    async def scenario():
        async with (
            open_test_booth(tmp_path) as booth,
            linked(Unasked(), StoreBooks(booth.store, ())) as pair,
            told_by(booth, pair),
        ):
            for _ in range(3):
                assert (await booth.ask(chat())).status == 200
            assert await booth.rooms.till.flushed()
            assert (await booth.verified()).accounts
            assert not pair.far.lost

    asyncio.run(scenario())


def test_a_round_whose_answer_was_lost_is_booked_once(tmp_path: Path):
    class Dying(StoreBooks):
        """Books what is told, and is gone before it says so."""

        died = False

        async def book(self, op, ask):
            done = await super().book(op, ask)
            if ask.settled:
                self.died = True
                pair.writer.transport.abort()
            return done

    async def scenario():
        nonlocal pair
        async with open_test_booth(tmp_path) as booth:
            dying = Dying(booth.store, ())
            async with linked(StoreBooks(booth.store, ()), dying) as pair, told_by(booth, pair):
                assert (await booth.ask(chat())).status == 200
                cost_nano = (await booth.record()).cost_nano
                assert dying.died
                assert pair.far.lost
                assert [name for name, _ in booth.op.log.faults] == ["bookkeeper_lost"]
                assert (await booth.ask(chat())).status == 200
                assert await booth.spent_nano() == 2 * cost_nano > 0
                await booth.verified()

    pair: Pair
    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Problem(Code.REPLICA_FENCED, "over"), Problem),
        (ValueError("no such column"), RoundRefusedError),
    ],
)
def test_a_refusal_reaches_the_till_and_the_link_stays(error: Exception, kind: type[Exception]):
    async def scenario():
        async with linked(Unasked(), Refusing(error)) as pair:
            for _ in range(2):
                with pytest.raises(kind) as raised:
                    await pair.far.book(make_op(), ASK)
            assert str(error) in str(raised.value)
            assert await pair.far.recalled(make_op(), "main") == {"balance:org_1": 7}
            assert not pair.far.lost

    asyncio.run(scenario())


def test_silence_is_given_up_and_a_late_answer_is_nobodys(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(far_module, "ANSWER_WAIT_MAX_S", 0)

    async def scenario():
        op = make_op()
        async with linked(Refusing(ValueError()), None) as pair:
            assert await pair.far.recalled(op, "main") == {"balance:org_1": 7}
            assert pair.far.lost
            with pytest.raises(BrokenPipeError):
                pair.theirs.send(encode(Recalls({"late": 1})))
            assert await pair.far.recalled(op, "main") == {"balance:org_1": 7}
            assert [name for name, _ in op.log.faults] == ["bookkeeper_lost"]

    asyncio.run(scenario())


def test_nonsense_is_given_up(tmp_path: Path):
    async def scenario():
        async with linked(Refusing(ValueError()), None) as pair:
            pair.theirs.send((3).to_bytes(4, "big") + b"\xc1\xc1\xc1")
            assert await pair.far.recalled(make_op(), "main") == {"balance:org_1": 7}
            assert pair.far.lost

    asyncio.run(scenario())


def test_a_question_that_is_cut_short_leaves_no_answer_behind():
    async def scenario():
        async with linked(Refusing(ValueError()), None) as pair:
            asking = asyncio.create_task(pair.far.recalled(make_op(), "main"))
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait({asking})
            assert pair.far.lost

    asyncio.run(scenario())


def test_limits_are_read_at_home():
    async def scenario():
        async with linked(Unasked(), None) as pair:
            assert await pair.far.limits(make_op(), None) == ("limits",)

    asyncio.run(scenario())
