"""The control process shares limits out over real sockets; workers that behave, die, or babble."""

import asyncio
import random

import pytest

from tests.support.fleets import Control, Peer, fleet, garbage, run, settled, until
from tests.support.shares import Clock
from tokenbooth.admission.shares.service import Grant, Kind, Limited
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.fleet import hub as module
from tokenbooth.fleet import line as line_module
from tokenbooth.fleet.words import (
    FRAME_BYTES_MAX,
    Ask,
    Flush,
    Give,
    Granted,
    Hello,
    Recall,
    Spared,
    Tell,
    Told,
    encode,
)

CALLS = Limited(Kind.REQUESTS, "key", "key_1")
SEATS = Limited(Kind.PLACES, "deployment", "dep_1")
AT_ONCE = Limited(Kind.PARALLEL, "org", "org_1")
MINUTE_US = 60_000_000


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """Who comes again comes at once."""
    monkeypatch.setattr(line_module, "AGAIN_EVERY_S", 0)


async def introduced(control: Control, name: str, *held) -> Peer:
    """A peer that said who it is and what it has."""
    peer = await Peer.comes(control.path)
    peer.says(Hello(name, tuple(held)))
    await until(lambda: name in control.hub._lines)
    return peer


async def bare(tmp_path, workers: int = 1) -> Control:
    return await Control(tmp_path / "hub", workers, Clock()).opens()


def test_the_first_to_ask_gets_all_and_gives_half_to_the_second(tmp_path):
    async def scenario():
        async with fleet(tmp_path, "ab") as (_, workers):
            one, other = workers.values()
            assert (await one.line.ask(CALLS, 100, 1)).amount == 100
            assert (await other.line.ask(CALLS, 100, 1)).amount == 50
            assert (one.has(CALLS), other.has(CALLS)) == (50, 50)

    run(scenario)


def test_a_need_larger_than_half_is_met_in_full(tmp_path):
    async def scenario():
        async with fleet(tmp_path, "abc") as (_, workers):
            await workers["a"].line.ask(CALLS, 90, 1)
            assert (await workers["b"].line.ask(CALLS, 90, 80)).amount == 80
            assert (await workers["c"].line.ask(CALLS, 90, 90)).amount == 90
            assert [worker.has(CALLS) for worker in workers.values()] == [0, 0, 90]

    run(scenario)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_asked_given_and_cut_all_parts_are_within_the_limit(tmp_path, seed):
    async def scenario():
        chance = random.Random(seed)
        async with fleet(tmp_path, "abc") as (control, workers):
            for _ in range(60):
                worker = workers[chance.choice("abc")]
                fate = chance.random()
                if fate < 0.1:
                    worker.line._drop()
                    await until(lambda: control.hub.joined == 2)
                    await until(lambda: control.hub.joined == 3)
                elif fate < 0.2:
                    worker.shares.tidy()
                asks = [each.line.ask(SEATS, 12, chance.randrange(1, 9)) for each in (worker,) * 2]
                await asyncio.gather(*asks)
                assert sum(each.has(SEATS) for each in workers.values()) <= 12
            await settled()
            assert sum(each.has(SEATS) for each in workers.values()) == 12

    run(scenario)


def test_what_is_given_back_goes_to_who_waits_for_it(tmp_path):
    async def scenario():
        control = await bare(tmp_path, 2)
        rich = await introduced(control, "rich", (SEATS, 2, 2))
        poor = await introduced(control, "poor")
        poor.says(Ask(7, SEATS, 2, 1))
        recall = await rich.hears()
        assert (recall.limited, recall.need, recall.urgent) == (SEATS, 1, True)
        rich.says(Spared(recall.number, SEATS, 0, 0))
        assert await poor.hears() == Granted(7, SEATS, 2, Grant(0, needy=True), 1)
        rich.says(Give(SEATS, 1))
        assert await poor.hears() == Granted(0, SEATS, 2, Grant(1))
        control.dies()

    run(scenario)


