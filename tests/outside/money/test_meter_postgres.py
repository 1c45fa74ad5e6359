from tests.support.again import again
from tests.unit.money import test_meter

globals().update(again(test_meter))
