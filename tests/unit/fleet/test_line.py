"""A worker's end of the line: it asks, gives back, and outlives the control process."""

import asyncio

import pytest

from tests.support.fleets import Control, Worker, fleet, garbage, run, settled, until
from tests.support.shares import Clock
from tokenbooth.admission.shares.service import Grant, Kind, Limited
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import ServiceTier
from tokenbooth.engines.child.frames import FrameReader
from tokenbooth.fleet import line as module
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
    control_decoder,
    encode,
)

CALLS = Limited(Kind.REQUESTS, "key", "key_1")
SEATS = Limited(Kind.PLACES, "deployment", "dep_1")


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """Who comes again comes at once."""
    monkeypatch.setattr(module, "AGAIN_EVERY_S", 0)


class Seats:
    """A deployment with one place."""

    id, model_name = "dep_1", "demo"
    concurrency_max, queue_max, queue_wait_max_s = 1, 8, 3600


def visit(worker: Worker):
    return worker.gates.place("org", ServiceTier.STANDARD, 1, 1)


class Scripted(asyncio.Protocol):
    """A control process that keeps what it hears and says what the test has it say."""

    def __init__(self) -> None:
        self.heard, self.transport, self.reader, self.comings = [], None, None, 0

    def connection_made(self, transport):
        self.transport, self.reader = transport, FrameReader(FRAME_BYTES_MAX)
        self.comings += 1

    def data_received(self, chunk):
        self.heard += [control_decoder.decode(body) for body in self.reader.feed(chunk)]

    def says(self, *messages):
        self.transport.write(b"".join(encode(message) for message in messages))

    async def hears(self, kind):
        """The next word of that kind; those before it are forgotten."""
        await until(lambda: any(isinstance(each, kind) for each in self.heard))
        while True:
            message = self.heard.pop(0)
            if isinstance(message, kind):
                return message


def scripted(tmp_path, scene) -> None:
    """``scene`` with a worker whose control process is the test."""

    async def scenario():
        control = Scripted()
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: control, str(tmp_path / "hub"))
        worker = Worker("w", tmp_path / "hub", Clock())
        try:
            await control.hears(Hello)
            await scene(control, worker)
        finally:
            await worker.dies()
            server.close()

    run(scenario)


def test_the_first_word_says_who_it_is_and_what_it_has(tmp_path):
    async def scene(control, worker):
        control.says(Granted(0, CALLS, 10, Grant(4)), Granted(0, SEATS, 2, Grant(1)))
        await until(lambda: worker.has(SEATS))
        control.transport.abort()
        hello = await control.hears(Hello)
        assert hello == Hello("w", ((CALLS, 10, 4), (SEATS, 2, 1)))

    scripted(tmp_path, scene)


def test_an_answer_goes_to_the_question_with_its_number(tmp_path):
    async def scene(control, worker):
        asks = [asyncio.create_task(worker.line.ask(CALLS, 9, need)) for need in (1, 2, 3)]
        said = [await control.hears(Ask) for _ in asks]
        assert [ask.need for ask in said] == [1, 2, 3]
        for ask in reversed(said):
            control.says(Granted(ask.number, CALLS, 9, Grant(ask.need), ask.need * 10))
        answers = await asyncio.gather(*asks)
        assert answers == [(1, 10), (2, 20), (3, 30)]
        assert worker.has(CALLS) == 6

    scripted(tmp_path, scene)


def test_a_grant_that_nobody_asked_for_is_kept_and_one_told_twice_answers_once(tmp_path):
    async def scene(control, worker):
        control.says(Granted(0, CALLS, 9, Grant(1)), Granted(77, CALLS, 9, Grant(1)))
        asking = asyncio.create_task(worker.line.ask(CALLS, 9, 2))
        number = (await control.hears(Ask)).number
        control.says(*[Granted(number, CALLS, 9, Grant(2))] * 2)
        assert (await asking).amount == 2
        assert worker.has(CALLS) == 6

    scripted(tmp_path, scene)


def test_no_answer_in_time_is_a_refusal_to_try_again_and_a_late_grant_is_kept(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "ASK_WAIT_S", 0.01)

    async def scene(control, worker):
        with pytest.raises(Problem) as caught:
            await worker.line.ask(CALLS, 9, 1)
        assert (caught.value.code, caught.value.retry_after_s) == (Code.ENGINE_BUSY, 1)
        ask = await control.hears(Ask)
        control.says(Granted(ask.number, CALLS, 9, Grant(5)))
        await until(lambda: worker.has(CALLS) == 5)

    scripted(tmp_path, scene)


def test_a_caller_that_goes_while_it_asks_leaves_no_question_behind(tmp_path):
    async def scene(control, worker):
        asking = asyncio.create_task(worker.line.ask(CALLS, 9, 1))
        await control.hears(Ask)
        asking.cancel()
        await settled()
        control.transport.abort()
        await control.hears(Hello)
        await settled()
        assert control.heard == []

    scripted(tmp_path, scene)


def test_a_question_is_asked_again_of_the_next_control_process(tmp_path):
    async def scene(control, worker):
        asking = asyncio.create_task(worker.line.ask(CALLS, 9, 4))
        first = await control.hears(Ask)
        control.transport.abort()
        await control.hears(Hello)
        again = await control.hears(Ask)
        assert again == first
        control.says(Granted(again.number, CALLS, 9, Grant(9)))
        assert (await asking).amount == 9

    scripted(tmp_path, scene)


def test_nothing_given_is_not_told_and_a_gift_is(tmp_path):
    async def scene(control, worker):
        worker.line.give(CALLS, 0)
        worker.line.give(CALLS, 3)
        await until(lambda: control.heard)
        assert control.heard == [Give(CALLS, 3)]

    scripted(tmp_path, scene)