def test_several_that_wait_take_turns_and_each_knows_of_the_others(tmp_path):
    async def scenario():
        control = await bare(tmp_path, 3)
        rich = await introduced(control, "rich", (SEATS, 3, 3))
        poor = [await introduced(control, name) for name in ("p", "q")]
        for number, peer in enumerate(poor, 1):
            peer.says(Ask(number, SEATS, 3, 1))
            recall = await rich.hears()
            rich.says(Spared(recall.number, SEATS, 0, 0))
            assert (await peer.hears()).grant.needy
        for peer, owed in zip(poor, (True, False), strict=True):
            rich.says(Give(SEATS, 1))
            assert await peer.hears() == Granted(0, SEATS, 3, Grant(1, owed=owed))
        control.dies()

    run(scenario)


def test_calls_of_a_minute_are_not_waited_for(tmp_path):
    async def scenario():
        control = await bare(tmp_path, 2)
        rich = await introduced(control, "rich", (CALLS, 5, 5))
        poor = await introduced(control, "poor")
        poor.says(Ask(1, CALLS, 5, 1))
        recall = await rich.hears()
        rich.says(Spared(recall.number, CALLS, 0, 17))
        assert await poor.hears() == Granted(1, CALLS, 5, Grant(0), 17)
        rich.says(Give(CALLS, 5))
        poor.says(Ask(2, CALLS, 5, 1))
        assert await poor.hears() == Granted(2, CALLS, 5, Grant(5), 0)
        control.dies()

    run(scenario)


@pytest.mark.parametrize(
    ("limited", "waits", "told_s"),
    [(CALLS, (40, 25), 25), (CALLS, (0, 0), 60), (CALLS, (500, 0), 60), (AT_ONCE, (9, 9), 1)],
)
def test_a_refusal_says_the_soonest_that_anybody_foresees(tmp_path, limited, waits, told_s):
    async def scenario():
        control = await bare(tmp_path, 3)
        rich = [await introduced(control, name, (limited, 10, 5)) for name in ("r", "s")]
        poor = await introduced(control, "poor")
        poor.says(Ask(1, limited, 10, 1))
        for peer, wait_s in zip(rich, waits, strict=True):
            peer.says(Spared((await peer.hears()).number, limited, 0, wait_s))
        assert (await poor.hears()).wait_s == told_s
        control.dies()

    run(scenario)


def test_a_worker_that_does_not_answer_is_not_waited_for_and_its_late_gift_counts(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "ANSWER_WAIT_S", 0.01)

    async def scenario():
        control = await bare(tmp_path, 2)
        silent = await introduced(control, "silent", (CALLS, 4, 4))
        asker = await introduced(control, "asker")
        asker.says(Ask(1, CALLS, 4, 3))
        recall = await silent.hears()
        assert (await asker.hears()).grant == Grant(0)
        silent.says(Spared(recall.number, CALLS, 3, 0))
        await settled()
        asker.says(Ask(2, CALLS, 4, 3))
        assert (await asker.hears()).grant == Grant(3)
        control.dies()

    run(scenario)


def test_a_dead_worker_s_part_of_the_minute_is_free_a_minute_later(tmp_path):
    async def scenario():
        async with fleet(tmp_path, "ab") as (control, workers):
            await workers["a"].line.ask(CALLS, 8, 8)
            await workers["a"].dies()
            await until(lambda: control.hub.joined == 1)
            refused = await workers["b"].line.ask(CALLS, 8, 1)
            assert (refused.amount, refused.wait_s) == (0, 60)
            control.clock.us += 30_000_000
            assert (await workers["b"].line.ask(CALLS, 8, 1)).wait_s == 32
            control.clock.us += MINUTE_US
            assert (await workers["b"].line.ask(CALLS, 8, 1)).amount == 8

    run(scenario)


def test_a_dead_worker_s_places_go_to_who_waits_at_once(tmp_path):
    async def scenario():
        control = await bare(tmp_path, 2)
        rich = await introduced(control, "rich", (SEATS, 1, 1))
        poor = await introduced(control, "poor")
        poor.says(Ask(1, SEATS, 1, 1))
        rich.says(Spared((await rich.hears()).number, SEATS, 0, 0))
        assert (await poor.hears()).grant.needy
        rich.leaves()
        assert await poor.hears() == Granted(0, SEATS, 1, Grant(1))
        assert control.hub.joined == 1
        control.dies()

    run(scenario)


