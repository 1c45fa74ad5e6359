"""Doors whose places come and go while calls wait: never more inside than the part."""

import asyncio
import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.admission.entry.test_door import DEMO, Scene, busy, run, settled
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import ServiceTier


@dataclass
class Part:
    """What the hooks of a book ask and tell: one part of the places, and how many may wait."""

    places: int = 1
    waiting: int = 10
    gives: bool = False

    def hang(self, it: Scene) -> "Part":
        self.book, self.asked, self.hungry = it.book, [], []
        it.book.bounds = lambda deployment: (self.places, self.waiting)
        it.book.leaves = self._leaves
        it.book.hungry = self.hungry.append
        return self

    def becomes(self, places: int, deployment_id: str = "dep_1") -> None:
        self.places = places
        self.book.resize(deployment_id, places)

    def _leaves(self, deployment_id: str, waiting: bool) -> bool:
        self.asked.append((deployment_id, waiting))
        if self.gives and self.places:
            self.places -= 1
            return True
        return False


def test_a_part_of_nothing_lets_nobody_in_and_a_place_that_comes_goes_to_who_waits() -> None:
    async def scene() -> None:
        it = Scene()
        part = Part(places=0).hang(it)
        first, second = it.waiter(org="a"), it.waiter(org="b")
        await settled()
        assert (it.book.taken("dep_1"), it.book.waiting_at("dep_1")) == (0, 2)
        part.becomes(1)
        await settled()
        assert (it.came, it.book.taken("dep_1"), it.book.waiting_at("dep_1")) == (["a"], 1, 1)
        part.becomes(2)
        (await second).leave()
        (await first).leave()
        assert it.book.taken("dep_1") == 0

    run(scene)


@pytest.mark.parametrize("tier", list(ServiceTier))
def test_a_part_of_nothing_lets_no_tier_in_and_no_tenant_past_its_part(tier) -> None:
    async def scene() -> None:
        it = Scene(first_party=frozenset({"own"}))
        part = Part(places=4).hang(it)
        many = [await it.enter(org="many") for _ in range(3)]
        other = await it.enter(org="other")
        part.becomes(0)
        for place in (*many, other):
            place.leave()
        tasks = [it.waiter(org=org, tier=tier) for org in ("many", "other", "own")]
        await settled()
        assert (it.book.taken("dep_1"), it.came) == (0, [])
        part.becomes(4)
        for task in tasks:
            (await task).leave()

    run(scene)


def test_a_part_that_shrinks_sends_nobody_away_and_lets_nobody_in_until_it_fits() -> None:
    async def scene() -> None:
        it = Scene()
        part = Part(places=3).hang(it)
        inside = [await it.enter() for _ in range(3)]
        waiting = it.waiter(org="w")
        await settled()
        part.becomes(1)
        assert it.book.taken("dep_1") == 3
        for place in inside[:2]:
            place.leave()
            await settled()
            assert not waiting.done()
        inside[2].leave()
        (await waiting).leave()
        assert it.book.taken("dep_1") == 0

    run(scene)


def test_a_part_that_grows_lets_in_as_many_as_it_grew_by() -> None:
    async def scene() -> None:
        it = Scene()
        part = Part(places=1).hang(it)
        tasks = [it.waiter(org=org) for org in "abcde"]
        await settled()
        for places in (1, 2, 4):
            part.becomes(places)
            await settled()
            assert len(it.came) == it.book.taken("dep_1") == places
        for task in tasks:
            (await task).leave()

    run(scene)


def test_the_owner_is_told_of_who_waits_and_not_of_who_comes_in_or_is_refused() -> None:
    async def scene() -> None:
        it = Scene()
        part = Part(waiting=1).hang(it)
        place = await it.enter()
        assert part.hungry == []
        waiting = it.waiter()
        await settled()
        assert part.hungry == ["dep_1"]
        await busy(it.enter())
        await busy(it.book.enter(DEMO, it.place(), 0))
        assert part.hungry == ["dep_1"]
        place.leave()
        (await waiting).leave()

    run(scene)


def test_each_place_that_comes_free_is_asked_for_once_with_whether_anybody_waits() -> None:
    async def scene() -> None:
        it = Scene()
        part = Part().hang(it)
        place = await it.enter()
        waiting = it.waiter()
        await settled()
        place.leave()
        place.leave()
        assert part.asked == [("dep_1", True)]
        (await waiting).leave()
        assert part.asked == [("dep_1", True), ("dep_1", False)]

    run(scene)


def test_a_place_that_leaves_is_not_given_to_who_waits_here() -> None:
    async def scene() -> None:
        it = Scene()
        part = Part(places=2).hang(it)
        first, second = await it.enter(), await it.enter()
        waiting = it.waiter()
        await settled()
        part.gives = True
        first.leave()
        await settled()
        assert (part.places, it.book.taken("dep_1"), waiting.done()) == (1, 1, False)
        part.gives = False
        second.leave()
        (await waiting).leave()

    run(scene)


def test_the_last_place_may_leave_and_who_waits_is_served_when_one_comes_back() -> None:
    async def scene() -> None:
        it = Scene()
        part = Part(gives=True).hang(it)
        place = await it.enter()
        waiting = it.waiter()
        await settled()
        place.leave()
        await settled()
        assert (part.places, it.book.has_room(DEMO), waiting.done()) == (0, False, False)
        part.gives = False
        part.becomes(1)
        (await waiting).leave()
        assert it.book.has_room(DEMO)

    run(scene)


def test_a_call_cancelled_with_its_place_in_hand_gives_it_back_like_any_other() -> None:
    async def scene() -> None:
        it = Scene()
        part = Part().hang(it)
        place = await it.enter()
        cancelled = it.waiter()
        await settled()
        place.leave()
        part.gives = True
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert part.asked == [("dep_1", True), ("dep_1", False)]
        assert (part.places, it.book.taken("dep_1"), it.book.limits()) == (0, 0, {"dep_1": 0})

    run(scene)


