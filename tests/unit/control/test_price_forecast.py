"""A dry run: what past calls would have cost, to the nano, and nothing published."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.settled import Desk, opened_desk
from tests.support.stores import fresh_options
from tests.support.tariffs import lines_of
from tokenbooth.catalog.models.service import ModelAsk
from tokenbooth.control import accounts, models, price_books, price_documents
from tokenbooth.control.price_forecast import DAYS_MAX, Forecast, ModelForecast, forecast
from tokenbooth.control.price_sheet import ModelSheet, PriceSheet
from tokenbooth.core.codes import Code
from tokenbooth.core.delta import Usage
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices import service as prices
from tokenbooth.money.prices.service import Step, Tariff

DAY_US = 86_400_000_000
PLAIN = (ServiceTier.STANDARD, DataTerms.PRIVATE)
FLEX = (ServiceTier.FLEX, DataTerms.PRIVATE)


def tariff(terms: tuple[ServiceTier, DataTerms] = PLAIN, *above: Step, **picos: int) -> Tariff:
    return Tariff(*terms, (Step(0, lines_of(**picos)), *above))


def sheet(*tariffs: Tariff, model: str = "m", book: str = "default") -> PriceSheet:
    return PriceSheet(book, "USD", (ModelSheet(model, tariffs),))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Models ``m`` and ``n`` on offer at 1 and 2 nano a token; the organization acme."""
    with opened_desk(fresh_options(tmp_path)) as opened:
        for name in ("m", "n"):
            ask = ModelAsk(name=name, deployments=(models.scripted_deployment(),))
            opened.write(lambda op, tx, ask=ask: models.add_model(op, tx, ask, opened.ids))
            opened.price(name, tariff(input=1000, output=2000), tariff(FLEX, input=500, output=900))
        yield opened


@pytest.fixture
def acme(desk: Desk) -> str:
    return organization(desk, "acme")


def organization(desk: Desk, name: str, book: str = "default") -> str:
    ask = accounts.OrganizationAsk(name, book=book)
    return desk.write(lambda op, tx: accounts.create_organization(op, tx, ask, desk.ids)).id


def foresee(desk: Desk, wanted: PriceSheet, days: int = 7) -> Forecast:
    def work(op: Op, tx: Tx) -> Forecast:
        return forecast(op, tx, price_books.changes_of(op, tx, wanted), days)

    return desk.read(work)


def used(desk: Desk, org: str, number: int, usage: Usage, **fields: Any) -> None:
    desk.orgs.add(org)
    desk.settle({"request_id": f"req_{org}_{number}", "usage": usage, **fields}, org=org)


def test_each_call_is_recomputed_to_the_nano(desk: Desk, acme: str) -> None:
    used(desk, acme, 1, Usage(100, 10))
    used(desk, acme, 2, Usage(3, 0))
    used(desk, acme, 3, Usage(0, 7), model="n")
    found = foresee(desk, sheet(tariff(input=1500, output=3000)))
    # Rounded call by call: 150 + 30 and 4.5 to the even 4.
    assert found == Forecast(7, "USD", (ModelForecast("m", 2, 123, 184),))
    assert found.models[0].difference_nano == 61
    assert desk.rows("SELECT count(*) FROM price_version") == [(2,)]


def test_every_meter_and_step_counts(desk: Desk, acme: str) -> None:
    usage = Usage(
        50, 10, cached_input_tokens=20, reasoning_tokens=4, cache_write_tokens=5,
        images=1, audio_s=2, video_s=3, searches=4,
    )  # fmt: skip
    used(desk, acme, 1, usage)
    picos = {
        "input": 1000, "cached_input": 100, "cache_write": 2000, "output": 3000,
        "reasoning": 5000, "image": 7000, "audio_s": 11_000, "video_s": 13_000,
        "search": 17_000, "call": 19_000,
    }  # fmt: skip
    above = Step(50, {**lines_of(**picos), prices.Meter.INPUT: 4000})
    (line,) = foresee(desk, sheet(tariff(PLAIN, above, **picos))).models
    assert line.new_nano == 25 * 4 + 2 + 10 + 18 + 20 + 7 + 22 + 39 + 68 + 19


