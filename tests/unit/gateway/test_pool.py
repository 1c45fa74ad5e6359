"""The pool opens each engine once, tells who is loading, and closes what is gone."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tokenbooth.catalog.models.service import Deployment, EngineKind
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.port import Health
from tokenbooth.gateway.pool import EnginePool


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scenario()

    asyncio.run(bounded())


def deployment(name: str = "dep_1") -> Deployment:
    return Deployment(
        id=name,
        model_name="demo",
        engine=EngineKind.SCRIPTED,
        gguf_path=None,
        upstream_url=None,
        upstream_model=None,
        upstream_key_sealed=None,
        concurrency_max=1,
        queue_max=1,
        queue_wait_max_s=1,
        options={},
    )


class Motor:
    """An engine whose opening waits for ``go``, and fails while ``broken``."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.broken = False
        self.opened = self.closed = 0

    async def open(self) -> None:
        self.opened += 1
        await self.go.wait()
        if self.broken:
            raise Problem(Code.ENGINE_NOT_READY, "broken")

    async def close(self) -> None:
        self.closed += 1

    async def health(self) -> Health:
        return Health(ready=True)


class Shop:
    def __init__(self) -> None:
        self.made: list[Motor] = []
        self.wait_to_open = False
        self.broken = False

    def make(self, _: Deployment) -> Any:
        motor = Motor()
        motor.broken = self.broken
        if self.wait_to_open:
            motor.go.clear()
        self.made.append(motor)
        return motor


def test_an_engine_is_made_and_opened_once_for_many_callers():
    async def scenario():
        shop = Shop()
        pool = EnginePool(shop.make, open_wait_max_s=5)
        got = await asyncio.gather(*(pool.engine(deployment()) for _ in range(5)))
        assert len(shop.made) == 1
        assert set(map(id, got)) == {id(shop.made[0])}
        assert shop.made[0].opened == 1
        assert pool.ready() == {}
        assert await pool.health() == {"dep_1": Health(ready=True)}
        assert (pool.ready(), pool.restarts()) == ({"dep_1": 1}, {"dep_1": 0})

    in_loop(scenario)


def test_a_slow_opening_is_refused_for_now_and_goes_on():
    async def scenario():
        shop = Shop()
        shop.wait_to_open = True
        pool = EnginePool(shop.make, open_wait_max_s=0)
        with pytest.raises(Problem) as refused:
            await pool.engine(deployment())
        assert refused.value.code is Code.ENGINE_NOT_READY
        assert refused.value.retry_after_s == 5
        assert await pool.health() == {"dep_1": Health(ready=False, reason="loading")}
        assert pool.ready() == {"dep_1": 0}
        shop.made[0].go.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await pool.engine(deployment()) is shop.made[0]
        assert len(shop.made) == 1

    in_loop(scenario)


def test_a_failed_opening_is_told_and_tried_again_by_the_next_call():
    async def scenario():
        shop = Shop()
        shop.broken = True
        pool = EnginePool(shop.make, open_wait_max_s=5)
        with pytest.raises(Problem):
            await pool.engine(deployment())
        shop.broken = False
        assert await pool.engine(deployment()) is shop.made[1]

    in_loop(scenario)


def test_engines_of_removed_deployments_are_closed_and_the_others_kept():
    async def scenario():
        shop = Shop()
        pool = EnginePool(shop.make, open_wait_max_s=5)
        await pool.engine(deployment("dep_1"))
        await pool.engine(deployment("dep_2"))
        await pool.keep_only({"dep_2"})
        assert [m.closed for m in shop.made] == [1, 0]
        await pool.close()
        assert [m.closed for m in shop.made] == [1, 1]
        assert await pool.health() == {}

    in_loop(scenario)


def test_closing_stops_an_opening_that_hangs():
    async def scenario():
        shop = Shop()
        shop.wait_to_open = True
        pool = EnginePool(shop.make, open_wait_max_s=0)
        with pytest.raises(Problem):
            await pool.engine(deployment())
        await pool.close()
        assert shop.made[0].closed == 1

    in_loop(scenario)


class Patient(Motor):
    """Tells its health only when it is let; counts who asks, and who asks at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = self.asking = self.most = 0
        self.tell = asyncio.Event()

    async def health(self) -> Health:
        self.asked += 1
        self.asking += 1
        self.most = max(self.most, self.asking)
        await self.tell.wait()
        self.asking -= 1
        return Health(ready=True)


def test_a_crowd_at_the_door_asks_each_engine_once_and_all_engines_together():
    async def scenario():
        motors = {"dep_1": Patient(), "dep_2": Patient()}
        pool = EnginePool(lambda d: motors[d.id], open_wait_max_s=5)  # type: ignore[arg-type,return-value]
        for name in motors:
            await pool.engine(deployment(name))
        crowd = [asyncio.create_task(pool.health()) for _ in range(50)]
        while not all(motor.asked for motor in motors.values()):
            await asyncio.sleep(0)
        crowd[0].cancel()
        for motor in motors.values():
            motor.tell.set()
        answers = await asyncio.gather(*crowd[1:])
        assert all(set(found) == set(motors) for found in answers)
        assert [motor.asked for motor in motors.values()] == [1, 1]
        await pool.health()
        assert [motor.asked for motor in motors.values()] == [2, 2]

    in_loop(scenario)


def test_a_model_removed_while_it_loads_is_told_to_whoever_waits():
    async def scenario():
        shop = Shop()
        shop.wait_to_open = True
        pool = EnginePool(shop.make, open_wait_max_s=5)
        waiting = asyncio.create_task(pool.engine(deployment()))
        while not shop.made or not shop.made[0].opened:
            await asyncio.sleep(0)
        await pool.close()
        with pytest.raises(Problem) as refused:
            await waiting
        assert refused.value.code is Code.ENGINE_NOT_READY

    in_loop(scenario)
