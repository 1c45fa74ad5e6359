"""The crowd at a toy: who stands ready, who comes back, who goes."""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from tests.support.toy_booth import ToyBooth, ToyLevel, refused, toy_scene, unavailable
from tokenbooth.proving.drills.play import Scene
from tokenbooth.proving.drills.stampede import load
from tokenbooth.proving.drills.stampede.checks import RushSeen
from tokenbooth.proving.drills.stampede.load import (
    ExactRush,
    RandomRush,
    StartingGate,
    parallel_within,
    stampede,
)
from tokenbooth.proving.drills.stampede.plan import (
    CAP_NANO,
    FITTING,
    ODD_PRICE,
    PRICE,
    rushes,
    stage_plan,
)

T = TypeVar("T")
EXACT, RANDOM = rushes(("key",))
STAGE = stage_plan((EXACT, RANDOM), 100)
CAPS = {key.name: CAP_NANO for rush in (EXACT, RANDOM) for key in rush.keys}


def played(work: Callable[[Scene], Awaitable[T]], **booth: object) -> tuple[T, ToyBooth]:
    made = ToyBooth({"even": PRICE, "odd": ODD_PRICE}, CAPS, **booth)  # type: ignore[arg-type]

    async def scene() -> T:
        async with toy_scene(made, STAGE, replicas=2) as found:
            return await work(found)

    return asyncio.run(scene()), made


def test_all_of_an_exact_rush_stand_ready_before_the_first_is_sent() -> None:
    async def work(scene: Scene) -> tuple[RushSeen, int]:
        crowd = ExactRush(scene, EXACT, 80)
        return await crowd.run(), crowd.parallel

    (seen, parallel), booth = played(work)
    assert parallel == 80
    assert booth.running_max == 80
    assert sum(call.complete for call in seen.calls) == FITTING
    assert {call.status for call in seen.calls} == {200, 429}
    assert {call.replica for call in seen.calls} == {0, 1}


def test_a_gate_opens_for_the_last_runner_and_not_before() -> None:
    async def scene() -> list[int]:
        gate, through = StartingGate(3), []

        async def run(number: int) -> None:
            await gate.wait()
            through.append(number)

        runners = [asyncio.create_task(run(number)) for number in range(2)]
        await asyncio.sleep(0)
        assert through == []
        await run(2)
        await asyncio.gather(*runners)
        assert gate.ready == 3
        return through

    assert sorted(asyncio.run(scene())) == [0, 1, 2]


def test_a_gate_does_not_wait_for_ever_for_a_runner_that_fell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "GATE_WAIT_S", 0)

    async def scene() -> int:
        gate = StartingGate(2)
        await gate.wait()
        await gate.wait()
        return gate.ready

    assert asyncio.run(scene()) == 2


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "parallel", "raised"),
    [
        (1024, 20_000, 1000, 1000, 1128),
        (1024, 1024, 1000, 896, None),
        (20_000, 20_000, 1000, 1000, None),
        (64, 100, 1000, 1, 100),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 9, 9, None),
        (64, resource.RLIM_INFINITY, 1000, 1000, 1128),
    ],
)
def test_connections_stay_within_the_open_files(
    soft: int,
    hard: int,
    wanted: int,
    parallel: int,
    raised: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(load.resource, "getrlimit", lambda _kind: (soft, hard))
    monkeypatch.setattr(load.resource, "setrlimit", lambda _kind, pair: limits.append(pair))
    assert parallel_within(wanted) == parallel
    assert limits in ([], [(raised if raised is not None else soft, hard)])


def test_callers_come_back_until_they_are_refused_for_good() -> None:
    seen, booth = played(lambda scene: RandomRush(scene, RANDOM, 12).run())
    assert not seen.endless
    assert sum(call.refusal is not None and call.refusal.final for call in seen.calls) == 12
    (key,) = RANDOM.keys
    assert booth.level(key.name).held_nano == 0
    assert booth.level(key.name).spent_nano * 1000 >= CAP_NANO * 999
    assert [probe.fits for probe in seen.probes] == [probe.call.complete for probe in seen.probes]
    assert len(seen.probes) == 2


def test_a_caller_that_is_told_to_wait_comes_back() -> None:
    waits = iter([refused(ToyLevel(10, 0, 10), 5)] * 3)
    seen, _booth = played(
        lambda scene: RandomRush(scene, RANDOM, 2).run(), refuse=lambda _key: next(waits, None)
    )
    assert [call.retry_after_s for call in seen.calls].count(0) >= 3
    assert not seen.endless


def test_callers_that_are_never_refused_for_good_are_stopped_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "TRIES_MAX", 5)
    seen, _booth = played(
        lambda scene: RandomRush(scene, RANDOM, 2).run(), refuse=lambda _key: unavailable()
    )
    assert seen.endless
    assert len(seen.calls) == 5


def test_callers_leave_a_server_that_only_fails() -> None:
    seen, _booth = played(
        lambda scene: RandomRush(scene, RANDOM, 2).run(), refuse=lambda _key: unavailable()
    )
    assert seen.endless
    assert len(seen.calls) == load.FAILURES_MAX + 2


def test_a_whole_stampede_makes_every_rush() -> None:
    (seen, parallel), _booth = played(lambda scene: stampede(scene, (EXACT, RANDOM), 60, 4))
    assert [each.rush for each in seen] == [EXACT, RANDOM]
    assert parallel == 60
