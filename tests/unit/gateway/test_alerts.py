"""Calls that spend past a threshold leave an event in the transaction that books them."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import TestBooth, chat, open_test_booth
from tokenbooth.control import accounts, events
from tokenbooth.core.receipt import LimitScope
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.money.outbox import service as outbox
from tokenbooth.money.windows import Period

CALL_NANO = 9 * 1000 + 4 * 4000


@pytest.fixture
def play(tmp_path: Path):
    def run(scene, *scripts: ScriptOptions, **options: Any) -> None:
        async def work() -> None:
            async with open_test_booth(tmp_path, *scripts, **options) as booth:
                await scene(booth)

        asyncio.run(work())

    return run


async def told(booth: TestBooth) -> list[tuple[str, int, int]]:
    """Source, threshold and what was spent, oldest first."""
    await booth.rooms.till.flushed()
    page = await booth.store.read(
        lambda tx: outbox.page(booth.op, tx, booth.org_id, after=None, limit=100)
    )
    bodies = [json.loads(event.body) for event in page.events]
    return sorted((b["limit_source"], b["threshold_percent"], b["spent_nano"]) for b in bodies)


async def spend(booth: TestBooth, calls: int) -> None:
    """So many calls, each told to the ledger before the next."""
    for _ in range(calls):
        assert (await booth.ask(chat(max_tokens=4))).status == 200
        booth.clock.us += 1
        await booth.rooms.till.flushed()


def test_each_threshold_of_the_balance_is_told_when_it_is_crossed(play):
    async def scene(booth: TestBooth) -> None:
        await spend(booth, 4)
        assert await told(booth) == []
        await spend(booth, 1)
        assert await told(booth) == [("balance", 50, 5 * CALL_NANO)]
        await spend(booth, 5)
        assert await told(booth) == [
            ("balance", 50, 5 * CALL_NANO),
            ("balance", 80, 8 * CALL_NANO),
            ("balance", 95, 10 * CALL_NANO),
            ("balance", 100, 10 * CALL_NANO),
        ]

    play(scene, credit_nano=10 * CALL_NANO)


def test_caps_at_every_level_tell_for_themselves(play):
    async def scene(booth: TestBooth) -> None:
        await booth.store.write(
            lambda tx: accounts.cap_project(booth.op, tx, "acme", "default", 2 * CALL_NANO)
        )
        await booth.store.write(
            lambda tx: events.set_alerts(booth.op, tx, LimitScope.KEY, booth.key_id, (10,))
        )
        await spend(booth, 1)
        assert await told(booth) == [("key", 10, CALL_NANO), ("project", 50, CALL_NANO)]

    play(scene, key={"cap_nano": 10 * CALL_NANO})


def test_credit_arms_the_balance_again(play):
    async def scene(booth: TestBooth) -> None:
        await spend(booth, 2)
        assert len(await told(booth)) == 4
        await booth.store.write(
            lambda tx: accounts.add_credit(booth.op, tx, "acme", 2 * CALL_NANO, "again")
        )
        await spend(booth, 1)
        assert ("balance", 50, 3 * CALL_NANO) in await told(booth)
        assert len(await told(booth)) == 5

    play(scene, credit_nano=2 * CALL_NANO)


def test_a_cap_that_renews_tells_of_its_window(play):
    async def scene(booth: TestBooth) -> None:
        await spend(booth, 1)
        page = await booth.store.read(
            lambda tx: outbox.page(booth.op, tx, booth.org_id, after=None, limit=10)
        )
        (event,) = page.events
        body = json.loads(event.body)
        assert re.fullmatch(r"[0-9]{4}-[0-9]{2}", body["window"])
        assert event.key == (f"spend_alert:key:{booth.key_id}@{body['window']}:{2 * CALL_NANO}:50")

    play(scene, key={"cap_nano": 2 * CALL_NANO, "cap_period": Period.MONTH})


def test_calls_that_cost_nothing_tell_nothing(play):
    async def scene(booth: TestBooth) -> None:
        assert (await booth.ask(chat(max_tokens=4))).status == 502
        assert await told(booth) == []

    play(scene, ScriptOptions(fault=Fault.FAIL), credit_nano=CALL_NANO)
