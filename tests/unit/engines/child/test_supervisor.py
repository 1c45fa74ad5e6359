"""A child is started, watched, replaced and never left behind."""

import asyncio

import pytest

from tests.support.children import FakeLink, Nursery
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.child.frames import Cancel, FrameTooLargeError, Ready, Step
from tokenbooth.engines.child.rules import ChildPolicy
from tokenbooth.engines.child.supervisor import ChildPlan, Supervisor

QUICK = ChildPolicy(backoff_first_s=0.0, backoff_max_s=0.0)


class Listener:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.reasons: list[str] = []
        self.busy = False
        self.loss = asyncio.Event()

    def heard(self, step: Step) -> None:
        self.steps.append(step)

    def lost(self, reason: str) -> None:
        self.reasons.append(reason)
        self.loss.set()


class Scene:
    def __init__(self, policy: ChildPolicy = QUICK, refuse: OSError | None = None) -> None:
        self.nursery = Nursery(refuse=refuse)
        self.listener = Listener()
        plan = ChildPlan("some.module", b'{"a":1}', policy)
        self.supervisor = Supervisor(plan, self.listener, self.nursery.link_to)  # type: ignore[arg-type]

    async def opened(self) -> FakeLink:
        opening = asyncio.create_task(self.supervisor.open())
        link = await self.nursery.ready()
        assert await opening == Ready(64, "fake")
        return link

    async def replaced(self) -> FakeLink:
        link = await self.nursery.ready()
        async with asyncio.timeout(20):
            while not self.supervisor.ready:
                await asyncio.sleep(0)
        return link


def test_open_starts_the_module_and_waits_until_it_is_ready() -> None:
    async def work() -> None:
        scene = Scene()
        assert not scene.supervisor.ready
        assert scene.supervisor.reason == "the engine is not open"
        assert scene.supervisor.pid is None
        opening = asyncio.create_task(scene.supervisor.open())
        link = await scene.nursery.next()
        assert (link.module, link.options_json) == ("some.module", b'{"a":1}')
        assert not scene.supervisor.ready
        assert scene.supervisor.reason == "the engine is starting"
        link.answer(Ready(64, "fake"))
        assert (await opening).context_tokens == 64
        assert scene.supervisor.ready
        assert scene.supervisor.reason == ""
        assert scene.supervisor.pid == link.pid
        await scene.supervisor.close()
        assert link.stopped
        assert not scene.supervisor.ready

    asyncio.run(work())


def test_open_twice_is_one_child() -> None:
    async def work() -> None:
        scene = Scene()
        await scene.opened()
        assert (await scene.supervisor.open()).fingerprint == "fake"
        assert len(scene.nursery.links) == 1
        await scene.supervisor.close()
        await scene.supervisor.close()

    asyncio.run(work())


def test_steps_reach_the_listener_and_orders_the_child() -> None:
    async def work() -> None:
        scene = Scene()
        link = await scene.opened()
        link.answer(Step())
        scene.supervisor.send(Cancel(1))
        assert scene.listener.steps == [Step()]
        assert link.said == [Cancel(1)]
        await scene.supervisor.close()

    asyncio.run(work())


def test_an_order_that_no_frame_holds_is_the_callers_fault() -> None:
    async def work() -> None:
        scene = Scene()
        link = await scene.opened()

        def refuse(message: object) -> None:
            raise FrameTooLargeError("a frame of 99 bytes")

        link.send = refuse  # type: ignore[method-assign]
        with pytest.raises(Problem) as caught:
            scene.supervisor.send(Cancel(1))
        assert caught.value.code is Code.BODY_TOO_LARGE
        await scene.supervisor.close()

    asyncio.run(work())


def test_a_child_that_dies_is_stopped_and_replaced() -> None:
    async def work() -> None:
        scene = Scene()
        first = await scene.opened()
        first.die()
        second = await scene.replaced()
        assert first.stopped
        assert scene.listener.reasons == ["it died last words"]
        assert scene.supervisor.restarts == 1
        scene.supervisor.send(Cancel(1))
        assert second.said == [Cancel(1)]
        await scene.supervisor.close()
        assert second.stopped

    asyncio.run(work())


def test_orders_are_refused_while_there_is_no_child() -> None:
    async def work() -> None:
        scene = Scene(ChildPolicy(backoff_first_s=50.0, backoff_max_s=100.0, load_s=4.0))
        first = await scene.opened()
        first.die()
        await scene.listener.loss.wait()
        with pytest.raises(Problem) as caught:
            scene.supervisor.send(Cancel(1))
        assert caught.value.code is Code.ENGINE_NOT_READY
        assert caught.value.retry_after_s is not None
        assert scene.supervisor.reason == "it died"
        await asyncio.sleep(0)
        assert scene.supervisor.not_ready().retry_after_s in (53, 54)
        await scene.supervisor.close()

    asyncio.run(work())


