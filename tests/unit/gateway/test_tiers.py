"""The tier that was delivered is the one that is named and billed, through all ten steps."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.support.booth import MemorySink, TestBooth, chat, open_test_booth
from tests.support.tariffs import lines_of
from tokenbooth.admission.entry.service import Pace, Place
from tokenbooth.control import prices
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.engines.scripted.values import AnswerKind, ScriptOptions
from tokenbooth.money.prices.service import Step, Tariff

PRIORITY, STANDARD = ServiceTier.PRIORITY, ServiceTier.STANDARD
ONE_PLACE = {"concurrency_max": 1}


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


async def priced(booth: TestBooth) -> None:
    """Priority costs a hundred times as much."""
    lines = lines_of(input=100_000_000, output=400_000_000)
    tariff = Tariff(PRIORITY, DataTerms.PRIVATE, (Step(0, lines),))
    ask = prices.TariffAsk("demo", tariff, "default")

    def work(tx: Tx) -> None:
        prices.set_tariff(booth.op, tx, ask, booth.ids, confirmed=True)

    await booth.store.write(work)


async def taken(booth: TestBooth) -> Place:
    """The only place, by somebody else."""
    offered = await booth.rooms.directory.model(booth.op, "demo")
    place = booth.rooms.gates.place("other", STANDARD, 1, 1)
    return await booth.rooms.gates.enter(offered.model.deployments[0], place)


async def answered_after(booth: TestBooth, waited_us: int, place: Place) -> MemorySink:
    coming = asyncio.create_task(booth.ask(chat(service_tier="priority")))
    while not any(booth.rooms.gates.waiting().values()):
        await asyncio.sleep(0)
    booth.clock.us += waited_us
    place.leave()
    return await coming


def test_priority_that_is_served_soon_is_priority(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_test_booth(tmp_path, deployment=ONE_PLACE) as booth:
            await priced(booth)
            sink = await answered_after(booth, 1_000_000, await taken(booth))
            assert sink.document["service_tier"] == "priority"
            record = await booth.record()
            assert record.tier is PRIORITY
            assert record.cost_nano == await booth.spent_nano()

    in_loop(scenario)


def test_priority_that_waits_as_others_do_costs_what_others_pay(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_test_booth(tmp_path, deployment=ONE_PLACE) as booth:
            await priced(booth)
            soon = await booth.ask(chat(service_tier="priority"))
            late = await answered_after(booth, 1_000_001, await taken(booth))
            assert late.status == soon.status == 200
            assert "service_tier" not in late.document
            costs = [int(s.document["usage"]["cost"]["amount_nano"]) for s in (soon, late)]
            assert costs[0] == 100 * costs[1] > 0
            assert await booth.spent_nano() == sum(costs)
            await booth.verified()

    in_loop(scenario)


def test_a_tier_that_can_neither_be_delivered_nor_lowered_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_test_booth(tmp_path, deployment=ONE_PLACE) as booth:
            await priced(booth)
            place = await taken(booth)
            found = booth.rooms.directory.price

            async def only_priority(op: Any, question: Any) -> Any:
                if question.tier is STANDARD:
                    raise Problem(Code.PRICE_NOT_OFFERED, "There is none.")
                return await found(op, question)

            booth.rooms.directory.price = only_priority  # type: ignore[method-assign]
            sink = await answered_after(booth, 5_000_000, place)
            assert (sink.status, sink.headers["retry-after"]) == (503, "1")
            assert "tier priority" in sink.document["error"]["message"]
            assert await booth.spent_nano() == 0

    in_loop(scenario)


def test_runs_tell_their_desk_when_they_began_and_what_they_wrote(tmp_path: Path) -> None:
    async def scenario() -> None:
        script = ScriptOptions(answer=AnswerKind.TEXT, text="word " * 40)
        async with open_test_booth(tmp_path, script) as booth:
            offered = await booth.rooms.directory.model(booth.op, "demo")
            name = offered.model.deployments[0].id
            booth.rooms.gates.certified(name, Pace(2_000_000, 50_000, 1, 8))
            assert (await booth.ask(chat(stream=True))).status == 200
            desk = booth.rooms.gates._doors[name].desk
            assert desk._floor.pacer is not None
            assert desk._floor.pacer.reading_tokens == 0
            assert len(desk._floor.pacer._tail) == 1
            assert desk.inside == 0

    in_loop(scenario)
