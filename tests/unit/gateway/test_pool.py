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
        assert pool.ready() == {"dep_1": 1}

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
