import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

from tokenbooth.admission.queue.service import Gate, Place
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

LONG_S = 3600


@dataclass
class Monotonic:
    us: int = 0

    def __call__(self) -> int:
        return self.us


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


async def settled() -> None:
    """Let every callback that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


def waiter(gate: Gate, wait_s: float = LONG_S) -> asyncio.Task[Place]:
    return asyncio.create_task(gate.enter(wait_s))


async def busy(task: asyncio.Task[Place]) -> Problem:
    with pytest.raises(Problem) as caught:
        await task
    return caught.value


def test_places_are_given_at_once_while_there_are_any() -> None:
    async def scene() -> None:
        gate = Gate(2, 0)
        first, second = await gate.enter(LONG_S), await gate.enter(0)
        assert gate.active == 2
        first.leave()
        second.leave()
        assert gate.active == 0

    run(scene())


def test_a_full_queue_refuses_at_once() -> None:
    async def scene() -> None:
        gate = Gate(1, 1)
        await gate.enter(0)
        waiting = waiter(gate)
        await settled()
        problem = await busy(waiter(gate))
        assert problem.code is Code.ENGINE_BUSY
        assert "queue is full" in problem.public
        assert gate.waiting == 1
        waiting.cancel()
        await settled()

    run(scene())


def test_without_time_to_wait_nobody_queues() -> None:
    async def scene() -> None:
        gate = Gate(1, 10)
        await gate.enter(0)
        for wait_s in (0, -1):
            problem = await busy(waiter(gate, wait_s))
            assert problem.code is Code.ENGINE_BUSY
            assert problem.retry_after_s is not None
            assert problem.retry_after_s >= 1
        assert gate.waiting == 0

    run(scene())


def test_a_deadline_passes_and_leaves_the_queue_clean() -> None:
    async def scene() -> None:
        gate = Gate(1, 1)
        place = await gate.enter(0)
        problem = await busy(waiter(gate, 0.001))
        assert problem.code is Code.ENGINE_BUSY
        assert gate.waiting == 0
        place.leave()
        assert gate.active == 0
        await gate.enter(0)

    run(scene())


def test_waiters_are_served_in_the_order_of_arrival() -> None:
    async def scene() -> None:
        gate = Gate(1, 10)
        place = await gate.enter(0)
        served: list[int] = []

        async def call(number: int) -> None:
            mine = await gate.enter(LONG_S)
            served.append(number)
            mine.leave()

        tasks = [asyncio.create_task(call(number)) for number in range(10)]
        await settled()
        place.leave()
        await asyncio.gather(*tasks)
        assert served == list(range(10))
        assert (gate.active, gate.waiting) == (0, 0)

    run(scene())


def test_a_newcomer_never_overtakes_one_who_waits() -> None:
    async def scene() -> None:
        gate = Gate(1, 10)
        place = await gate.enter(0)
        waiting = waiter(gate)
        await settled()
        place.leave()
        problem = await busy(waiter(gate, 0))
        assert problem.code is Code.ENGINE_BUSY
        (await waiting).leave()
        assert gate.active == 0

    run(scene())


def test_leaving_twice_frees_one_place() -> None:
    async def scene() -> None:
        gate = Gate(2, 0)
        first, _second = await gate.enter(0), await gate.enter(0)
        first.leave()
        first.leave()
        assert gate.active == 1

    run(scene())


def test_a_cancelled_waiter_is_passed_over() -> None:
    async def scene() -> None:
        gate = Gate(1, 10)
        place = await gate.enter(0)
        first, second = waiter(gate), waiter(gate)
        await settled()
        first.cancel()
        await settled()
        assert gate.waiting == 1
        place.leave()
        (await second).leave()
        assert gate.active == 0

    run(scene())


def test_a_waiter_cancelled_in_the_same_step_is_passed_over() -> None:
    async def scene() -> None:
        gate = Gate(1, 10)
        place = await gate.enter(0)
        first, second = waiter(gate), waiter(gate)
        await settled()
        first.cancel()
        place.leave()
        (await second).leave()
        assert first.cancelled()
        assert (gate.active, gate.waiting) == (0, 0)

    run(scene())


def test_a_place_handed_to_one_who_is_then_cancelled_goes_to_the_next() -> None:
    async def scene() -> None:
        gate = Gate(1, 10)
        place = await gate.enter(0)
        first, second = waiter(gate), waiter(gate)
        await settled()
        place.leave()
        first.cancel()
        (await second).leave()
        assert first.cancelled()
        assert (gate.active, gate.waiting) == (0, 0)

    run(scene())


def test_a_place_handed_to_the_last_one_who_is_then_cancelled_is_free() -> None:
    async def scene() -> None:
        gate = Gate(1, 10)
        place = await gate.enter(0)
        only = waiter(gate)
        await settled()
        place.leave()
        only.cancel()
        await settled()
        assert only.cancelled()
        assert gate.active == 0

    run(scene())


def test_a_waiter_whose_time_is_over_and_who_is_then_cancelled_takes_no_place() -> None:
    async def scene() -> None:
        gate = Gate(1, 10)
        place = await gate.enter(0)
        only = waiter(gate, 0.001)
        while gate.waiting == 0:
            await asyncio.sleep(0)
        while gate.waiting:
            await asyncio.sleep(0)
        only.cancel()
        await settled()
        assert only.cancelled()
        assert gate.active == 1
        place.leave()
        assert gate.active == 0

    run(scene())


def test_a_place_that_comes_in_the_last_moment_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene() -> None:
        gate = Gate(1, 10)
        place = await gate.enter(0)
        loop = asyncio.get_running_loop()
        loop.call_later(100, place.leave)
        waiting = waiter(gate, 200)
        await settled()
        later = loop.time() + 300
        monkeypatch.setattr(loop, "time", lambda: later)  # both timers are due in the same step
        (await waiting).leave()
        assert (gate.active, gate.waiting) == (0, 0)

    run(scene())


def test_more_places_let_waiters_in_at_once() -> None:
    async def scene() -> None:
        gate = Gate(1, 10)
        await gate.enter(0)
        tasks = [waiter(gate) for _ in range(4)]
        await settled()
        gate.resize(3, 10)
        await settled()
        assert [task.done() for task in tasks] == [True, True, False, False]
        assert (gate.active, gate.waiting) == (3, 2)
        gate.resize(9, 10)
        await settled()
        assert (gate.active, gate.waiting) == (5, 0)

    run(scene())


def test_fewer_places_send_nobody_away() -> None:
    async def scene() -> None:
        gate = Gate(3, 10)
        places = [await gate.enter(0) for _ in range(3)]
        waiting = waiter(gate)
        await settled()
        gate.resize(1, 0)
        for place in places[:2]:
            place.leave()
            await settled()
            assert not waiting.done()
        assert gate.active == 1
        places[2].leave()
        (await waiting).leave()
        assert gate.active == 0

    run(scene())


def test_the_advised_wait_follows_the_time_that_calls_take() -> None:
    async def scene() -> None:
        clock = Monotonic()
        gate = Gate(1, 10, clock)
        for _ in range(60):
            place = await gate.enter(0)
            clock.us += 9_000_000
            place.leave()
        await gate.enter(0)
        alone = await busy(waiter(gate, 0))
        assert alone.retry_after_s == 9
        queued = waiter(gate)
        await settled()
        behind = await busy(waiter(gate, 0))
        assert behind.retry_after_s == 18
        queued.cancel()
        await settled()

    run(scene())


def test_without_a_clock_the_loop_is_the_clock() -> None:
    async def scene() -> None:
        gate = Gate(1, 0)
        for _ in range(60):
            (await gate.enter(0)).leave()
        await gate.enter(0)
        problem = await busy(waiter(gate, 0))
        assert problem.retry_after_s == 1

    run(scene())


def test_who_gives_up_leaves_the_queue_at_once() -> None:
    async def scene() -> None:
        gate = Gate(1, 2)
        place = await gate.enter(0)
        ways: list[Callable[[], None]] = []
        leaving = asyncio.create_task(gate.enter(LONG_S, ways.append))
        staying = asyncio.create_task(gate.enter(LONG_S, ways.append))
        await settled()
        ways[0]()
        ways[0]()
        assert gate.waiting == 1
        assert (await busy(leaving)).code is Code.ENGINE_BUSY
        place.leave()
        (await staying).leave()
        ways[1]()
        assert (gate.active, gate.waiting) == (0, 0)

    run(scene())


def test_who_need_not_wait_is_not_asked_how_to_give_up() -> None:
    async def scene() -> None:
        ways: list[Callable[[], None]] = []
        (await Gate(1, 1).enter(LONG_S, ways.append)).leave()
        assert ways == []

    run(scene())


def test_who_has_gone_before_waiting_does_not_wait() -> None:
    async def scene() -> None:
        gate = Gate(1, 1)
        await gate.enter(0)
        problem = await busy(asyncio.create_task(gate.enter(LONG_S, lambda give_up: give_up())))
        assert problem.code is Code.ENGINE_BUSY
        assert gate.waiting == 0

    run(scene())
