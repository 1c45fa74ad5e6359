from tests.support.again import again
from tests.unit.money import test_price_book

globals().update(again(test_price_book))