def test_a_call_cancelled_while_it_waits_has_no_place_to_give() -> None:
    async def scene() -> None:
        it = Scene()
        part = Part(gives=True).hang(it)
        place = await it.enter()
        cancelled = it.waiter()
        await settled()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert (part.asked, part.places, it.book.waiting_at("dep_1")) == ([], 1, 0)
        part.gives = False
        place.leave()

    run(scene)


def test_how_many_may_wait_is_the_part_s_and_not_the_deployment_s() -> None:
    async def scene() -> None:
        it = Scene()
        Part(waiting=2).hang(it)
        place = await it.enter()
        tasks = [it.waiter() for _ in range(3)]
        await settled()
        assert it.book.waiting_at("dep_1") == 2
        assert (await busy(tasks[2])).public == "The model's queue is full."
        for task in tasks[:2]:
            place.leave()
            place = await task
        place.leave()

    run(scene)


def test_bounds_that_changed_act_from_the_next_call_on() -> None:
    async def scene() -> None:
        it = Scene()
        part = Part().hang(it)
        first = await it.enter()
        assert not it.book.has_room(DEMO)
        part.places = 3
        assert it.book.limits() == {"dep_1": 1}
        second = await it.enter()
        assert it.book.limits() == {"dep_1": 3}
        part.places = 1
        assert not it.book.has_room(DEMO)
        await busy(it.book.enter(DEMO, it.place(), 0))
        for place in (first, second):
            place.leave()

    run(scene)


def test_doors_have_parts_of_their_own_and_a_door_that_nobody_opened_has_none() -> None:
    async def scene() -> None:
        it = Scene()
        part = Part().hang(it)
        part.becomes(5, "nobody")
        assert (it.book.taken("nobody"), it.book.waiting_at("nobody")) == (0, 0)
        assert it.book.limits() == {}
        one, other = await it.enter(), await it.enter(replace(DEMO, id="dep_2"))
        part.becomes(7, "dep_2")
        assert it.book.limits() == {"dep_1": 5, "dep_2": 7}
        one.leave()
        other.leave()
        assert part.asked == [("dep_1", False), ("dep_2", False)]

    run(scene)


def test_a_resize_to_what_it_was_is_nothing() -> None:
    async def scene() -> None:
        it = Scene()
        part = Part(places=2).hang(it)
        place = await it.enter()
        part.becomes(2)
        part.becomes(2)
        assert (it.book.limits(), it.book.taken("dep_1")) == ({"dep_1": 2}, 1)
        place.leave()

    run(scene)


TIERS = list(ServiceTier)
moves = st.lists(
    st.tuples(st.sampled_from(("call", "leave", "cancel", "part", "gives")), st.integers(0, 5)),
    max_size=60,
)


@settings(max_examples=40)
@given(moves)
def test_never_more_inside_than_the_part_however_it_moves(moves) -> None:
    async def scene() -> None:
        it = Scene()
        part = Part(places=2, waiting=50).hang(it)
        tasks: list[asyncio.Task] = []
        left: set[asyncio.Task] = set()

        def inside() -> list[asyncio.Task]:
            return [
                task for task in tasks if task not in left and task.done() and not task.cancelled()
            ]

        most = 2
        for word, number in moves:
            before = it.book.taken("dep_1")
            if word == "call":
                tasks.append(it.waiter(org=f"org {number}", tier=TIERS[number % 4]))
            elif word == "leave" and inside():
                task = inside()[number % len(inside())]
                left.add(task)
                task.result().leave()
            elif word == "cancel" and tasks:
                tasks[number % len(tasks)].cancel()
            elif word == "part":
                part.becomes(number)
            elif word == "gives":
                part.gives = number > 2
            await settled()
            taken = it.book.taken("dep_1")
            most = max(part.places, min(most, before))
            assert taken == len(inside())
            assert taken <= most
            assert taken or not part.places or not it.book.waiting_at("dep_1")
        part.gives = False
        part.becomes(50)
        await settled()
        while inside():
            for task in inside():
                left.add(task)
                task.result().leave()
            await settled()
        assert it.book.waiting_at("dep_1") == 0
        assert it.book.taken("dep_1") == 0

    run(scene)


@pytest.mark.parametrize("seed", range(6))
def test_two_books_that_pass_places_to_and_fro_have_no_more_inside_than_there_are(seed) -> None:
    async def scene() -> None:
        chance = random.Random(seed)
        scenes = [Scene(), Scene()]
        parts = [Part(places=2).hang(scenes[0]), Part(places=1).hang(scenes[1])]
        running = served = 0

        def leaves(me: int, deployment_id: str, waiting: bool) -> bool:
            if waiting or not parts[me].places or not scenes[1 - me].book.waiting_at("dep_1"):
                return False
            parts[me].places -= 1
            # Others hear of it later, as over a socket.
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: parts[1 - me].becomes(parts[1 - me].places + 1))
            return True

        for me, it in enumerate(scenes):
            it.book.leaves = lambda name, waiting, me=me: leaves(me, name, waiting)

        async def call(it: Scene) -> None:
            nonlocal running, served
            try:
                place = await it.book.enter(DEMO, it.place(org=chance.choice("xyz")))
            except Problem:
                return
            running += 1
            assert running <= 3
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            running -= 1
            served += 1
            place.leave()

        for _ in range(12):
            await asyncio.gather(*(call(chance.choice(scenes)) for _ in range(8)))
        assert sum(part.places for part in parts) == 3
        assert served > 60

    run(scene)