def test_a_broken_first_child_is_told_to_whoever_opens() -> None:
    async def work() -> None:
        scene = Scene()
        opening = asyncio.create_task(scene.supervisor.open())
        link = await scene.nursery.broken("ENGINE_NOT_INSTALLED")
        with pytest.raises(Problem) as caught:
            await opening
        assert caught.value.code is Code.ENGINE_NOT_INSTALLED
        assert caught.value.detail == "last words"
        assert link.stopped
        assert len(scene.nursery.links) == 1

    asyncio.run(work())


def test_a_first_child_that_dies_while_loading_is_told_too() -> None:
    async def work() -> None:
        scene = Scene()
        opening = asyncio.create_task(scene.supervisor.open())
        (await scene.nursery.next()).die("it was killed")
        with pytest.raises(Problem, match="could not be started: it was killed"):
            await opening

    asyncio.run(work())


def test_a_child_that_loads_for_too_long_is_given_up() -> None:
    async def work() -> None:
        scene = Scene(ChildPolicy(ready_timeout_s=0.0))
        with pytest.raises(Problem, match="took too long"):
            await scene.supervisor.open()
        assert scene.nursery.links[0].stopped

    asyncio.run(work())


def test_a_system_that_starts_nothing_is_told() -> None:
    async def work() -> None:
        scene = Scene(refuse=OSError(11, "Resource temporarily unavailable"))
        with pytest.raises(Problem, match="Resource temporarily unavailable"):
            await scene.supervisor.open()
        assert scene.nursery.links[0].stopped

    asyncio.run(work())


def test_open_works_after_it_failed() -> None:
    async def work() -> None:
        scene = Scene()
        opening = asyncio.create_task(scene.supervisor.open())
        await scene.nursery.broken()
        with pytest.raises(Problem):
            await opening
        await scene.opened()
        assert scene.supervisor.ready
        await scene.supervisor.close()

    asyncio.run(work())


def test_a_cancelled_open_leaves_nothing() -> None:
    async def work() -> None:
        scene = Scene()
        opening = asyncio.create_task(scene.supervisor.open())
        link = await scene.nursery.next()
        opening.cancel()
        await asyncio.wait((opening,))
        assert opening.cancelled()
        assert link.stopped

    asyncio.run(work())


def test_a_restart_that_fails_is_tried_again() -> None:
    async def work() -> None:
        scene = Scene()
        (await scene.opened()).die()
        await scene.nursery.broken()
        (await scene.nursery.next()).die()
        await scene.nursery.ready()
        assert scene.supervisor.restarts == 3
        await scene.supervisor.close()

    asyncio.run(work())


def test_short_lives_wait_longer_and_a_long_life_starts_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[int] = []

    def remembered(failures: int, policy: ChildPolicy) -> float:
        waits.append(failures)
        return 0.0

    monkeypatch.setattr("tokenbooth.engines.child.supervisor.backoff_s", remembered)

    async def lives(stable_after_s: float) -> list[int]:
        waits.clear()
        scene = Scene(ChildPolicy(stable_after_s=stable_after_s))
        link = await scene.opened()
        for _ in range(3):
            link.die()
            link = await scene.nursery.ready()
        await scene.supervisor.close()
        return list(waits)

    assert asyncio.run(lives(1000.0)) == [1, 2, 3]
    assert asyncio.run(lives(0.0)) == [0, 0, 0]


def test_a_silent_child_that_owes_an_answer_is_stopped() -> None:
    async def work() -> None:
        scene = Scene(ChildPolicy(hang_after_s=0.01, backoff_first_s=0.0, backoff_max_s=0.0))
        scene.listener.busy = True
        first = await scene.opened()
        second = await scene.nursery.next()
        assert first.stopped
        assert "said nothing for 0.01 s" in scene.listener.reasons[0]
        scene.listener.busy = False
        second.answer(Ready(64, "fake"))
        await scene.supervisor.close()

    asyncio.run(work())


def test_an_idle_child_may_be_silent() -> None:
    async def work() -> None:
        scene = Scene(ChildPolicy(hang_after_s=0.0001))
        link = await scene.opened()
        link.heard_at -= 1000
        for _ in range(50):
            await asyncio.sleep(0)
        assert not link.stopped
        await scene.supervisor.close()

    asyncio.run(work())


def test_words_of_a_child_that_already_spoke_first_are_ignored() -> None:
    async def work() -> None:
        scene = Scene()
        link = await scene.opened()
        link.answer(Ready(1, "again"))
        assert (await scene.supervisor.open()).context_tokens == 64
        await scene.supervisor.close()

    asyncio.run(work())