def test_only_charged_calls_of_the_span_count(desk: Desk, acme: str) -> None:
    used(desk, acme, 1, Usage(1000, 0))
    desk.clock.us += 2 * DAY_US
    used(desk, acme, 2, Usage(100, 0))
    used(desk, acme, 3, Usage(100, 0), charged=False)
    wanted = sheet(tariff(input=2000, output=2000))
    assert foresee(desk, wanted, days=1).models[0].calls == 1
    assert foresee(desk, wanted, days=3).models[0].new_nano == 2200


def test_terms_that_lose_their_price_are_named_apart(desk: Desk, acme: str) -> None:
    used(desk, acme, 1, Usage(100, 0), tier=ServiceTier.FLEX)
    used(desk, acme, 2, Usage(100, 0))
    (line,) = foresee(desk, sheet(tariff(input=1000, output=2000))).models
    assert (line.calls, line.old_nano, line.new_nano) == (1, 100, 100)
    assert (line.refused, line.refused_nano) == (1, 50)


def test_a_locked_organization_keeps_its_price(desk: Desk, acme: str) -> None:
    used(desk, acme, 1, Usage(100, 0))
    desk.write(lambda op, tx: price_books.lock_price(op, tx, price_books.LockAsk("acme", "m")))
    (line,) = foresee(desk, sheet(tariff(input=5000, output=2000))).models
    assert (line.calls, line.locked, line.difference_nano) == (0, 1, 0)


def test_only_those_who_buy_from_the_book_are_counted(desk: Desk, acme: str) -> None:
    desk.write(lambda op, tx: prices.create_book(op, tx, "euro", "EUR", desk.ids))
    other = organization(desk, "other", "euro")
    used(desk, acme, 1, Usage(100, 0))
    used(desk, other, 1, Usage(100, 0))
    assert foresee(desk, sheet(tariff(input=1000, output=1))).models[0].calls == 1
    euro = PriceSheet("euro", "EUR", (ModelSheet("m", (tariff(input=3000, output=1),)),))
    found = foresee(desk, euro)
    assert (found.currency, found.models[0].new_nano) == ("EUR", 300)


def test_many_calls_at_the_same_moment_are_all_counted(desk: Desk, acme: str) -> None:
    """Pages end between calls that began at the same microsecond."""
    desk.orgs.add(acme)
    for start in range(0, 2500, 500):
        calls = [
            {"request_id": f"req_{start + n:05}", "usage": Usage(1, 0), "created_us": desk.clock.us}
            for n in range(500)
        ]
        desk.settle(*calls, org=acme)
    (line,) = foresee(desk, sheet(tariff(input=3000, output=1))).models
    assert (line.calls, line.old_nano, line.new_nano) == (2500, 2500, 7500)


@pytest.mark.parametrize("days", [0, -1, DAYS_MAX + 1])
def test_a_span_that_is_none_is_refused(desk: Desk, days: int) -> None:
    with pytest.raises(Problem) as caught:
        foresee(desk, sheet(tariff(input=1, output=1)), days)
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, "days")


def test_a_forecast_document_has_exact_amounts(desk: Desk, acme: str) -> None:
    used(desk, acme, 1, Usage(100, 0))
    found: Any = price_documents.forecast_json(
        foresee(desk, sheet(tariff(input=500, output=2000)), days=3)
    )
    assert found["days"] == 3
    (row,) = found["data"]
    assert row["old_total"] == {"amount": "0.000000100", "amount_nano": 100, "currency": "USD"}
    assert row["new_total"]["amount_nano"] == 50
    assert row["difference"]["amount"] == "-0.000000050"
    assert (row["calls"], row["locked_calls"], row["refused_calls"]) == (1, 0, 0)
