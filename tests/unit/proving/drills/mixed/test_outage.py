import asyncio
import itertools
from typing import Any, cast

import pytest

from tokenbooth.proving.drills.engine import MockEngine
from tokenbooth.proving.drills.mixed.checks import OutageSeen
from tokenbooth.proving.drills.mixed.outage import Outage


class FakeEngine:
    """Says what was done to it."""

    def __init__(self, *, comes_back: bool = True) -> None:
        self.done: list[str] = []
        self._comes_back = comes_back

    def kill(self) -> None:
        self.done.append("kill")

    def start(self) -> None:
        self.done.append("start")

    async def up(self) -> None:
        if not self._comes_back:
            raise TimeoutError("no engine")


def outage_of(engine: FakeEngine, meanwhile: Any) -> Outage:
    clock = itertools.count(1)
    return Outage(cast("MockEngine", engine), meanwhile, lambda: next(clock))


def test_the_engine_comes_back_when_the_calls_of_the_outage_are_over() -> None:
    async def play() -> tuple[list[str], list[str], OutageSeen | None]:
        engine = FakeEngine()
        outage = outage_of(engine, {5, 6})
        restoring = asyncio.create_task(outage.restore())
        outage.ended(4)
        outage.kill()
        outage.ended(5)
        await asyncio.sleep(0)
        before = list(engine.done)
        assert not outage.over.is_set()
        outage.ended(6)
        await restoring
        assert outage.over.is_set()
        return before, engine.done, outage.seen

    assert asyncio.run(play()) == (["kill"], ["kill", "start"], OutageSeen(1, 2))


def test_calls_may_be_over_before_the_kill() -> None:
    async def play() -> list[str]:
        engine = FakeEngine()
        outage = outage_of(engine, {5})
        restoring = asyncio.create_task(outage.restore())
        outage.ended(5)
        await asyncio.sleep(0)
        assert engine.done == []
        outage.kill()
        await restoring
        return engine.done

    assert asyncio.run(play()) == ["kill", "start"]


def test_nothing_is_seen_before_the_kill() -> None:
    async def play() -> OutageSeen | None:
        return outage_of(FakeEngine(), ()).seen

    assert asyncio.run(play()) is None


def test_an_engine_that_stays_away_ends_the_wait_with_an_error() -> None:
    async def play() -> tuple[bool, OutageSeen | None]:
        outage = outage_of(FakeEngine(comes_back=False), ())
        outage.kill()
        with pytest.raises(TimeoutError, match="no engine"):
            await outage.restore()
        return outage.over.is_set(), outage.seen

    assert asyncio.run(play()) == (True, OutageSeen(1, None))
