import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from tests.support.wire_server import answers, body_answer, wire_server
from tokenbooth.proving import outage as module
from tokenbooth.proving.child import Child
from tokenbooth.proving.client import Address
from tokenbooth.proving.observations import OutageSeen
from tokenbooth.proving.outage import Outage, engine_up, free_port


class FakeEngine:
    """Says what was done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def kill(self) -> None:
        self.done.append("kill")

    def start(self) -> None:
        self.done.append("start")


@asynccontextmanager
async def scene(meanwhile: Any) -> AsyncIterator[tuple[Outage, FakeEngine]]:
    engine, clock = FakeEngine(), itertools.count(1)
    async with wire_server(answers(body_answer(b"{}"))) as address:
        yield Outage(cast("Child", engine), address, meanwhile, lambda: next(clock)), engine


def test_the_engine_comes_back_when_the_calls_of_the_outage_are_over() -> None:
    async def play() -> tuple[list[str], list[str], OutageSeen | None]:
        async with scene({5, 6}) as (outage, engine):
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
        async with scene({5}) as (outage, engine):
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
        async with scene(()) as (outage, _engine):
            return outage.seen

    assert asyncio.run(play()) is None


def test_an_engine_that_stays_away_ends_the_wait_with_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0)

    async def play() -> tuple[bool, OutageSeen | None]:
        outage = Outage(
            cast("Child", FakeEngine()), Address("127.0.0.1", free_port()), (), lambda: 9
        )
        monkeypatch.setattr(module.engine_up, "__defaults__", (0,))
        outage.kill()
        with pytest.raises(TimeoutError, match="no engine"):
            await outage.restore()
        return outage.over.is_set(), outage.seen

    assert asyncio.run(play()) == (True, OutageSeen(9, None))


def test_a_server_that_answers_anything_is_up() -> None:
    async def play() -> bool:
        async with wire_server(answers(body_answer(b"{}", 401))) as address:
            await engine_up(address)
        return True

    assert asyncio.run(play())


def test_a_free_port_is_a_port() -> None:
    assert 1024 <= free_port() <= 65535
