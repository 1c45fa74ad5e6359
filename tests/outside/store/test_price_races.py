"""Two authors at the same moment: one is heard, the other is told, nothing is half done."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.support.ops import CountingIds
from tests.support.settled import Desk, opened_desk
from tests.support.tariffs import lines_of
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import DEFAULT, PriceLock, Step, Tariff, VersionAsk
from tokenbooth.store.open import open_store
from tokenbooth.store.options import StoreOptions

HANDS = 8


@pytest.fixture
def desk(store_options: StoreOptions) -> Iterator[Desk]:
    with opened_desk(store_options) as opened:
        yield opened


def together(desk: Desk, *verbs: Callable[[Tx], object]) -> list[object]:
    """Each verb over a store of its own, as from so many processes; errors are results."""

    async def scene() -> list[object]:
        stores = [open_store(desk.options) for _ in verbs]
        try:
            return await asyncio.gather(
                *(store.write(verb) for store, verb in zip(stores, verbs, strict=True)),
                return_exceptions=True,
            )
        finally:
            for store in stores:
                await store.close()

    return asyncio.run(scene())


def told(results: list[object], kind: type[object]) -> list[object]:
    """Those who were heard; everybody else got a named conflict."""
    heard = [result for result in results if isinstance(result, kind)]
    for result in results:
        if result not in heard:
            assert isinstance(result, Problem), result
            assert result.code is Code.STATE_CONFLICT
            assert "Somebody else" in result.public or "locked" in result.public
    return heard


def tariff(pico: int) -> Tariff:
    lines = lines_of(input=pico, output=pico, search=pico)
    return Tariff(ServiceTier.STANDARD, DataTerms.PRIVATE, (Step(0, lines),))


def test_authors_at_once_never_share_a_version(desk: Desk) -> None:
    desk.price("m", tariff(1))

    def publish(number: int) -> Callable[[Tx], prices.PriceVersion]:
        ids = CountingIds(1000 * number)
        ask = VersionAsk(DEFAULT, "m", (tariff(number),))
        return lambda tx: prices.publish_version(desk.op, tx, ask, ids)

    results = together(desk, *(publish(number) for number in range(1, HANDS + 1)))
    heard = told(results, prices.PriceVersion)
    assert heard
    history = desk.read(lambda op, tx: prices.history(op, tx, "m"))
    assert [version.sequence for version in history] == list(range(len(heard) + 1, 0, -1))
    assert sorted(v.id for v in history[:-1]) == sorted(v.id for v in heard)  # type: ignore[attr-defined]
    # Every version that there is came whole.
    assert desk.rows("SELECT count(*) FROM price_line") == [(3 * len(history),)]


def test_one_moment_holds_one_lock(desk: Desk) -> None:
    version = desk.price("m", tariff(1))
    ask = PriceLock(
        org_id="org_a", model="m", sequence=0, version_id=version.id, from_us=0, until_us=None
    )
    results = together(desk, *[lambda tx: prices.lock(desk.op, tx, ask)] * HANDS)
    assert len(told(results, PriceLock)) == 1
    assert len(desk.read(lambda op, tx: prices.locks(op, tx, None))) == 1


def test_one_name_makes_one_book(desk: Desk) -> None:
    def make(number: int) -> Callable[[Tx], prices.Book]:
        ids = CountingIds(1000 * number)
        return lambda tx: prices.create_book(desk.op, tx, "europe", "EUR", ids)

    results = together(desk, *(make(number) for number in range(HANDS)))
    made = [result for result in results if isinstance(result, prices.Book)]
    assert len(made) == 1
    refused = [result.code for result in results if isinstance(result, Problem)]
    assert refused == [Code.ALREADY_EXISTS] * (HANDS - 1)
    assert desk.read(prices.books) == (DEFAULT, made[0])
