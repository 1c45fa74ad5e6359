import asyncio
import itertools
import re
from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.support.wire_server import body_answer, wire_server
from tokenbooth.proving.client import Address
from tokenbooth.proving.drills.engine import MockEngine
from tokenbooth.proving.drills.mixed.load import LoadPorts, MixedLoad, last_of_outage
from tokenbooth.proving.drills.mixed.outage import Outage
from tokenbooth.proving.drills.mixed.schedule import KEYS, PRICE, SLOW, Schedule, schedule_of
from tokenbooth.proving.observations import CallSeen
from tokenbooth.proving.plans import CallKind
from tokenbooth.proving.stage import Stage, StageKey, StageModel

SCHEDULE = schedule_of(4, 80)
STAGE = Stage(
    {},
    {name: StageModel(name, PRICE) for name in ("m", SLOW)},
    {plan.name: StageKey(plan.name, "s", "main") for plan in KEYS},
    {},
)


class Diary:
    """What happened, in order, as seen by the engine, the key and the server."""

    def __init__(self) -> None:
        self.down = False
        self.revoked = False
        self.heard_while_down: list[int] = []
        self.heard_before_revocation: list[int] = []
        self.kills = 0
        self.running = 0
        self.running_max = 0
        self.progress: list[int] = []

    def kill(self) -> None:
        self.kills += 1
        self.down = True

    def start(self) -> None:
        self.down = False

    async def up(self) -> None:
        assert not self.down

    async def revoke(self) -> None:
        await asyncio.sleep(0)
        self.revoked = True

    async def play(self, asked: bytes, writer: asyncio.StreamWriter) -> None:
        self.running += 1
        self.running_max = max(self.running, self.running_max)
        marks = re.findall(rb'"call-(\d+)"', asked)
        if marks and self.down:
            self.heard_while_down.append(int(marks[0]))
        if marks and not self.revoked:
            self.heard_before_revocation.append(int(marks[0]))
        await asyncio.sleep(0)
        writer.write(body_answer(b'{"error": {"code": "x"}}', 401))
        self.running -= 1


def play(parallel: int, diary: Diary, revoke: Callable[[], Any] | None = None) -> list[CallSeen]:
    clock = itertools.count(1)

    async def scene() -> list[CallSeen]:
        async with wire_server(diary.play) as address:
            outages = [
                Outage(
                    cast("MockEngine", diary),
                    range(kill + 1, last_of_outage(kill, SCHEDULE) + 1),
                    lambda: next(clock),
                )
                for kill in SCHEDULE.kills
            ]
            ports = LoadPorts(
                address=lambda _number: address,
                now_us=lambda: next(clock),
                revoke=revoke or diary.revoke,
                progress=diary.progress.append,
            )
            load = MixedLoad(SCHEDULE, STAGE, outages, ports)
            return list(await load.run(parallel))

    return asyncio.run(scene())


@pytest.mark.parametrize("parallel", [2, 8, 32])
def test_every_call_is_made_once_and_told_in_order(parallel: int) -> None:
    diary = Diary()
    found = play(parallel, diary)
    assert [call.plan for call in found] == list(SCHEDULE.calls)
    assert sorted(diary.progress) == list(range(1, len(SCHEDULE.calls) + 1))
    assert diary.kills == 2
    assert diary.running_max <= parallel


def test_an_outage_takes_only_the_calls_that_it_should() -> None:
    diary = Diary()
    play(8, diary)
    for number in diary.heard_while_down:
        assert any(number <= last_of_outage(kill, SCHEDULE) for kill in SCHEDULE.kills)
        # Calls before the kill may still be on their way; after it only the six.
    late = [n for n in diary.heard_while_down if n > last_of_outage(SCHEDULE.kills[0], SCHEDULE)]
    assert all(n <= last_of_outage(SCHEDULE.kills[1], SCHEDULE) for n in late)
    assert not diary.down


def test_a_revoked_key_is_used_again_only_after_its_revocation() -> None:
    diary = Diary()
    play(16, diary)
    again = {p.number for p in SCHEDULE.calls if p.kind is CallKind.REVOKED_KEY}
    assert diary.revoked
    assert not again & set(diary.heard_before_revocation)


def test_a_revocation_that_fails_is_not_hidden() -> None:
    async def revoke() -> None:
        raise OSError("no such command")

    with pytest.raises(OSError, match="no such command"):
        play(8, Diary(), revoke)


def test_each_kill_needs_its_outage() -> None:
    ports = LoadPorts(
        address=lambda number: Address("127.0.0.1", number),
        now_us=lambda: 0,
        revoke=Diary().revoke,
        progress=lambda _done: None,
    )
    some = Schedule(1, SCHEDULE.calls, SCHEDULE.kills, SCHEDULE.revoke)
    with pytest.raises(ValueError, match="zip"):
        MixedLoad(some, STAGE, (), ports)
