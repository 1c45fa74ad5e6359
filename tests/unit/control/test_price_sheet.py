"""A price list says what its numbers mean, or nothing of it is published."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tariffs import lines_of
from tokenbooth.control.price_sheet import SHEET_BYTES_MAX, price_of, read_sheet
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.core.terms import DataTerms, ServiceTier
from tokenbooth.money.prices.service import Meter, Step, Tariff

WHOLE = b"""
book = "europe"
currency = "EUR"

[[price]]
model = "muse"
input = "1.25 EUR per million tokens"
cached_input = "0.15 EUR per million tokens"
cache_write = "1.5625 EUR per million tokens"
output = "4.25 EUR per million tokens"
reasoning = "4.5 EUR per million tokens"
image = "0.002 EUR per image"
audio_s = "0.1 EUR per thousand seconds"
video_s = "0.3 EUR per second"
search = "2.50 EUR per thousand searches"
call = "0.0001 EUR per call"

[[price]]
model = "other"
tier = "flex"
data_terms = "contributor"
input = "0 EUR per million tokens"
output = "0.000001 EUR per million tokens"
[[price.step]]
context_min_tokens = 200_000
input = "1 EUR per thousand tokens"
output = "0.5 EUR per token"
"""
PLAIN = (ServiceTier.STANDARD, DataTerms.PRIVATE)
LINE = 'input = "1 USD per million tokens"\noutput = "1 USD per million tokens"\n'


def refused(content: str | bytes) -> Problem:
    raw = content if isinstance(content, bytes) else content.encode()
    with pytest.raises(Problem) as caught:
        read_sheet(raw)
    assert caught.value.code is Code.INVALID_VALUE
    return caught.value


def sheet(row: str, head: str = 'currency = "USD"\n') -> str:
    return f'{head}[[price]]\nmodel = "m"\n{row}'


def test_a_whole_list_is_read_exactly() -> None:
    found = read_sheet(WHOLE)
    assert (found.book, found.currency) == ("europe", "EUR")
    muse, other = found.models
    picos = lines_of(
        input=1_250_000,
        cached_input=150_000,
        cache_write=1_562_500,
        output=4_250_000,
        reasoning=4_500_000,
        image=2 * 10**9,
        audio_s=10**8,
        video_s=3 * 10**11,
        search=2_500_000_000,
        call=10**8,
    )
    assert (muse.model, muse.tariffs) == ("muse", (Tariff(*PLAIN, (Step(0, picos),)),))
    above = Step(200_000, lines_of(input=10**9, output=5 * 10**11))
    terms = (ServiceTier.FLEX, DataTerms.CONTRIBUTOR)
    tariff = Tariff(*terms, (Step(0, lines_of(input=0, output=1)), above))
    assert (other.model, other.tariffs) == ("other", (tariff,))


def test_rows_of_one_model_belong_together() -> None:
    rows = "".join(
        f'[[price]]\nmodel = "m"\ntier = "{tier}"\n{LINE}' for tier in ("standard", "batch")
    )
    (found,) = read_sheet(f'currency = "USD"\n{rows}'.encode()).models
    assert [tariff.tier for tariff in found.tariffs] == [ServiceTier.STANDARD, ServiceTier.BATCH]


def test_without_a_name_the_list_is_for_the_default_book() -> None:
    assert read_sheet(sheet(LINE).encode()).book == "default"


@given(st.integers(0, 10**15), st.sampled_from([("million ", 6), ("thousand ", 9), ("", 12)]))
def test_every_price_that_can_be_written_is_read_to_the_pico(
    pico: int, scale: tuple[str, int]
) -> None:
    word, decimals = scale
    whole, fraction = divmod(pico, 10**decimals)
    text = f"{whole}.{fraction:0{decimals}d} USD per {word}token"
    assert price_of(text, Meter.INPUT, "USD", "input") == pico


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (1.25, "no unit"),
        (1250000, "no unit"),
        (None, "no unit"),
        ("1.25", "not a price with its unit"),
        ("1.25 per million tokens", "not a price with its unit"),
        ("1.25 USD", "not a price with its unit"),
        ("1.25 USD per million", "priced by the token"),
        ("1.25 USD per 1000 tokens", "not a price with its unit"),
        ("1.25  USD per million tokens", "not a price with its unit"),
        ("1.25 USD per billion tokens", "not a price with its unit"),
        ("1.25 usd per million tokens", "not a price with its unit"),
        ("1.25 EUR per million tokens", "is in EUR"),
        ("1.25 USD per million seconds", "priced by the token"),
        ("1.25 USD per million calls", "priced by the token"),
        ("-1.25 USD per million tokens", "plain decimal"),
        ("1,25 USD per million tokens", "plain decimal"),
        ("1e3 USD per million tokens", "plain decimal"),
        ("nan USD per million tokens", "plain decimal"),
        ("0x1 USD per million tokens", "plain decimal"),
        ("\u0661 USD per million tokens", "plain decimal"),
        ("1.2500001 USD per million tokens", "more than 6 decimals"),
        ("0.0000000001 USD per thousand tokens", "more than 9 decimals"),
        ("99999999999999 USD per million tokens", "larger than can be booked"),
    ],
)
def test_a_price_without_a_doubt_is_the_only_price(text: object, says: str) -> None:
    with pytest.raises(Problem) as caught:
        price_of(text, Meter.INPUT, "USD", "price[0].input")
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == "price[0].input"
    assert says in caught.value.public


@pytest.mark.parametrize(
    ("meter", "unit", "other"),
    [
        (Meter.IMAGE, "images", "tokens"),
        (Meter.AUDIO_S, "seconds", "minutes"),
        (Meter.VIDEO_S, "second", "hour"),
        (Meter.SEARCH, "searches", "searchs"),
        (Meter.CALL, "calls", "requests"),
        (Meter.REASONING, "tokens", "token-ids"),
    ],
)
def test_each_meter_has_its_own_unit(meter: Meter, unit: str, other: str) -> None:
    assert price_of(f"1 USD per thousand {unit}", meter, "USD", "p") == 10**9
    with pytest.raises(Problem):
        price_of(f"1 USD per thousand {other}", meter, "USD", "p")


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b"\xff", "file"),
        ("a = ", "file"),
        (b"#" * (SHEET_BYTES_MAX + 1), "file"),
        ("", "currency"),
        ("currency = 1", "currency"),
        ('currency = ""', "currency"),
        ('currency = "USD"', "price"),
        ('currency = "USD"\nprice = 1', "price"),
        ('currency = "USD"\nprice = ["a"]', "price"),
        ('currency = "USD"\nvat = 19', "vat"),
        (f'currency = "USD"\n[[price]]\n{LINE}', "price[0].model"),
        (sheet(LINE, 'currency = "USD"\nbook = 5\n'), "book"),
        (sheet(LINE + 'colour = "red"\n'), "price[0].colour"),
        (sheet(LINE + 'tier = "gold"\n'), "price[0].tier"),
        (sheet(LINE + "tier = 1\n"), "price[0].tier"),
        (sheet(LINE + 'data_terms = "public"\n'), "price[0].data_terms"),
        (sheet(LINE + "search = 2.5\n"), "price[0].search"),
        (sheet(LINE + "step = 1\n"), "price[0].step"),
        (sheet(LINE + f"[[price.step]]\n{LINE}"), "price[0].step[0].context_min_tokens"),
        (
            sheet(LINE + f"[[price.step]]\ncontext_min_tokens = 0\n{LINE}"),
            "price[0].step[0].context_min_tokens",
        ),
        (
            sheet(LINE + f"[[price.step]]\ncontext_min_tokens = 1.5\n{LINE}"),
            "price[0].step[0].context_min_tokens",
        ),
        (
            sheet(LINE + "[[price.step]]\ncontext_min_tokens = 5\ninput = 1\n"),
            "price[0].step[0].input",
        ),
        (
            sheet(LINE + '[[price.step]]\ncontext_min_tokens = 5\ntier = "flex"\n'),
            "price[0].step[0].tier",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_place(content: Any, param: str) -> None:
    assert refused(content).param == param
