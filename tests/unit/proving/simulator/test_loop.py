"""The loop moves only when it is told to, and keeps what nobody may raise."""

import asyncio

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.proving.simulator.loop import Died, DiskJobs, SimulatedLoop


class Time:
    def __init__(self) -> None:
        self.us = 0

    def now_us(self) -> int:
        return self.us


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def loop(time: Time) -> SimulatedLoop:
    return SimulatedLoop(time.now_us)  # type: ignore[abstract]


def test_callbacks_run_in_order_and_only_as_many_as_asked(loop: SimulatedLoop) -> None:
    seen: list[int] = []
    for number in range(4):
        loop.call_soon(seen.append, number)
    cancelled = loop.call_soon(seen.append, 99)
    cancelled.cancel()
    assert seen == []
    loop.run_some(3)
    assert seen == [0, 1, 2]
    assert loop.ready
    loop.run_some(10)
    assert seen == [0, 1, 2, 3]
    assert not loop.ready
    assert loop.turns == 5


def test_timers_ring_when_their_time_has_come(loop: SimulatedLoop, time: Time) -> None:
    seen: list[str] = []
    loop.call_later(0.05, seen.append, "second")
    loop.call_later(0.02, seen.append, "first")
    loop.call_later(0.01, seen.append, "never").cancel()
    assert loop.next_timer_us == 20_000
    loop.ring()
    assert not loop.ready
    time.us = 50_000
    loop.ring()
    loop.run_some(10)
    assert seen == ["first", "second"]
    assert loop.next_timer_us is None


def test_a_timer_at_an_odd_time_is_due_at_the_time_that_it_names(
    loop: SimulatedLoop, time: Time
) -> None:
    """Seconds are fractions: a clock that stops a hair before a timer would stop for ever."""
    for us in (12_750_000, 1_234_567, 86_402_175_000):
        time.us = us
        loop.call_later(0.05, int)
        loop.call_later(0.000_003, int)
        while (due_us := loop.next_timer_us) is not None:
            time.us = max(time.us, due_us)
            loop.ring()
            loop.run_some(10)
        assert loop.next_timer_us is None


def test_a_task_sees_this_loop_and_its_time(loop: SimulatedLoop, time: Time) -> None:
    async def body() -> tuple[bool, float]:
        due = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(2, due.set_result, None)
        await due
        return asyncio.get_running_loop() is loop, asyncio.get_running_loop().time()

    task = loop.spawn(body())
    loop.run_some(10)
    assert not task.done()
    time.us = 2_000_000
    loop.ring()
    loop.run_some(10)
    assert task.result() == (True, 2.0)
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def test_a_job_is_done_first_and_heard_of_later(loop: SimulatedLoop) -> None:
    async def body() -> str:
        return await DiskJobs(loop).run(lambda: "done!")

    task = loop.spawn(body())
    loop.run_some(10)
    (job,) = loop.jobs
    assert (job.kind, job.done) == ("disk", False)
    assert job.run() is None
    loop.run_some(10)
    assert not task.done()
    job.deliver()
    loop.run_some(10)
    assert task.result() == "done!"


def test_a_job_that_fails_tells_its_waiter(loop: SimulatedLoop) -> None:
    def work() -> None:
        raise Problem(Code.LEDGER_UNAVAILABLE, "away")

    future = loop.submit("write", work)
    (job,) = loop.jobs
    assert isinstance(job.run(), Problem)
    job.deliver()
    assert isinstance(future.exception(), Problem)


def test_a_waiter_that_is_gone_is_not_told(loop: SimulatedLoop) -> None:
    future = loop.submit("read", int)
    (job,) = loop.jobs
    job.run()
    future.cancel()
    job.deliver()
    assert future.cancelled()


def test_the_end_of_the_process_leaves_a_job_without_result(loop: SimulatedLoop) -> None:
    def work() -> None:
        raise Died

    loop.submit("disk", work)
    with pytest.raises(Died):
        loop.jobs[0].run()
    assert loop.jobs[0].done


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (AssertionError("more is held than was leased"), True),
        (OSError("disk"), True),
        (Problem(Code.CAP_REACHED, "no money"), False),
        (asyncio.CancelledError(), False),
        (Died(), False),
    ],
)
def test_only_what_the_product_may_not_raise_is_a_fault(
    loop: SimulatedLoop, error: BaseException, counts: bool
) -> None:
    async def body() -> None:
        raise error

    def callback() -> None:
        raise error

    loop.spawn(body())
    loop.run_some(10)
    assert loop.faults == ([error] if counts else [])
    loop.call_soon(callback)
    loop.run_some(10)
    assert len(loop.faults) == (2 if counts else 0)


def test_a_dead_loop_stands_still(loop: SimulatedLoop) -> None:
    seen: list[int] = []
    loop.call_soon(seen.append, 1)
    loop.dead = True
    loop.run_some(10)
    assert seen == []
    loop.call_exception_handler({"exception": ValueError()})
    assert loop.faults == []


def test_the_loop_says_of_itself_what_asyncio_asks(loop: SimulatedLoop) -> None:
    assert loop.is_running()
    assert not loop.is_closed()
    assert not loop.get_debug()
