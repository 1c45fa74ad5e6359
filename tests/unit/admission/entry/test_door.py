import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tokenbooth.admission.entry.service import GateBook, Pace, Place
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import ServiceTier

LONG_S = 3600
STANDARD, FLEX, PRIORITY = ServiceTier.STANDARD, ServiceTier.FLEX, ServiceTier.PRIORITY


@dataclass
class Monotonic:
    us: int = 0

    def __call__(self) -> int:
        return self.us


@dataclass(frozen=True)
class Deployment:
    id: str = "dep_1"
    model_name: str = "demo"
    concurrency_max: int = 1
    queue_max: int = 10
    queue_wait_max_s: int = LONG_S


DEMO = Deployment()


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scene())


async def settled() -> None:
    """Let every callback that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


class Scene:
    """A book on a clock of its own, and tasks that enter by it."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Monotonic()
        self.book = GateBook(self.clock, **settings)
        self.came: list[str] = []

    def place(self, org: str = "acme", tier: ServiceTier = STANDARD, tokens: int = 10) -> Place:
        return self.book.place(org, tier, tokens, tokens)

    async def enter(self, deployment: Deployment = DEMO, **place: Any) -> Place:
        return await self.book.enter(deployment, self.place(**place))

    def waiter(self, deployment: Deployment = DEMO, **place: Any) -> "asyncio.Task[Place]":
        async def comes() -> Place:
            found = await self.enter(deployment, **place)
            self.came.append(found.tenant)
            return found

        return asyncio.create_task(comes())


async def busy(coming: "Coroutine[Any, Any, Place] | asyncio.Task[Place]") -> Problem:
    with pytest.raises(Problem) as caught:
        await coming
    assert caught.value.code is Code.ENGINE_BUSY
    return caught.value


def test_each_deployment_has_its_own_desk_and_its_limit() -> None:
    async def scene() -> None:
        it = Scene()
        here = replace(DEMO, queue_wait_max_s=0)
        first = await it.enter(here)
        second = await it.enter(replace(here, id="other"))
        problem = await busy(it.enter(here))
        assert problem.public == "The model is busy."
        assert not it.book.has_room(here)
        assert it.book.has_room(replace(here, id="never called"))
        first.leave()
        first.leave()
        assert it.book.has_room(here)
        (await it.enter(here)).leave()
        second.leave()
        assert it.book.limits() == {"dep_1": 1, "other": 1}

    run(scene)


def test_waiters_of_one_tenant_are_served_in_the_order_of_arrival() -> None:
    async def scene() -> None:
        it = Scene()
        place = await it.enter()
        tasks = [it.waiter() for _ in range(4)]
        await settled()
        assert it.book.waiting() == {"dep_1": 4}
        for task in tasks:
            place.leave()
            place = await task
        place.leave()
        assert it.book.waiting() == {"dep_1": 0}

    run(scene)


def test_bands_are_strict_and_the_operators_own_apps_come_after_customers() -> None:
    async def scene() -> None:
        it = Scene(first_party=frozenset({"own"}))
        place = await it.enter()
        for org, tier in (("f", FLEX), ("own", STANDARD), ("s", STANDARD), ("p", PRIORITY)):
            it.waiter(org=org, tier=tier)
            await settled()
        for expected in ("p", "s", "own", "f"):
            place.leave()
            await settled()
            assert it.came[-1] == expected
            place = next(iter(it.book._doors["dep_1"].desk._floor._inside))  # type: ignore[assignment]
        place.leave()

    run(scene)


def test_a_full_queue_sends_the_heaviest_tenant_away() -> None:
    async def scene() -> None:
        it = Scene()
        small = replace(DEMO, queue_max=2)
        place = await it.enter(small)
        flood = [it.waiter(small, org="flood") for _ in range(3)]
        await settled()
        assert (await busy(flood[2])).public == "The model's queue is full."
        polite = it.waiter(small, org="polite")
        await settled()
        assert (await busy(flood[1])).public == "The model's queue is full."
        place.leave()
        await settled()
        # Both had nothing so far, so the first to come is the first; then the other.
        (await flood[0]).leave()
        (await polite).leave()

    run(scene)


def test_time_that_is_over_leaves_the_queue_clean() -> None:
    async def scene() -> None:
        it = Scene()
        place = await it.enter()
        short = it.book.enter(DEMO, it.place(), 0.001)
        problem = await busy(short)
        assert "as long as a call may wait" in problem.public
        assert it.book.waiting() == {"dep_1": 0}
        place.leave()
        (await it.enter()).leave()

    run(scene)


