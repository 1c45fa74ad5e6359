"""Killers, callers and the watch, at a toy whose servers never really die."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

import pytest

from tests.support.drill_parts import broken
from tests.support.toy_booth import ToyBooth, ToyReplica, toy_scene, unavailable
from tokenbooth.proving.draw import Draw
from tokenbooth.proving.drills.kill import load
from tokenbooth.proving.drills.kill.checks import KillSeen
from tokenbooth.proving.drills.kill.load import Callers, Servers, Watch
from tokenbooth.proving.drills.kill.plan import PRICE, Wallet, calls, purses, stage_plan
from tokenbooth.proving.drills.play import Scene
from tokenbooth.proving.plans import CallPlan

T = TypeVar("T")
PURSES = purses(1, 8)
STAGE = stage_plan(PURSES, 4)
CAPS = {key.name: 3_000_000 for key in STAGE.keys}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "LIFE_CALLS", (0, 0))
    monkeypatch.setattr(load, "LAST_MOMENT_MS_MAX", 1)
    monkeypatch.setattr(load, "REFUSED_PAUSE_S", 0)
    monkeypatch.setattr(load, "POLL_S", 0)


def played(work: Callable[[Scene], Awaitable[T]], replicas: int = 3, **booth: Any) -> T:
    async def scene() -> T:
        made = ToyBooth({"scripted": PRICE}, CAPS, **booth)
        async with toy_scene(made, STAGE, replicas=replicas) as found:
            return await work(found)

    return asyncio.run(scene())


def toys(scene: Scene) -> tuple[ToyReplica, ...]:
    return scene.instance.replicas  # type: ignore[return-value]


class Diary:
    """What was done to which server, and which of them were up at that moment."""

    def __init__(self, scene: Scene, servers: Servers) -> None:
        self._scene = scene
        self._servers = servers
        self.struck: list[int] = []
        self.restored: list[KillSeen] = []
        self.up_then: list[set[int]] = []

    async def strike(self, number: int) -> None:
        assert toys(self._scene)[number].done[-1] == "kill"
        self.struck.append(number)
        self.up_then.append(set(self._servers._up))
        await asyncio.sleep(0)

    def back(self, kill: KillSeen) -> None:
        assert toys(self._scene)[kill.replica].done[-1] == "start"
        self.restored.append(kill)


async def kill_all(scene: Scene, planned: int) -> Diary:
    servers = Servers(scene, planned)
    diary = Diary(scene, servers)
    await servers.kill_all(diary.strike, diary.back)
    return diary


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_every_planned_kill_happens_and_each_server_comes_back(replicas: int) -> None:
    async def work(scene: Scene) -> tuple[Diary, list[list[str]]]:
        diary = await kill_all(scene, 10)
        return diary, [toy.done for toy in toys(scene)]

    diary, done = played(work, replicas)
    assert len(diary.restored) == len(diary.struck) == 10
    assert sum(len(each) for each in done) == 20
    assert all(each == ["kill", "start"] * (len(each) // 2) for each in done)
    assert all(kill.killed_us <= kill.ready_us for kill in diary.restored)
    assert all(kill.dead_wall_us > kill.killed_us > 0 for kill in diary.restored)


def test_where_there_are_several_one_always_serves() -> None:
    diary = played(lambda scene: kill_all(scene, 20))
    assert all(diary.up_then)
    assert all(number not in up for number, up in zip(diary.struck, diary.up_then, strict=True))


@pytest.mark.parametrize("calls_ended", [0, 1, 5])
def test_a_server_lives_until_some_of_its_own_calls_have_ended(
    calls_ended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "LIFE_CALLS", (calls_ended, calls_ended))

    async def work(scene: Scene) -> list[str]:
        servers, diary = Servers(scene, 1), []

        async def live() -> None:
            await servers._live(0, Draw(1, "x"))
            diary.append("dies")

        living = asyncio.create_task(live())
        for _ in range(calls_ended):
            await asyncio.sleep(0)
            servers.ended(1)
            await asyncio.sleep(0)
            diary.append("ended")
            servers.ended(0)
        await living
        return diary

    assert played(work) == ["ended"] * calls_ended + ["dies"]


def test_a_server_that_ends_no_call_dies_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "LIFE_CALLS", (9, 9))
    monkeypatch.setattr(load, "LIFE_S_MAX", 0)
    assert len(played(lambda scene: kill_all(scene, 3)).restored) == 3


def test_callers_wait_while_the_only_server_is_dead() -> None:
    async def work(scene: Scene) -> tuple[bool, int]:
        servers, asked = Servers(scene, 1), asyncio.Event()

        async def strike(_number: int) -> None:
            asking = asyncio.create_task(servers.one_that_is_up(Draw(1, "x")))
            await asyncio.sleep(0)
            waits.append(not asking.done())
            found.append(asking)
            asked.set()

        waits: list[bool] = []
        found: list[asyncio.Task[int]] = []
        await servers.kill_all(strike, lambda _kill: None)
        return waits[0], await found[0]

    assert played(work, replicas=1) == (True, 0)


def test_a_server_that_does_not_come_back_ends_the_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_self: ToyReplica) -> None:
        raise OSError("no port")

    monkeypatch.setattr(ToyReplica, "start", start)
    with pytest.raises(OSError, match="no port"):
        played(lambda scene: kill_all(scene, 3))


async def call_some(scene: Scene, count: int, parallel: int = 4) -> Callers:
    """Let callers call until ``count`` calls are over."""
    wallet, servers = Wallet(PURSES), Servers(scene, 1)

    def plans() -> Iterator[CallPlan]:
        for number, plan in enumerate(calls(1, wallet)):
            if number == count - parallel:
                callers.stop()
            yield plan

    callers = Callers(scene, servers, wallet, plans())
    await callers.run(parallel)
    return callers


def test_callers_go_on_until_they_are_stopped_and_all_their_calls_end() -> None:
    callers = played(lambda scene: call_some(scene, 60))
    assert len(callers.seen) >= 57
    assert {seen.replica for seen in callers.seen} == {0, 1, 2}
    assert len({seen.plan.number for seen in callers.seen}) == len(callers.seen)


def test_callers_go_on_to_the_next_purse_when_one_is_empty() -> None:
    callers = played(lambda scene: call_some(scene, 400))
    used = {seen.plan.key.split("-")[0] for seen in callers.seen if seen.complete}
    assert {"purse0", "purse1"} <= used
    assert any(seen.refusal is not None and seen.refusal.final for seen in callers.seen)


def test_a_caller_that_is_refused_for_now_calls_again() -> None:
    callers = played(lambda scene: call_some(scene, 20), refuse=lambda _key: unavailable())
    assert {seen.status for seen in callers.seen} == {503}


def test_a_dead_server_is_left_when_the_last_of_its_calls_has_ended() -> None:
    async def work(scene: Scene) -> list[str]:
        diary: list[str] = []
        callers = Callers(scene, Servers(scene, 1), Wallet(PURSES), iter(()))
        callers._running[1] = 2

        async def wait() -> None:
            await callers.left(1)
            diary.append("left")

        waiting = asyncio.create_task(wait())
        for left in (1, 0):
            await asyncio.sleep(0)
            diary.append(f"{left + 1} run")
            callers._running[1] = left
            callers._ended.set()
        await waiting
        await callers.left(0)
        return diary

    assert played(work) == ["2 run", "1 run", "left"]


def watched(
    statuses: list[str | None], *, more: tuple[int, ...] = (), over: bool = True
) -> KillSeen:
    """What the watch says of a kill whose broken call shows these states, one look after another;
    ``None`` is not known. The last one stays."""
    (plan,) = islice(calls(1, Wallet(PURSES)), 1)
    plan = replace(plan, stream=True)
    kill = KillSeen(replica=0, killed_us=5, dead_wall_us=0, ready_us=10)

    async def work(scene: Scene) -> KillSeen:
        servers = Servers(scene, 1)
        callers = Callers(scene, servers, Wallet(PURSES), iter(()))
        callers.seen = [broken(plan, texts, replica=0, began_us=1, ended_us=6) for texts in more]
        watch = Watch(scene, servers, callers)
        watch.look(kill)
        (found,) = await watch.kills() if over else (None,)
        assert found is not None
        return found

    left = list(statuses)

    class Recording(ToyBooth):
        async def play(self, asked: bytes, writer: asyncio.StreamWriter) -> None:
            status = left.pop(0) if len(left) > 1 else left[0]
            if status == "break":
                writer.transport.abort()
                return
            row = None if status is None else self._row(status)
            self.records = {} if row is None else {f"req_{plan.number}": row}
            await super().play(asked, writer)

        def _row(self, status: str) -> dict[str, Any]:
            fields = {"model": "scripted", "user": plan.mark}
            self._record(fields, plan.key, 0, (1, 1))
            return {**self.records[f"req_{plan.mark}"], "status": status}

    async def scene() -> KillSeen:
        async with toy_scene(Recording({"scripted": PRICE}), STAGE) as found:
            return await work(found)

    return asyncio.run(scene())


def test_a_broken_call_is_looked_at_until_it_is_booked() -> None:
    found = watched(["interrupted"], more=(3,))
    assert found.looked_at == 1
    assert found.recovered_us is not None
    assert found.recovered_us > 0


def test_a_server_that_dies_while_it_is_asked_is_no_answer() -> None:
    found = watched(["break", "break", "interrupted"], more=(3,))
    assert (found.looked_at, found.recovered_us is not None) == (1, True)


@pytest.mark.parametrize(("status", "looked_at"), [("running", 1), (None, 0)])
def test_a_call_that_is_never_booked_is_told_and_one_without_a_record_is_not(
    status: str | None, looked_at: int
) -> None:
    found = watched([status], more=(3,))
    assert (found.looked_at, found.recovered_us) == (looked_at, None)


def test_calls_of_which_nothing_came_are_not_looked_at() -> None:
    found = watched(["interrupted"], more=(0, 0))
    assert (found.looked_at, found.recovered_us) == (0, None)


def test_some_calls_are_enough() -> None:
    assert watched(["interrupted"], more=(1,) * 20).looked_at == load.LOOKED_AT_MAX
