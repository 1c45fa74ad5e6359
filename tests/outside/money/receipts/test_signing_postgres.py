from tests.support.again import again
from tests.unit.money.receipts import test_signing

globals().update(again(test_signing))
