"""The thread that waits for the journal's disk: in order, and whatever happens to who waits."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from tokenbooth.money.journal.disk_thread import DiskThread

WAIT_MAX_S = 20


def test_work_is_done_in_order_and_away_from_the_loop() -> None:
    async def scene() -> None:
        disk = DiskThread(asyncio.get_running_loop())
        done: list[int] = []
        names: list[str] = []

        def work(number: int) -> Callable[[], None]:
            def step() -> None:
                done.append(number)
                names.append(threading.current_thread().name)

            return step

        await asyncio.gather(*(disk.run(work(number)) for number in range(20)))
        assert done == list(range(20))
        assert set(names) == {"journal"}
        disk.close()

    asyncio.run(scene())


def test_who_waits_gets_the_error_and_the_next_is_served() -> None:
    async def scene() -> None:
        disk = DiskThread(asyncio.get_running_loop())
        with pytest.raises(ZeroDivisionError):
            await disk.run(lambda: 1 // 0)
        assert await disk.run(lambda: 5) == 5
        disk.close()

    asyncio.run(scene())


@pytest.mark.parametrize("fails", [False, True])
def test_who_waits_no_more_is_not_told(fails: bool) -> None:
    async def scene() -> None:
        disk, gate = DiskThread(asyncio.get_running_loop()), threading.Event()

        def work() -> None:
            gate.wait(WAIT_MAX_S)
            if fails:
                raise OSError("the disk is gone")

        waiter = disk.run(work)
        waiter.cancel()
        gate.set()
        assert await disk.run(lambda: 7) == 7
        assert waiter.cancelled()
        disk.close()

    asyncio.run(scene())


def test_a_loop_that_was_closed_hears_nothing_and_the_thread_ends() -> None:
    loop, gate = asyncio.new_event_loop(), threading.Event()
    disk = DiskThread(loop)
    waiter = disk.run(lambda: gate.wait(WAIT_MAX_S))
    loop.close()
    gate.set()
    disk.close()
    assert disk._thread is not None
    disk._thread.join(WAIT_MAX_S)
    assert not disk._thread.is_alive()
    assert not waiter.done()
