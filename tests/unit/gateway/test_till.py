"""The till under real calls: databases that vanish, journals that break, money that runs out."""

import asyncio
import errno
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import INPUT_PICO, OUTPUT_PICO, MemorySink, chat, open_test_booth
from tokenbooth.control import accounts
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import LimitScope, Outcome
from tokenbooth.engines.scripted.values import ScriptOptions
from tokenbooth.gateway.books import StoreBooks
from tokenbooth.money.leases import service as leases
from tokenbooth.money.ledger import service as ledger

LONG = ScriptOptions(chunks=40)


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


def cost_nano(input_tokens: int, output_tokens: int) -> int:
    return (input_tokens * INPUT_PICO + output_tokens * OUTPUT_PICO) // 1000


def error(sink: MemorySink) -> tuple[int | None, str]:
    return sink.status, sink.document["error"]["code"]


class Away:
    """A store that refuses writes while ``away``; what it was asked meanwhile may be kept."""

    def __init__(self, store, *, keeps: bool = False) -> None:
        self._store, self._keeps, self.away, self.refused = store, keeps, False, 0

    async def read(self, verb):
        return await self._store.read(verb)

    async def write(self, verb):
        if not self.away:
            return await self._store.write(verb)
        self.refused += 1
        if self._keeps:
            await self._store.write(verb)
        raise Problem(Code.LEDGER_UNAVAILABLE, "away")


def cut(booth, *, keeps: bool = False) -> Away:
    """Put a store that can go away under the booth's till."""
    away = Away(booth.store, keeps=keeps)
    booth.rooms.till._teller._books = StoreBooks(away, ())
    return away


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_leased_money_serves_on_while_the_database_is_away(
    tmp_path: Path, keeps: bool, stream: bool
):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            assert (await booth.ask(chat(max_tokens=1))).status == 200
            await booth.rooms.till.flushed()
            away = cut(booth, keeps=keeps)
            away.away = True
            sink = await booth.ask(chat(stream=stream, max_tokens=3))
            assert sink.status == 200
            while not booth.rooms.till.away:
                await asyncio.sleep(0)
            assert booth.rooms.till.waiting == 1
            away.away = False
            record = await booth.record(2)
            assert record.outcome is Outcome.COMPLETED
            assert record.cost_nano > 0
            assert not booth.rooms.till.away
            first = await booth.record(1)
            assert await booth.spent_nano() == first.cost_nano + record.cost_nano
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


@pytest.mark.parametrize("keeps", [False, True])
def test_without_leased_money_an_outage_refuses_and_leaves_nothing_held(
    tmp_path: Path, keeps: bool
):
    async def scenario():
        async with open_test_booth(tmp_path, money_wait_max_s=1) as booth:
            away = cut(booth, keeps=keeps)
            away.away = True
            sink = await booth.ask(chat())
            assert error(sink) == (503, "billing_unavailable")
            assert int(sink.headers["retry-after"]) >= 1
            assert away.refused > 1
            away.away = False
            assert (await booth.ask(chat())).status == 200
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


class BadDisk:
    """A disk whose syncs fail from the moment that it is told so."""

    def __init__(self, disk) -> None:
        self._disk, self.bad = disk, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disk, name)

    def sync(self, file: int) -> None:
        if self.bad:
            raise OSError(errno.EIO, "I/O error")
        self._disk.sync(file)


def broken_disk(booth) -> BadDisk:
    journal = booth.rooms.till._journal._journal
    journal._disk = disk = BadDisk(journal._disk)
    return disk


