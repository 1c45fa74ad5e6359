from tests.support.again import again
from tests.unit.money import test_ledger_holds

globals().update(again(test_ledger_holds))
