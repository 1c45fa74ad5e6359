"""Random schedules: whatever happens, places are neither lost nor doubled."""

import asyncio
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.admission.queue.service import Gate, Place
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

LONG_S = 3600
STEP = st.tuples(
    st.sampled_from(["come", "come", "come", "leave", "leave", "cancel", "turn", "turn"]),
    st.integers(0, 20),
)


class Scene:
    """``served`` holds all who got in; ``queued`` those of them who had to wait, in that order."""

    def __init__(self, places: int, queue_max: int) -> None:
        self.places, self.queue_max = places, queue_max
        self.gate = Gate(places, queue_max, lambda: 0)
        self.tasks: list[asyncio.Task[None]] = []
        self.inside: dict[int, Place] = {}
        self.served: list[int] = []
        self.queued: list[int] = []
        self.refused = 0
        self.arrivals = itertools.count()

    async def call(self, number: int) -> None:
        waits = self.gate.active == self.places
        try:
            place = await self.gate.enter(LONG_S)
        except Problem as problem:
            self.refused += problem.code is Code.ENGINE_BUSY
            return
        self.inside[number] = place
        self.served.append(number)
        if waits:
            self.queued.append(number)

    def come(self) -> None:
        self.tasks.append(asyncio.create_task(self.call(next(self.arrivals))))

    def leave(self, pick: int) -> None:
        if self.inside:
            number = sorted(self.inside)[pick % len(self.inside)]
            self.inside.pop(number).leave()

    def cancel(self, pick: int) -> None:
        if self.tasks:
            self.tasks[pick % len(self.tasks)].cancel()

    def check(self) -> None:
        assert len(self.inside) <= self.gate.active <= self.places
        assert self.gate.waiting <= self.queue_max
        assert self.gate.waiting == 0 or self.gate.active == self.places
        assert self.queued == sorted(self.queued)

    async def drain(self) -> None:
        """Everybody still waiting gets through, and then nothing is left."""
        for _ in range(10 * len(self.tasks) + 10):
            self.leave(0)
            await asyncio.sleep(0)
            self.check()
        assert all(task.done() for task in self.tasks)
        while self.inside:
            self.leave(0)
        await asyncio.gather(*self.tasks, return_exceptions=True)
        assert (self.gate.active, self.gate.waiting) == (0, 0)


async def play(places: int, queue_max: int, steps: list[tuple[str, int]]) -> Scene:
    scene = Scene(places, queue_max)
    for what, pick in steps:
        if what == "come":
            scene.come()
        elif what == "leave":
            scene.leave(pick)
        elif what == "cancel":
            scene.cancel(pick)
        else:
            await asyncio.sleep(0)
        scene.check()
    await scene.drain()
    return scene


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3), st.integers(0, 4), st.lists(STEP, min_size=15, max_size=60))
def test_places_are_neither_lost_nor_doubled(
    places: int, queue_max: int, steps: list[tuple[str, int]]
) -> None:
    scene = asyncio.run(play(places, queue_max, steps))
    cancelled = sum(task.cancelled() for task in scene.tasks)
    assert len(scene.tasks) == len(scene.served) + scene.refused + cancelled


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 3), st.integers(1, 12))
def test_without_cancellation_exactly_places_and_queue_get_through(
    places: int, callers: int
) -> None:
    scene = asyncio.run(play(places, 4, [("come", 0)] * callers))
    assert len(scene.served) == min(callers, places + 4)
    assert scene.refused == max(0, callers - places - 4)
