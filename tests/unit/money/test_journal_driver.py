"""Group commit on an event loop, with a disk whose syncs the test lets through one by one."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable

import pytest

from tests.support.journal import JOURNAL_ID, begun, facts, progress, settlement
from tests.support.memory_loop import MemoryLoop
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.money.journal.driver import IDLE_SYNC, JournalDriver
from tokenbooth.money.journal.file import read_replay
from tokenbooth.money.journal.values import CallFacts, SettledCall
from tokenbooth.proving.simulated_disk import SimulatedDisk


class GatedDisk(SimulatedDisk):
    """Holds each sync of an open file until ``let`` is called, once ``gated``."""

    def __init__(self) -> None:
        super().__init__()
        self.gated = False
        self.entered = threading.Semaphore(0)
        self.opened = threading.Semaphore(0)

    def sync(self, file: int) -> None:
        if self.gated:
            self.entered.release()
            self.opened.acquire()
        super().sync(file)

    async def syncing(self) -> None:
        """Wait until a sync is under way."""
        await asyncio.to_thread(self.entered.acquire)

    def let(self) -> None:
        self.opened.release()


Scene = Callable[[JournalDriver, GatedDisk], Awaitable[None]]


def play(scene: Scene, *, segment_bytes_max: int = 2**20) -> GatedDisk:
    disk = GatedDisk()

    async def run() -> None:
        driver = JournalDriver(begun(disk, segment_bytes_max=segment_bytes_max))
        await scene(driver, disk)

    asyncio.run(run())
    return disk


def whole(name: str) -> CallFacts:
    return facts(name, stream=False)


async def end(driver: JournalDriver, name: str) -> None:
    driver.open(whole(name))
    await driver.settle(SettledCall(whole(name), settlement(name), 1))


def found(disk: SimulatedDisk) -> set[str]:
    return {call.facts.request_id for call in read_replay(disk, JOURNAL_ID).calls}


async def spin(turns: int = 5) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


def test_a_settlement_is_durable_when_the_wait_returns() -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        await end(driver, "req_1")
        disk.power_cut(lambda bound: 0)
        assert found(disk) == {"req_1"}

    play(scene)


def test_a_settlement_reaches_the_system_within_one_turn_of_the_loop() -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        disk.gated = True
        driver.open(whole("req_1"))
        ended = driver.settle(SettledCall(whole("req_1"), settlement("req_1"), 1))
        assert found(disk) == set()
        await spin(1)
        assert found(disk) == {"req_1"}
        assert not ended.done()
        disk.gated = False
        disk.let()
        await ended
        await driver.close()

    play(scene)


def test_a_stream_is_known_to_the_system_before_its_output_can_leave() -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        disk.gated = True
        driver.open(facts("req_1"))
        await spin(1)
        assert found(disk) == {"req_1"}
        disk.gated = False
        await driver.close()

    play(scene)


def test_a_short_call_is_one_record() -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        sequence = driver._journal.written
        await end(driver, "req_1")
        assert driver._journal.written == sequence + 2  # with the mark of what was durable
        await driver.close()

    play(scene)


def test_those_who_come_during_a_sync_share_the_next_one() -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        disk.gated = True
        begun_with = disk.syncs
        first = asyncio.create_task(end(driver, "req_0"))
        await disk.syncing()
        later = [asyncio.create_task(end(driver, f"req_{number}")) for number in range(1, 50)]
        await spin()
        assert not first.done()
        disk.let()
        await first
        await disk.syncing()
        assert not any(task.done() for task in later)
        disk.let()
        await asyncio.gather(*later)
        assert disk.syncs == begun_with + 2
        disk.gated = False
        await driver.close()

    play(scene)


def test_nobody_else_waits_while_the_disk_stalls() -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        disk.gated = True
        stuck = asyncio.create_task(end(driver, "req_0"))
        await disk.syncing()
        driver.open(facts("req_1"))
        driver.progress(progress("req_1"))
        driver._look()
        assert found(disk) == {"req_0", "req_1"}
        assert not stuck.done()
        disk.gated = False
        disk.let()
        await stuck
        await driver.close()

    play(scene)


def test_a_waiter_that_gives_up_takes_nobody_with_it() -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        disk.gated = True
        gone = asyncio.create_task(end(driver, "req_1"))
        stays = asyncio.create_task(end(driver, "req_2"))
        await disk.syncing()
        gone.cancel()
        disk.gated = False
        disk.let()
        await stays
        assert gone.cancelled()
        await driver.close()

    play(scene)


def test_what_nobody_waits_for_is_durable_a_little_later() -> None:
    disk = SimulatedDisk()
    loop = MemoryLoop()

    async def scene() -> None:
        driver = JournalDriver(begun(disk))
        driver.open(facts("req_1"))
        await spin()
        driver.progress(progress("req_1"))
        await spin()
        before = disk.syncs
        due = loop.create_future()
        loop.call_later(1, due.set_result, None)
        await due
        await driver.close()  # waits for a sync under way, and adds none of its own
        assert disk.syncs == before + 1
        disk.power_cut(lambda bound: 0)
        (call,) = read_replay(disk, JOURNAL_ID).calls
        assert call.progress == progress("req_1")

    loop.run_until_complete(scene())
    loop.close()


def test_a_call_that_lasts_is_opened_at_the_second_look() -> None:
    disk = SimulatedDisk()
    loop = MemoryLoop()

    async def scene() -> None:
        driver = JournalDriver(begun(disk))
        seen = []
        driver.open(whole("req_1"))
        for _ in range(2):
            await waited(loop, 1.5)
            seen.append(found(disk))
        await driver.close()
        assert seen == [set(), {"req_1"}]

    loop.run_until_complete(scene())
    loop.close()


def waited(loop: MemoryLoop, periods: float) -> asyncio.Future[None]:
    """Done after so many times the pause between two looks."""
    due = loop.create_future()
    loop.call_later(IDLE_SYNC.total_seconds() * periods, due.set_result, None)
    return due


def test_what_left_of_a_whole_call_opens_it() -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        driver.open(whole("req_1"))
        driver.progress(progress("req_1"))
        await driver.close()
        (call,) = read_replay(disk, JOURNAL_ID).calls
        assert call.facts == whole("req_1")
        assert call.progress == progress("req_1")

    play(scene)


def test_progress_after_a_rest_is_kept_too() -> None:
    disk = SimulatedDisk()
    loop = MemoryLoop()

    async def scene() -> None:
        driver = JournalDriver(begun(disk))
        driver.open(facts("req_1"))
        await waited(loop, 5)
        driver.progress(progress("req_1", cost_nano=1))
        assert driver._timer is not None
        await driver.close()
        (call,) = read_replay(disk, JOURNAL_ID).calls
        assert call.progress == progress("req_1", cost_nano=1)

    loop.run_until_complete(scene())
    loop.close()


def test_a_disk_that_breaks_while_nobody_waits_is_known_afterwards() -> None:
    disk = SimulatedDisk()
    loop = MemoryLoop()

    async def scene() -> None:
        driver = JournalDriver(begun(disk))
        driver.open(whole("req_1"))
        disk.fail_next("append")
        await waited(loop, 5)
        assert driver.broken is not None
        with pytest.raises(Problem):
            driver.open(whole("req_2"))
        with pytest.raises(Problem):
            await driver.close()

    loop.run_until_complete(scene())
    loop.close()


def test_closing_keeps_everything_and_stops_the_timer() -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        driver.open(facts("req_1"))
        await spin()
        driver.open(facts("req_2"))
        await driver.close()
        disk.power_cut(lambda bound: 0)
        assert found(disk) == {"req_1", "req_2"}

    play(scene)


def test_closing_waits_for_the_sync_that_runs() -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        disk.gated = True
        waiting = asyncio.create_task(end(driver, "req_1"))
        await disk.syncing()
        closing = asyncio.create_task(driver.close())
        await spin()
        assert not closing.done()
        disk.gated = False
        disk.let()
        await closing
        await waiting

    play(scene)


def test_closing_ends_the_wait_of_those_who_are_left() -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        waiting = asyncio.create_task(end(driver, "req_1"))
        await asyncio.sleep(0)
        await driver.close()
        await waiting

    play(scene)


def test_segments_of_shipped_calls_are_removed_on_the_way() -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        for number in range(30):
            await end(driver, f"req_{number}")
            driver.forget((f"req_{number}",))
        await driver.close()

    disk = play(scene, segment_bytes_max=1_000)
    assert len(disk.list()) <= 3


@pytest.mark.parametrize("verb", ["append", "sync"])
def test_a_broken_disk_is_told_to_all_who_wait_and_all_who_come(verb: str) -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        assert driver.broken is None
        disk.fail_next(verb)
        waiting = [asyncio.create_task(end(driver, f"req_{number}")) for number in range(3)]
        for told in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(told, Problem)
            assert told.code is Code.LEDGER_UNAVAILABLE
        assert driver.broken is not None
        with pytest.raises(Problem):
            driver.open(facts("req_9"))
        driver.forget(("req_1",))
        with pytest.raises(Problem):
            await driver.close()

    play(scene)


def test_a_segment_that_cannot_be_removed_breaks_the_journal() -> None:
    async def scene(driver: JournalDriver, disk: GatedDisk) -> None:
        disk.fail_next("remove")
        number = 0
        while driver.broken is None:
            number += 1
            with contextlib.suppress(Problem):
                await end(driver, f"req_{number}")
            driver.forget((f"req_{number}",))
            await asyncio.sleep(0)
        assert "pruned" in (driver.broken or "")
        with pytest.raises(Problem):
            await driver.close()

    play(scene, segment_bytes_max=1_000)