@pytest.mark.parametrize("limited", [CALLS, SEATS])
def test_who_dies_while_it_is_asked_for_gets_nothing_that_others_would_miss(tmp_path, limited):
    async def scenario():
        control = await bare(tmp_path, 2)
        rich = await introduced(control, "rich", (limited, 6, 6))
        dying = await introduced(control, "dying")
        dying.says(Ask(1, limited, 6, 4))
        recall = await rich.hears()
        dying.leaves()
        await until(lambda: control.hub.joined == 1)
        rich.says(Spared(recall.number, limited, 6, 0))
        await settled()
        late = await introduced(control, "late")
        late.says(Ask(1, limited, 6, 6))
        assert (await late.hears()).grant == Grant(6)
        control.dies()

    run(scenario)


def test_the_worker_that_owes_an_answer_may_die(tmp_path):
    async def scenario():
        control = await bare(tmp_path, 2)
        rich = await introduced(control, "rich", (SEATS, 6, 6))
        poor = await introduced(control, "poor")
        poor.says(Ask(1, SEATS, 6, 1))
        await rich.hears()
        rich.leaves()
        assert (await poor.hears()).grant.amount == 6
        control.dies()

    run(scenario)


def test_a_new_hub_waits_until_it_has_heard_what_all_have(tmp_path):
    async def scenario():
        control = await bare(tmp_path, 2)
        first = await introduced(control, "first")
        first.says(Ask(1, SEATS, 3, 3))
        await settled()
        second = await introduced(control, "second", (SEATS, 3, 2))
        second.says(Spared((await second.hears()).number, SEATS, 0, 0))
        assert (await first.hears()).grant.amount == 1
        control.dies()

    run(scenario)


