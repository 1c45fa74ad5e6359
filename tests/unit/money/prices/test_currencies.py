"""Only currencies that people hold money in."""

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.money.prices.currencies import DECIMALS, checked_currency


@pytest.mark.parametrize(
    ("code", "decimals"),
    [("USD", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("XOF", 0), ("XCG", 2)],
)
def test_a_currency_in_use_has_its_decimals(code: str, decimals: int) -> None:
    assert checked_currency(code) == code
    assert DECIMALS[code] == decimals


@pytest.mark.parametrize(
    "code",
    ["", "usd", "US", "EURO", "U$D", " USD", "USD ", "X" * 3, "XTS", "XAU", "DEM", "HRK", "BTC"],
)
def test_anything_else_is_refused_by_name(code: str) -> None:
    with pytest.raises(Problem) as caught:
        checked_currency(code)
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == "currency"


def test_every_code_is_three_capital_letters_and_stands_once() -> None:
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in DECIMALS)
    assert len(DECIMALS) == 165