def test_what_is_given_while_nobody_hears_is_left_out_of_the_next_hello(tmp_path):
    async def scene(control, worker):
        control.says(Granted(0, CALLS, 9, Grant(4)))
        await until(lambda: worker.has(CALLS))
        control.transport.abort()
        worker.line._drop()
        worker.shares.tidy()
        assert await control.hears(Hello) == Hello("w", ())

    scripted(tmp_path, scene)


@pytest.mark.parametrize(("held", "need", "spared"), [(8, 1, 4), (8, 6, 6), (8, 20, 8), (0, 1, 0)])
def test_who_is_asked_gives_half_or_what_is_needed_of_what_it_has(tmp_path, held, need, spared):
    async def scene(control, worker):
        control.says(Granted(0, CALLS, 20, Grant(held)), Recall(5, CALLS, need, urgent=False))
        assert await control.hears(Spared) == Spared(5, CALLS, spared, 0)
        assert worker.has(CALLS) == held - spared

    scripted(tmp_path, scene)


def test_what_it_never_had_it_cannot_give(tmp_path):
    async def scene(control, worker):
        control.says(Recall(1, CALLS, 3, urgent=True), Recall(2, SEATS, 3, urgent=True))
        assert await control.hears(Spared) == Spared(1, CALLS, 0, 0)
        assert await control.hears(Spared) == Spared(2, SEATS, 0, 0)
        assert worker.shares.held == {}

    scripted(tmp_path, scene)


@pytest.mark.parametrize("raw", [*garbage(), encode(Give(CALLS, 1))])
def test_a_control_process_that_babbles_is_left_and_looked_for_again(tmp_path, raw):
    async def scene(control, worker):
        control.says(Granted(0, CALLS, 9, Grant(2)))
        await until(lambda: worker.has(CALLS))
        control.transport.write(raw)
        assert (await control.hears(Hello)).held == ((CALLS, 9, 2),)
        assert control.comings == 2
        asking = asyncio.create_task(worker.line.ask(CALLS, 9, 3))
        ask = await control.hears(Ask)
        control.says(Granted(ask.number, CALLS, 9, Grant(7)))
        assert (await asking).amount == 7

    scripted(tmp_path, scene)


def test_half_a_frame_of_the_old_connection_is_no_part_of_the_new_one(tmp_path):
    async def scene(control, worker):
        control.transport.write(encode(Granted(0, CALLS, 9, Grant(2)))[:-3])
        control.transport.close()
        await control.hears(Hello)
        control.says(Granted(0, SEATS, 9, Grant(3)))
        await until(lambda: worker.has(SEATS) == 3)
        assert worker.has(CALLS) == 0

    scripted(tmp_path, scene)


def test_a_flush_that_waits_holds_no_other_answer_up(tmp_path):
    async def scene(control, worker):
        worker.owes = asyncio.Event()
        control.says(Flush(1), Tell(2))
        assert await control.hears(Told) == Told(2, b"metrics of w")
        worker.owes.set()
        assert await control.hears(Told) == Told(1, b"")

    scripted(tmp_path, scene)


def test_what_is_not_used_is_given_back_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIDY_EVERY_S", 0)

    async def scene(control, worker):
        control.says(Granted(0, CALLS, 9, Grant(4)))
        await until(lambda: worker.has(CALLS))
        tidying = asyncio.create_task(worker.line.tidying())
        assert await control.hears(Give) == Give(CALLS, 4)
        assert worker.shares.held == {}
        tidying.cancel()

    scripted(tmp_path, scene)


def test_a_question_waits_for_a_control_process_that_is_being_started(tmp_path):
    async def scenario():
        clock = Clock()
        worker = Worker("a", tmp_path / "hub", clock)
        asking = asyncio.create_task(worker.line.ask(CALLS, 9, 1))
        await settled()
        assert not asking.done()
        control = await Control(tmp_path / "hub", 1, clock).opens()
        assert (await asking).amount == 9
        await worker.dies()
        control.dies()

    run(scenario)


def test_the_control_process_comes_back_and_nobody_has_more_than_the_limit(tmp_path):
    async def scenario():
        async with fleet(tmp_path, "ab") as (control, workers):
            one, other = workers.values()
            await one.line.ask(CALLS, 40, 40)
            await other.line.ask(CALLS, 40, 4)
            for _ in range(3):
                control.dies()
                asking = asyncio.create_task(other.line.ask(CALLS, 40, 2))
                await settled()
                # While it is away, what is held is held.
                assert one.has(CALLS) + other.has(CALLS) == 40
                control = await Control(control.path, 2, control.clock).opens()
                assert (await asking).amount >= 2
                await until(lambda fresh=control: fresh.hub.joined == 2)
                assert one.has(CALLS) + other.has(CALLS) == 40
            control.dies()

    run(scenario)


def test_who_waits_for_a_place_says_so_to_the_control_process_that_comes_back(tmp_path):
    async def scenario():
        async with fleet(tmp_path, "ab") as (control, workers):
            one, other = workers.values()
            deployment = Seats()
            await one.shares.cover_place(deployment)
            place = await one.gates.enter(deployment, visit(one))
            await other.shares.cover_place(deployment)
            waiting = asyncio.create_task(other.gates.enter(deployment, visit(other)))
            await settled()
            control.dies()
            await settled()
            assert not waiting.done()
            control = await Control(control.path, 2, control.clock).opens()
            await until(lambda: control.hub.joined == 2)
            await settled()
            place.leave()
            (await waiting).leave()
            assert one.has(SEATS) + other.has(SEATS) == 1
            control.dies()

    run(scenario)