def test_a_cancelled_waiter_is_passed_over_even_if_it_had_its_place() -> None:
    async def scene() -> None:
        it = Scene()
        place = await it.enter()
        cancelled, granted, stays = (it.waiter(org=org) for org in ("a", "b", "c"))
        await settled()
        cancelled.cancel()
        await settled()
        place.leave()
        granted.cancel()
        await settled()
        (await stays).leave()
        assert it.came == ["c"]
        assert it.book.has_room(DEMO)

    run(scene)


def test_who_gives_up_leaves_the_queue_at_once() -> None:
    async def scene() -> None:
        it = Scene()
        place = await it.enter()
        ways: list[Callable[[], None]] = []
        leaving = asyncio.create_task(it.book.enter(DEMO, it.place(), waits=ways.append))
        staying = asyncio.create_task(it.book.enter(DEMO, it.place(), waits=ways.append))
        await settled()
        ways[0]()
        ways[0]()
        assert it.book.waiting() == {"dep_1": 1}
        await busy(leaving)
        place.leave()
        (await staying).leave()
        ways[1]()
        asked: list[Callable[[], None]] = []
        (await it.book.enter(DEMO, it.place(), waits=asked.append)).leave()
        assert asked == []

    run(scene)


def test_changed_limits_act_at_once_and_forgotten_places_stay_valid() -> None:
    async def scene() -> None:
        it = Scene()
        first = await it.enter()
        waiting = it.waiter()
        await settled()
        second = await it.enter(replace(DEMO, concurrency_max=3))
        third = await waiting
        assert it.book.limits() == {"dep_1": 3}
        it.book.certified("dep_1", Pace(1_000_000, 50_000, 1, 2))
        await busy(it.book.enter(replace(DEMO, concurrency_max=3), it.place(), 0))
        assert it.book.limits() == {"dep_1": 2}
        it.book.certified("dep_1", None)
        fourth = await it.enter(replace(DEMO, concurrency_max=4))
        it.book.keep_only(frozenset())
        for place in (first, second, third, fourth):
            place.leave()
        assert it.book.waiting() == {}

    run(scene)


def test_demand_counts_who_is_inside_who_waits_and_who_was_refused() -> None:
    async def scene() -> None:
        it = Scene()
        place = await it.enter()
        assert it.book.demand_milli() == {"dep_1": 1000}
        waiting = it.waiter()
        await settled()
        assert it.book.demand_milli() == {"dep_1": 2000}
        for _ in range(30):
            await busy(it.book.enter(DEMO, it.place(), 0))
        # 30 in 15 s, each for the second that is thought of at first.
        assert it.book.demand_milli() == {"dep_1": 4000}
        it.clock.us += 60_000_000
        assert it.book.demand_milli() == {"dep_1": 2000}
        place.leave()
        (await waiting).leave()
        assert it.book.demand_milli() == {"dep_1": 0}

    run(scene)


def test_a_model_with_a_pace_reads_only_so_many_prompts_at_once() -> None:
    async def scene() -> None:
        it = Scene(paces={"demo": Pace(1_000_000, 50_000, 1, 8)})
        wide = replace(DEMO, concurrency_max=8)
        reads = await it.enter(wide, tokens=1000)
        it.clock.us += 600_000
        reads.first()
        reads.first()
        again = await it.enter(wide, tokens=800)
        late = it.waiter(wide, tokens=800)
        await settled()
        assert it.book.waiting() == {"dep_1": 1}
        it.clock.us += 100_000
        again.first()
        await settled()
        third = await late
        assert third.waited_us == 100_000
        for place in (reads, again, third):
            place.leave()
        again.first()
        assert it.book.demand_milli() == {"dep_1": 0}

    run(scene)


def test_a_place_elsewhere_is_of_the_same_call_and_does_not_wait() -> None:
    async def scene() -> None:
        it = Scene()
        place = await it.enter(tier=FLEX, tokens=7)
        other = place.elsewhere()
        assert (other.tenant, other.rank, other.input_tokens) == ("acme", place.rank, 7)
        await busy(it.book.enter(DEMO, other, 0))
        place.leave()

    run(scene)


def test_without_a_clock_the_loop_is_the_clock() -> None:
    async def scene() -> None:
        book = GateBook()
        place = await book.enter(DEMO, book.place("acme", STANDARD, 1, 1))
        assert place.entered_us > 0
        place.leave()

    run(scene)
