from tests.support.again import again
from tests.unit.money import test_alerts

globals().update(again(test_alerts))
