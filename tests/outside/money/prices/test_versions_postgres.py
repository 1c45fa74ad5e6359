from tests.support.again import again
from tests.unit.money.prices import test_versions

globals().update(again(test_versions))