def test_a_whole_answer_that_cannot_be_written_down_is_withheld(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            assert (await booth.ask(chat())).status == 200
            spent_nano = await booth.spent_nano()
            broken_disk(booth).bad = True
            booth.rooms.till._journal._journal.broken = "gone"
            assert error(await booth.ask(chat())) == (503, "billing_unavailable")
            assert booth.rooms.till.away
            assert await booth.spent_nano() == spent_nano
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_when_the_journal_breaks_during_a_call_the_ledger_itself_books_it(
    tmp_path: Path, stream: bool
):
    async def scenario():
        async with open_test_booth(tmp_path, LONG) as booth:
            disk = broken_disk(booth)
            sink = MemorySink()
            if stream:
                sink.on_write = lambda chunk: setattr(disk, "bad", True)
            else:
                disk.bad = True
            await booth.ask(chat(stream=stream), sink=sink)
            record = await booth.record()
            assert booth.rooms.till.away
            assert record.cost_nano == await booth.spent_nano()
            if stream:
                assert sink.events[-1] == "[DONE]"
                assert (record.outcome, record.cost_nano > 0) == (Outcome.COMPLETED, True)
            else:
                assert sink.status == 503
                assert (record.outcome, record.cost_nano) == (Outcome.INTERRUPTED, 0)
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_an_unstated_limit_is_held_in_steps_and_grows(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, LONG, output_step_tokens=8) as booth:
            sink = await booth.ask(chat(stream=True))
            record = await booth.record()
            assert record.usage is not None
            assert record.usage.output_tokens == 40
            first_nano = cost_nano(record.usage.input_tokens, 8)
            assert sink.headers["x-tokenbooth-held"] == f"0.{first_nano:09d}"
            assert record.held_nano >= record.cost_nano > first_nano
            assert sink.events[-2]["choices"][0]["finish_reason"] == "stop"
            await booth.verified()

    in_loop(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_when_no_more_can_be_held_the_answer_ends_early_and_says_why(tmp_path: Path, stream: bool):
    async def scenario():
        credit_nano = cost_nano(12, 20)
        async with open_test_booth(
            tmp_path, LONG, credit_nano=credit_nano, output_step_tokens=8
        ) as booth:
            sink = await booth.ask(chat(stream=stream))
            record = await booth.record()
            assert record.outcome is Outcome.CAP_REACHED
            assert "money" in record.reason
            assert record.usage is not None
            assert 8 < record.usage.output_tokens < 40
            assert record.cost_nano == cost_nano(
                record.usage.input_tokens, record.usage.output_tokens
            )
            last = sink.events[-2] if stream else sink.document
            assert last["choices"][0]["finish_reason"] == "length"
            assert last["stopped"] == "cap_reached"
            assert credit_nano - await booth.spent_nano() < cost_nano(0, 1)
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_a_running_call_gets_new_money_before_a_new_one(tmp_path: Path):
    """A running call extends from the last money; the new call that came first is refused."""

    async def scenario():
        credit_nano = cost_nano(100, 60)
        async with open_test_booth(
            tmp_path, LONG, credit_nano=credit_nano, output_step_tokens=8
        ) as booth:
            sinks = await asyncio.gather(
                *(booth.ask(chat(stream=True)) for _ in range(2)),
                *(booth.ask(chat(max_tokens=40)) for _ in range(8)),
            )
            assert {s.status for s in sinks} <= {200, 429}
            assert await booth.spent_nano() <= credit_nano
            assert (await booth.verified()).open_holds == 0

    in_loop(scenario)


def test_a_strict_caller_gets_the_stated_limit_or_a_refusal(tmp_path: Path):
    strict = {"x-tokenbooth-strict": "1"}

    async def scenario():
        async with open_test_booth(tmp_path, credit_nano=cost_nano(200, 20)) as booth:
            headers = {"authorization": f"Bearer {booth.secret}", **strict}
            refused = await booth.ask(chat(max_tokens=900), headers=headers)
            assert refused.status == 429
            fact = refused.document["error"]
            assert 0 < fact["affordable_output_tokens"] < 900
            assert await booth.spent_nano() == 0
            fits = fact["affordable_output_tokens"]
            assert (await booth.ask(chat(max_tokens=fits), headers=headers)).status == 200
            wrong = await booth.ask(chat(), headers={**headers, "x-tokenbooth-strict": "yes"})
            assert error(wrong) == (400, "invalid_value")

    in_loop(scenario)


def test_credit_that_arrives_is_found_at_once(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, credit_nano=1) as booth:
            assert (await booth.ask(chat())).status == 429
            await booth.store.write(
                lambda tx: accounts.add_credit(booth.op, tx, "acme", 10**9, "second")
            )
            assert (await booth.ask(chat())).status == 200

    in_loop(scenario)


def test_unused_money_is_recalled_by_whoever_needs_it(tmp_path: Path):
    """Another replica finds everything leased here, asks, and gets what no call holds."""

    async def scenario():
        credit_nano = 10**6
        async with open_test_booth(tmp_path, credit_nano=credit_nano, money_wait_max_s=1) as booth:
            assert (await booth.ask(chat(max_tokens=1))).status == 200
            spent_nano = await booth.spent_nano()
            op, store = booth.op, booth.store
            epoch = await store.write(lambda tx: leases.enroll(op, tx, "other", "j"))
            pool = leases.Pool("other", epoch, leases.PoolOptions())
            queue = leases.MoneyQueue(pool, block_nano_max=0)
            keys = leases.LevelKey(LimitScope.BALANCE, booth.org_id)
            waiter = leases.Waiter((keys,), credit_nano - spent_nano, runs=False)
            queue.add(waiter)
            verdict = leases.Verdict.WAIT
            while verdict is leases.Verdict.WAIT:
                ask = pool.next_round(queue.wants(0), 0)
                queue.asked(ask)
                done = await store.write(lambda tx, ask=ask: leases.book(op, tx, ask))
                pool.apply(done)
                queue.heard(done)
                verdict = queue.verdict(waiter, pool.levels((keys,), 0))
                await asyncio.sleep(0)
            assert verdict is leases.Verdict.FITS
            refused = await booth.ask(chat())
            assert refused.status == 429
            assert refused.document["error"]["reason"] == "held_by_running_calls"

    in_loop(scenario)


def test_a_name_that_another_process_took_over_serves_nothing_more(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, credit_nano=10**6) as booth:
            assert (await booth.ask(chat(max_tokens=1))).status == 200
            await booth.rooms.till.flushed()
            journal_id = (await booth.store.read(lambda tx: leases.replicas(booth.op, tx)))[
                0
            ].journal_id
            await booth.store.write(lambda tx: leases.enroll(booth.op, tx, "main", journal_id))
            statuses = {(await booth.ask(chat(max_tokens=1))).status for _ in range(40)}
            assert 503 in statuses
            assert error(await booth.ask(chat())) == (503, "replica_fenced")

    in_loop(scenario)


def test_what_is_told_at_the_close_leaves_no_lease(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            for _ in range(3):
                assert (await booth.ask(chat())).status == 200
            await booth.rooms.till.close()
            (line,) = await booth.store.read(lambda tx: leases.replicas(booth.op, tx))
            assert (line.granted_nano, line.held_nano) == (0, 0)
            found = await booth.store.read(lambda tx: ledger.verify(booth.op, tx))
            assert (found.difference_nano, found.problems) == (0, ())

    in_loop(scenario)


class Poisoned:
    """A database that cannot take one certain call, for a reason of its own."""

    def __init__(self, store, request_id: str) -> None:
        self.read, self._write, self._request_id = store.read, store.write, request_id
        self.sizes: list[int] = []

    async def write(self, verb):
        ask = verb.args[1]
        self.sizes.append(len(ask.settled))
        if any(call.facts.request_id == self._request_id for call in ask.settled):
            raise ValueError("this row is refused")
        return await self._write(verb)


def test_a_call_that_no_database_takes_keeps_no_other_waiting(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, retry_after_ms=50) as booth:
            assert (await booth.ask(chat(max_tokens=1))).status == 200
            await booth.rooms.till.flushed()
            away = cut(booth)
            away.away = True
            for _ in range(6):
                assert (await booth.ask(chat(max_tokens=1))).status == 200
            away.away = False
            poisoned = Poisoned(booth.store, f"req_{4:032x}")
            booth.rooms.till._teller._books = StoreBooks(poisoned, ())
            while booth.rooms.till.waiting:
                await asyncio.sleep(0)
            assert booth.rooms.till._teller.stuck == 1
            assert max(poisoned.sizes) > 1
            for call in (2, 3, 5, 6, 7):
                assert (await booth.record(call)).cost_nano > 0
            with pytest.raises(Problem):
                await booth.record(4)
            lines = await booth.store.read(lambda tx: leases.replicas(booth.op, tx))
            assert lines[0].granted_nano > 0  # its money is not given to anybody else
            await booth.verified()

    in_loop(scenario)
