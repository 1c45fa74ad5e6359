from tests.support.again import again
from tests.unit.money.prices import test_books

globals().update(again(test_books))
