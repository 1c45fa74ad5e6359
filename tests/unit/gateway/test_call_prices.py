"""Which price a call gets, through all ten steps: tier, data terms, book, lock, context, uses."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.booth import MemorySink, TestBooth, chat, open_test_booth
from tests.support.media import inline, png
from tests.support.tariffs import fair_nano, lines_of
from tokenbooth.catalog.models import service as catalog
from tokenbooth.control import accounts, price_books, prices
from tokenbooth.core.delta import Usage
from tokenbooth.core.features import Feature
from tokenbooth.core.ports import Tx
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import Fault, ScriptOptions
from tokenbooth.money.prices import service as book
from tokenbooth.money.prices.service import Price, Step, Tariff

STANDARD, FLEX = ServiceTier.STANDARD, ServiceTier.FLEX
PRIVATE, CONTRIBUTOR = DataTerms.PRIVATE, DataTerms.CONTRIBUTOR
PLAIN = {"input": 1_000_000, "output": 4_000_000}
PIXEL = inline("image/png", png())


class Seeing(ScriptedEngine):
    """The scripted engine, with images as one more thing that it takes."""

    def __init__(self) -> None:
        super().__init__(ScriptOptions())
        self._capabilities = replace(self._capabilities, features=frozenset(Feature))


def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


def tariff(*above: Step, tier: Any = STANDARD, terms: Any = PRIVATE, **picos: int) -> Tariff:
    return Tariff(tier, terms, (Step(0, lines_of(**(picos or PLAIN))), *above))


async def set_price(booth: TestBooth, wanted: Tariff, name: str = "default") -> book.PriceVersion:
    ask = prices.TariffAsk("demo", wanted, name)

    def work(tx: Tx) -> book.PriceVersion:
        return prices.set_tariff(booth.op, tx, ask, booth.ids, confirmed=True)

    return await booth.store.write(work)


async def nothing_happened(booth: TestBooth) -> None:
    """No money was held and nobody will find a call."""
    await booth.rooms.till.flushed()
    (line,) = await booth.store.read(lambda tx: accounts.organizations(booth.op, tx))
    assert [(limit.spent_nano, limit.held_nano) for limit in line.limits] == [(0, 0), (0, 0)]
    assert (await booth.verified()).open_holds == 0


async def check(booth: TestBooth, sink: MemorySink, version: book.PriceVersion) -> Usage:
    """The answer, the record and the balance agree with an arithmetic of their own."""
    assert sink.status == 200, sink.body
    record = await booth.record()
    assert record.price_version == version.id
    price: Price = book.price_in(version, record.tier, record.data_terms)
    assert record.usage is not None
    expected = fair_nano(price, record.usage)
    assert record.cost_nano == expected == await booth.spent_nano()
    assert sink.document["usage"]["cost"] == {
        "amount": f"{expected / 10**9:.9f}",
        "amount_nano": expected,
        "currency": version.currency,
        "price_version": version.id,
    }
    await booth.verified()
    return record.usage


def test_a_model_without_a_price_is_refused_before_anything_is_held(tmp_path: Path) -> None:
    """The named regression "unknown price"."""

    async def scenario() -> None:
        async with open_test_booth(tmp_path) as booth:
            asks = (catalog.DeploymentAsk(engine=catalog.EngineKind.SCRIPTED),)
            bare = catalog.ModelAsk(name="bare", deployments=asks)
            await booth.store.write(lambda tx: catalog.add_model(booth.op, tx, bare, booth.ids))
            sink = await booth.ask({**chat(), "model": "bare"})
            assert sink.status == 400
            assert sink.document["error"]["code"] == "price_unknown"
            assert sink.document["error"]["param"] == "model"
            await nothing_happened(booth)

    in_loop(scenario)


@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_a_tier_without_a_price_is_refused_by_name(tmp_path: Path, tier: str) -> None:
    async def scenario() -> None:
        async with open_test_booth(tmp_path) as booth:
            sink = await booth.ask(chat(service_tier=tier))
            error = sink.document["error"]
            assert (sink.status, error["code"]) == (400, "price_not_offered")
            assert error["param"] == "service_tier"
            assert "standard under private terms" in error["message"]
            await nothing_happened(booth)

    in_loop(scenario)


def test_a_tier_with_a_price_is_served_and_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_test_booth(tmp_path) as booth:
            version = await set_price(booth, tariff(tier=FLEX, input=500_000, output=2_000_000))
            sink = await booth.ask(chat(service_tier="flex"))
            await check(booth, sink, version)
            assert sink.document["service_tier"] == "flex"
            assert (await booth.record()).tier is FLEX

    in_loop(scenario)


@pytest.mark.parametrize("asked", [{}, {"service_tier": "auto"}, {"service_tier": "default"}])
def test_without_a_wish_the_standard_tier_is_served(tmp_path: Path, asked: dict[str, str]) -> None:
    async def scenario() -> None:
        async with open_test_booth(tmp_path) as booth:
            version = await set_price(booth, tariff(tier=FLEX, input=1, output=1))
            sink = await booth.ask(chat(**asked))
            await check(booth, sink, version)
            assert "service_tier" not in sink.document
            assert (await booth.record()).tier is STANDARD

    in_loop(scenario)


def test_a_project_that_contributes_pays_the_price_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_test_booth(tmp_path) as booth:

            def contribute(tx: Tx) -> None:
                accounts.set_data_terms(booth.op, tx, "acme", "default", CONTRIBUTOR)

            await booth.store.write(contribute)
            sink = await booth.ask(chat())
            assert sink.document["error"]["code"] == "price_not_offered"
            assert sink.document["error"]["param"] is None
            await nothing_happened(booth)
            booth.clock.us += 10_000_000
            version = await set_price(booth, tariff(terms=CONTRIBUTOR, input=100, output=200))
            await check(booth, await booth.ask(chat()), version)
            assert (await booth.record()).data_terms is CONTRIBUTOR

    in_loop(scenario)


def test_a_long_prompt_is_priced_by_its_context_step(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_test_booth(tmp_path) as booth:
            above = Step(40, lines_of(input=2_000_000, output=9_000_000))
            version = await set_price(booth, tariff(above))
            short = await check(booth, await booth.ask(chat("hi")), version)
            assert short.input_tokens < 40
        async with open_test_booth(tmp_path / "other") as booth:
            version = await set_price(booth, tariff(above))
            long = await check(booth, await booth.ask(chat("many words " * 40)), version)
            assert long.input_tokens >= 40

    (tmp_path / "other").mkdir()
    in_loop(scenario)


def test_a_call_has_its_own_price_and_a_failed_one_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_test_booth(tmp_path) as booth:
            version = await set_price(booth, tariff(**PLAIN, call=77_000_000))
            await check(booth, await booth.ask(chat()), version)
        broken = ScriptOptions(fault=Fault.FAIL, fault_after_chunks=0)
        async with open_test_booth(tmp_path / "other", broken) as booth:
            await set_price(booth, tariff(**PLAIN, call=77_000_000))
            assert (await booth.ask(chat())).status != 200
            assert await booth.spent_nano() == 0

    (tmp_path / "other").mkdir()
    in_loop(scenario)


def test_images_are_counted_held_and_charged(tmp_path: Path) -> None:
    parts = [
        {"type": "text", "text": "what is this?"},
        *[{"type": "image_url", "image_url": {"url": PIXEL}}] * 2,
    ]
    body = {"model": "demo", "messages": [{"role": "user", "content": parts}]}

    async def scenario() -> None:
        async with open_test_booth(tmp_path, engines={"0": Seeing()}) as booth:
            version = await set_price(booth, tariff(**PLAIN, image=5_000_000))
            sink = await booth.ask(body)
            usage = await check(booth, sink, version)
            assert usage.images == 2
            assert sink.document["usage"]["uses"] == {"image": 2}

    in_loop(scenario)


def test_what_the_images_cost_must_be_affordable_before_the_call_runs(tmp_path: Path) -> None:
    part = {"type": "image_url", "image_url": {"url": PIXEL}}
    body = {"model": "demo", "messages": [{"role": "user", "content": [part]}]}

    async def scenario() -> None:
        async with open_test_booth(tmp_path, engines={"0": Seeing()}) as booth:
            await set_price(booth, tariff(**PLAIN, image=10**12 + 1))
            sink = await booth.ask(body)
            assert sink.document["error"]["code"] == "insufficient_quota"
            await nothing_happened(booth)

    in_loop(scenario)


def test_a_new_price_never_alters_a_call_that_was_admitted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_test_booth(tmp_path) as booth:
            old = await booth.store.read(lambda tx: book.newest(booth.op, tx, book.DEFAULT, "demo"))
            assert old is not None
            hold = booth.rooms.till.hold

            async def then_dearer(op: Any, ask: Any) -> Any:
                held = await hold(op, ask)
                await set_price(booth, tariff(input=9_000_000, output=9_000_000))
                return held

            booth.rooms.till.hold = then_dearer  # type: ignore[method-assign]
            await check(booth, await booth.ask(chat()), old)
            booth.rooms.till.hold = hold  # type: ignore[method-assign]
            spent_nano = await booth.spent_nano()
            booth.clock.us += 10_000_000
            await booth.ask(chat())
            record = await booth.record()
            assert record.price_version != old.id
            assert record.cost_nano == await booth.spent_nano() - spent_nano

    in_loop(scenario)


def test_a_locked_organization_pays_its_own_version(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_test_booth(tmp_path) as booth:
            ask = price_books.LockAsk("acme", "demo")
            made = await booth.store.write(lambda tx: price_books.lock_price(booth.op, tx, ask))
            await set_price(booth, tariff(input=9_000_000, output=9_000_000))
            await booth.ask(chat())
            assert (await booth.record()).price_version == made.lock.version_id

    in_loop(scenario)


def test_another_currency_is_said_everywhere(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_test_booth(tmp_path, credit_nano=0) as booth:

            def move(tx: Tx) -> None:
                book.create_book(booth.op, tx, "japan", "JPY", booth.ids)
                accounts.set_book(booth.op, tx, "acme", "japan")
                accounts.add_credit(booth.op, tx, "acme", 10**9, "first")

            await booth.store.write(move)
            version = await set_price(booth, tariff(), "japan")
            sink = await booth.ask(chat())
            await check(booth, sink, version)
            assert sink.headers["x-tokenbooth-currency"] == "JPY"
            assert {limit["currency"] for limit in sink.document["usage"]["limits"]} == {"JPY"}

    in_loop(scenario)