def test_a_worker_that_never_comes_does_not_hold_the_others_up(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GATHER_WAIT_S", 0.01)

    async def scenario():
        control = await bare(tmp_path, 5)
        alone = await introduced(control, "alone")
        for number in (1, 2):
            alone.says(Ask(number, CALLS, 3, 3))
            assert (await alone.hears()).number == number
        control.dies()

    run(scenario)


def test_a_limit_that_was_lowered_takes_from_nobody_what_it_uses(tmp_path):
    async def scenario():
        control = await bare(tmp_path, 2)
        rich = await introduced(control, "rich", (CALLS, 10, 10))
        poor = await introduced(control, "poor")
        poor.says(Ask(1, CALLS, 4, 1))
        recall = await rich.hears()
        assert recall.need == 7
        rich.says(Spared(recall.number, CALLS, 5, 3))
        assert (await poor.hears()).grant.amount == 0
        control.dies()

    run(scenario)


def test_metrics_come_of_all_that_tell_them_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_WAIT_S", 0.05)

    async def scenario():
        async with fleet(tmp_path, "ab") as (control, _):
            silent = await introduced(control, "silent")
            assert sorted(await control.hub.texts()) == [b"metrics of a", b"metrics of b"]
            assert isinstance(await silent.hears(), Tell)
            assert control.hub.joined == 3

    run(scenario)


def test_metrics_that_fill_many_packets_arrive_whole(tmp_path):
    async def scenario():
        async with fleet(tmp_path, "a") as (control, workers):
            workers["a"].text = b"x" * 3_000_000
            assert await control.hub.texts() == [workers["a"].text]

    run(scenario)


def test_an_answer_to_no_question_is_nothing(tmp_path):
    async def scenario():
        control = await bare(tmp_path)
        peer = await introduced(control, "peer")
        peer.says(Told(99, b"unasked"), Spared(98, CALLS, 5, 0), Give(SEATS, 1))
        asked = asyncio.create_task(control.hub.texts())
        tell = await peer.hears()
        peer.says(Told(tell.number, b"once"), Told(tell.number, b"twice"))
        assert await asked == [b"once"]
        control.dies()

    run(scenario)


def test_a_flush_waits_for_every_till_and_a_till_that_fails_is_told_too(tmp_path):
    async def scenario():
        async with fleet(tmp_path, "ab") as (control, workers):
            workers["a"].owes = asyncio.Event()
            workers["b"].till_fails = Problem(Code.ENGINE_BUSY, "on purpose")
            flushed = asyncio.create_task(control.hub.flushed())
            await until(lambda: workers["b"].flushes)
            await settled()
            assert not flushed.done()
            workers["a"].owes.set()
            await flushed
            assert [worker.flushes for worker in workers.values()] == [1, 1]

    run(scenario)


def test_a_flush_of_nobody_is_done_and_one_of_a_silent_worker_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FLUSH_WAIT_S", 0.01)

    async def scenario():
        control = await bare(tmp_path)
        await control.hub.flushed()
        silent = await introduced(control, "silent")
        await control.hub.flushed()
        assert isinstance(await silent.hears(), Flush)
        control.dies()

    run(scenario)


@pytest.mark.parametrize("raw", garbage())
def test_who_babbles_is_cut_off_and_nobody_else_notices(tmp_path, raw):
    async def scenario():
        async with fleet(tmp_path, "a") as (control, workers):
            babbler = await introduced(control, "babbler", (SEATS, 4, 4))
            babbler.raw(raw)
            assert await babbler.is_cut()
            await until(lambda: control.hub.joined == 1)
            assert (await workers["a"].line.ask(SEATS, 4, 4)).amount == 4

    run(scenario)


def test_words_of_the_control_process_are_babble_from_a_worker(tmp_path):
    async def scenario():
        control = await bare(tmp_path)
        peer = await introduced(control, "peer")
        peer.raw(encode(Recall(1, CALLS, 1, urgent=True)))
        assert await peer.is_cut()
        control.dies()

    run(scenario)


def test_a_frame_may_come_byte_by_byte_and_its_end_may_never_come(tmp_path):
    async def scenario():
        control = await bare(tmp_path)
        peer = await introduced(control, "slow")
        for byte in encode(Ask(3, CALLS, 9, 9)):
            peer.raw(bytes([byte]))
            await settled()
        assert (await peer.hears()).grant.amount == 9
        peer.raw(encode(Give(CALLS, 9))[:-1])
        await settled()
        peer.leaves()
        await until(lambda: control.hub.joined == 0)
        peer = await introduced(control, "other")
        peer.says(Ask(1, CALLS, 9, 9))
        assert (await peer.hears()).grant.amount == 0
        control.dies()

    run(scenario)


def test_a_frame_as_large_as_allowed_is_waited_for(tmp_path):
    async def scenario():
        control = await bare(tmp_path)
        peer = await introduced(control, "large")
        peer.raw(FRAME_BYTES_MAX.to_bytes(4, "big") + b"begun")
        await settled()
        assert control.hub.joined == 1
        peer.leaves()
        control.dies()

    run(scenario)


def test_who_asks_before_it_says_who_it_is_gets_no_part(tmp_path):
    async def scenario():
        control = await bare(tmp_path)
        known = await introduced(control, "known")
        nameless = await Peer.comes(control.path)
        nameless.says(Ask(1, SEATS, 5, 5))
        await settled()
        known.says(Ask(1, SEATS, 5, 5))
        assert (await known.hears()).grant.amount == 5
        control.dies()

    run(scenario)


def test_a_new_connection_of_a_worker_is_not_ended_by_the_end_of_its_old_one(tmp_path):
    async def scenario():
        control = await bare(tmp_path)
        old = await introduced(control, "w")
        line = control.hub._lines["w"]
        new = await Peer.comes(control.path)
        new.says(Hello("w", ((SEATS, 2, 2),)))
        await until(lambda: control.hub._lines["w"] is not line)
        old.leaves()
        await settled()
        assert control.hub.joined == 1
        new.says(Ask(1, SEATS, 3, 3))
        assert (await new.hears()).grant.amount == 1
        control.dies()

    run(scenario)


def test_limits_that_nobody_has_are_forgotten_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIDY_EVERY_S", 0)

    async def scenario():
        async with fleet(tmp_path, "a") as (control, workers):
            tidying = asyncio.create_task(control.hub.tidying())
            await workers["a"].line.ask(CALLS, 8, 8)
            await workers["a"].dies()
            await until(lambda: control.hub.joined == 0)
            assert len(control.hub._ledger) == 1
            control.clock.us += 2 * MINUTE_US
            await until(lambda: len(control.hub._ledger) == len(control.hub._locks) == 0)
            tidying.cancel()

    run(scenario)
