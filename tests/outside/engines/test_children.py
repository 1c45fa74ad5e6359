"""Real children that misbehave, without any model: the supervisor must get over all of them."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.outside.engines.test_embedded_faults import (
    is_gone,
    is_reaped,
    open_descriptors,
    until,
)
from tests.unit.engines.child.test_frames import begin
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.child.frames import Cancel, Step
from tokenbooth.engines.child.rules import ChildPolicy
from tokenbooth.engines.child.supervisor import ChildPlan, Supervisor

ROOT = Path(__file__).resolve().parents[3]
WORKER = "tests.support.odd_worker"


class Ear:
    """Listens to a supervisor."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.reasons: list[str] = []
        self.busy = False

    def heard(self, step: Step) -> None:
        self.steps.append(step)

    def lost(self, reason: str) -> None:
        self.reasons.append(reason)

    @property
    def runs_over(self) -> list[int]:
        return [over.run for step in self.steps for over in step.over]


def supervised(mode: str, **policy: float) -> tuple[Supervisor, Ear]:
    ear = Ear()
    times = {"backoff_first_s": 0.0, "backoff_max_s": 0.0} | policy
    plan = ChildPlan(WORKER, json.dumps({"mode": mode}).encode(), ChildPolicy(**times))
    return Supervisor(plan, ear), ear


def test_a_good_child_works_and_leaves_nothing(new_children: Callable[[], list[int]]) -> None:
    async def work() -> None:
        before = open_descriptors()
        supervisor, ear = supervised("parrot")
        assert (await supervisor.open()).fingerprint == "parrot"
        pid = supervisor.pid
        assert pid is not None
        assert new_children() == [pid]
        supervisor.send(begin(run=1))
        supervisor.send(begin(run=2))
        supervisor.send(Cancel(2))
        await until(lambda: sorted(ear.runs_over) == [1, 2])
        await supervisor.close()
        assert is_reaped(pid)
        gc.collect()
        assert open_descriptors() == before

    asyncio.run(work())


async def opened_in_the_end(supervisor: Supervisor) -> None:
    """Its child breaks as soon as it is ready; where both are heard at once, opening fails."""
    async with asyncio.timeout(60):
        while True:
            try:
                await supervisor.open()
            except Problem:
                continue
            return


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("garbage", "not a frame"),
        ("huge", "a frame of 4294967295 bytes"),
        ("chatty", "famous last words"),
    ],
)
def test_a_child_that_breaks_the_protocol_is_replaced(
    mode: str, words: str, new_children: Callable[[], list[int]]
) -> None:
    async def work() -> None:
        supervisor, ear = supervised(mode, backoff_first_s=0.05, backoff_max_s=0.05)
        await opened_in_the_end(supervisor)
        await until(lambda: any(words in reason for reason in ear.reasons))
        await until(lambda: supervisor.restarts >= 1)
        assert max(map(len, ear.reasons)) < 6000
        await supervisor.close()
        assert new_children() == []

    asyncio.run(work())


def test_frames_that_come_byte_by_byte_are_whole_frames() -> None:
    async def work() -> None:
        supervisor, ear = supervised("split")
        await supervisor.open()
        await until(lambda: len(ear.steps) == 2)
        await supervisor.close()
        assert ear.steps == [Step(), Step()]

    asyncio.run(work())


def test_a_child_that_dies_while_loading_is_told_with_its_last_words(
    new_children: Callable[[], list[int]],
) -> None:
    async def work() -> None:
        supervisor, _ = supervised("crash")
        with pytest.raises(Problem, match="could not be started") as caught:
            await supervisor.open()
        assert "the model is cursed" in caught.value.detail
        assert not supervisor.ready
        assert new_children() == []

    asyncio.run(work())


def test_a_child_that_ignores_every_signal_is_killed() -> None:
    async def work() -> None:
        supervisor, _ = supervised("stubborn")
        await supervisor.open()
        pid = supervisor.pid
        assert pid is not None
        await supervisor.close()
        assert is_reaped(pid)

    asyncio.run(work())


def test_a_step_that_never_returns_is_found_and_killed() -> None:
    async def work() -> None:
        supervisor, ear = supervised("deaf", hang_after_s=0.5)
        await supervisor.open()
        pid = supervisor.pid
        assert pid is not None
        supervisor.send(begin(run=1))
        ear.busy = True
        await until(lambda: bool(ear.reasons))
        ear.busy = False
        assert "said nothing for 0.5 s" in ear.reasons[0]
        assert is_reaped(pid)
        await until(lambda: supervisor.ready)
        await supervisor.close()

    asyncio.run(work())


def test_twenty_deaths_in_a_row_leak_nothing(new_children: Callable[[], list[int]]) -> None:
    async def work() -> None:
        supervisor, _ = supervised("parrot")
        await supervisor.open()
        before = open_descriptors()
        for _ in range(20):
            pid = supervisor.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid: supervisor.pid not in (None, pid))  # type: ignore[misc]
        assert supervisor.restarts == 20
        gc.collect()
        assert open_descriptors() == before
        assert len(new_children()) == 1
        await supervisor.close()

    asyncio.run(work())


def test_an_order_over_the_bound_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        supervisor, ear = supervised("parrot")
        await supervisor.open()
        monkeypatch.setattr("tokenbooth.engines.child.frames.FRAME_BYTES_MAX", 64)
        with pytest.raises(Problem) as caught:
            supervisor.send(begin(grammar="x" * 100))
        assert caught.value.code is Code.BODY_TOO_LARGE
        monkeypatch.undo()
        supervisor.send(begin(run=3))
        await until(lambda: ear.runs_over == [3])
        await supervisor.close()

    asyncio.run(work())


GATEWAY = """
import asyncio, sys
from tests.outside.engines.test_children import supervised
from tests.unit.engines.child.test_frames import begin

async def work():
    supervisor, ear = supervised(sys.argv[1])
    await supervisor.open()
    supervisor.send(begin(run=1))
    print(supervisor.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(work())
"""


@pytest.mark.parametrize("mode", ["parrot", "deaf"])
def test_a_child_dies_with_its_gateway_even_deep_in_a_step(mode: str) -> None:
    command = [sys.executable, "-c", GATEWAY, mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as gateway:
        assert gateway.stdout is not None
        pid = int(gateway.stdout.readline())
        assert not is_gone(pid)
        gateway.kill()
        gateway.wait()
    asyncio.run(until(lambda: is_gone(pid)))
    assert is_gone(pid)


def test_a_keyboard_interrupt_is_left_to_the_gateway() -> None:
    async def work() -> None:
        supervisor, ear = supervised("parrot")
        await supervisor.open()
        pid = supervisor.pid
        assert pid is not None
        os.kill(pid, signal.SIGINT)
        supervisor.send(begin(run=1))
        await until(lambda: ear.runs_over == [1])
        assert supervisor.pid == pid
        await supervisor.close()

    asyncio.run(work())
