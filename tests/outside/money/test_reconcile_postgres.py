from tests.support.again import again
from tests.unit.money import test_reconcile

globals().update(again(test_reconcile))
